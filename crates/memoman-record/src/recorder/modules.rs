//! The table of files that are mapped for execution: return addresses mean nothing without it.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use memoman_trace_format::layout::{UNIT, chunk};

use super::rules::UNLOADED;
use super::{clock, file, loader, path};

/// The dynamic linker's count of loaded files, when the table was written last.
static WRITTEN: AtomicU64 = AtomicU64::new(0);
/// The number of tables in the file.
static TABLES: AtomicU64 = AtomicU64::new(0);
/// The chunk of the last table, which stays mapped: the child of a fork copies it. Null before the
/// first one. It is replaced before the old one is unmapped, so a child finds either.
static LAST: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

/// Writes a table if files were loaded since the last one, and the dynamic linker is usable.
pub(crate) fn write_if_new() {
    if !loader::is_usable() {
        return;
    }
    let mut files = [0u64; 2];
    // SAFETY: the callback gets `files`, and returns at its first call.
    unsafe { libc::dl_iterate_phdr(Some(count), (&raw mut files).cast()) };
    let [loaded, unloaded] = files;
    UNLOADED.fetch_max(unloaded, Ordering::Relaxed);
    if loaded != WRITTEN.swap(loaded, Ordering::Relaxed) {
        write_new();
    }
}

/// The first table of a child's file: the parent's last one, if the dynamic linker is not usable.
///
/// # Safety
/// No other thread runs.
pub(crate) unsafe fn start_again() {
    TABLES.store(0, Ordering::Relaxed);
    WRITTEN.store(0, Ordering::Relaxed);
    let last = LAST.load(Ordering::Relaxed);
    if loader::is_usable() || last.is_null() {
        write_if_new();
        return;
    }
    // SAFETY: the chunk of the last table: complete since it was published, with its size in its
    // head, and still mapped, since no thread of this process has replaced it.
    unsafe {
        let bytes = last.add(chunk::BYTES).cast::<u64>().read() as usize;
        write(bytes, |contents| {
            let from = last.add(chunk::HEAD);
            contents
                .at
                .copy_from_nonoverlapping(from, bytes - chunk::HEAD);
        });
    }
}

unsafe extern "C" fn count(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: `data` is `files` above, `info` the dynamic linker's.
    unsafe { *data.cast::<[u64; 2]>() = [(*info).dlpi_adds, (*info).dlpi_subs] };
    1
}

/// Where entries go, or how many bytes they need while `at` is null.
struct Table {
    at: *mut u8,
    room: usize,
    used: usize,
}

impl Table {
    fn put(&mut self, bytes: &[u8]) {
        if !self.at.is_null() && self.used + bytes.len() <= self.room {
            // SAFETY: `at` has `room` bytes.
            unsafe {
                let to = self.at.add(self.used);
                to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
        }
        self.used += bytes.len();
    }
}

fn write_new() {
    let mut table = Table {
        at: ptr::null_mut(),
        room: 0,
        used: 0,
    };
    // SAFETY: the callback gets a table.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut table).cast()) };
    // Room for files that are loaded meanwhile.
    let bytes = (chunk::HEAD + table.used + chunk::MODULE).next_multiple_of(UNIT);
    write(bytes, |table| {
        // SAFETY: the callback gets a table.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut *table).cast()) };
    });
}

/// Writes a chunk of so many bytes, whose contents `fill` writes.
fn write(bytes: usize, fill: impl FnOnce(&mut Table)) {
    let Ok(mapped) = file::map(bytes) else {
        // The next chunk of events fails too, and says why.
        return;
    };
    // SAFETY: `bytes` bytes of zeros that no other thread reaches; the magic number comes last.
    unsafe {
        let put = |at: usize, value: u64| mapped.add(at).cast::<u64>().write(value);
        put(chunk::BYTES, bytes as u64);
        put(chunk::SEQUENCE, TABLES.fetch_add(1, Ordering::Relaxed));
        let (ticks, ns) = clock::both();
        put(chunk::TICKS, ticks);
        put(chunk::NS, ns);
        let mut table = Table {
            at: mapped.add(chunk::HEAD),
            room: bytes - chunk::HEAD,
            used: 0,
        };
        fill(&mut table);
        mapped.add(chunk::KIND).cast::<u32>().write(chunk::MODULES);
        core::sync::atomic::compiler_fence(Ordering::Release);
        mapped.cast::<u32>().write(chunk::MAGIC);
        let before = LAST.swap(mapped, Ordering::AcqRel);
        if !before.is_null() {
            let bytes = before.add(chunk::BYTES).cast::<u64>().read() as usize;
            file::unmap(before, bytes);
        }
    }
}

/// Adds a file to the table.
unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: `data` is a table of `write`; `info` and its headers are the dynamic linker's, and
    // stay while it calls.
    let (table, info, segments) = unsafe {
        let info = &*info;
        let segments = core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        (&mut *data.cast::<Table>(), info, segments)
    };
    let code = segments
        .iter()
        .filter(|part| part.p_type == libc::PT_LOAD && part.p_flags & libc::PF_X != 0);
    let start = code.clone().map(|part| part.p_vaddr).min().unwrap_or(0);
    let end = code
        .map(|part| part.p_vaddr + part.p_memsz)
        .max()
        .unwrap_or(0);
    if end <= start {
        return 0;
    }
    let id = build_id(info.dlpi_addr, segments);
    let mut own = [0; path::PATH];
    // SAFETY: null or a C string.
    let name = unsafe {
        if info.dlpi_name.is_null() {
            &b""[..]
        } else {
            CStr::from_ptr(info.dlpi_name).to_bytes()
        }
    };
    // The program itself has no name here.
    let name = if name.is_empty() {
        let length = path::program(&mut own);
        &own[..length]
    } else {
        &name[..name.len().min(path::PATH)]
    };
    for word in [start, end] {
        table.put(&info.dlpi_addr.wrapping_add(word).to_le_bytes());
    }
    table.put(&info.dlpi_addr.to_le_bytes());
    table.put(&(name.len() as u32).to_le_bytes());
    table.put(&(id.len() as u32).to_le_bytes());
    table.put(name);
    table.put(id);
    0
}

/// The build id among the notes, empty without one.
fn build_id(base: u64, segments: &[libc::Elf64_Phdr]) -> &[u8] {
    const GNU_BUILD_ID: u32 = 3;
    for part in segments.iter().filter(|part| part.p_type == libc::PT_NOTE) {
        // SAFETY: the segment is mapped as the header says.
        let mut notes = unsafe {
            let at = base.wrapping_add(part.p_vaddr) as usize;
            core::slice::from_raw_parts(
                core::ptr::with_exposed_provenance::<u8>(at),
                part.p_filesz as usize,
            )
        };
        while let Some((head, rest)) = notes.split_at_checked(12) {
            let word = |at: usize| {
                u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let (name, value) = (word(0) as usize, word(4) as usize);
            let start = name.next_multiple_of(4);
            let Some(found) = rest.get(start..start + value) else {
                break;
            };
            if word(8) == GNU_BUILD_ID && rest.starts_with(b"GNU\0") && value <= 64 {
                return found;
            }
            let Some(next) = rest.get(start + value.next_multiple_of(4)..) else {
                break;
            };
            notes = next;
        }
    }
    &[]
}
