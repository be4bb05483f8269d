//! The table of files that are mapped for execution: return addresses mean nothing without it.

use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicU64, Ordering};

use memoman_trace_format::layout::{UNIT, chunk};

use super::{clock, file, path};

/// The dynamic linker's count of loaded files, when the table was written last.
static WRITTEN: AtomicU64 = AtomicU64::new(0);
/// The number of tables in the file.
static TABLES: AtomicU64 = AtomicU64::new(0);

/// Writes a table if files were loaded since the last one.
pub(crate) fn write_if_new() {
    let mut loaded = 0u64;
    // SAFETY: the callback gets `loaded`, and returns at its first call.
    unsafe { libc::dl_iterate_phdr(Some(count), (&raw mut loaded).cast()) };
    if loaded != WRITTEN.swap(loaded, Ordering::Relaxed) {
        write();
    }
}

/// The next table is written whatever was loaded: the file is a new one.
pub(crate) fn forget() {
    WRITTEN.store(0, Ordering::Relaxed);
    TABLES.store(0, Ordering::Relaxed);
}

unsafe extern "C" fn count(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: `data` is `loaded` above, `info` the dynamic linker's.
    unsafe { *data.cast::<u64>() = (*info).dlpi_adds };
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

fn write() {
    let mut table = Table {
        at: core::ptr::null_mut(),
        room: 0,
        used: 0,
    };
    // SAFETY: the callback gets a table.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut table).cast()) };
    // Room for files that are loaded meanwhile.
    let bytes = (chunk::HEAD + table.used + chunk::MODULE).next_multiple_of(UNIT);
    let Ok((mapped, _)) = file::map(bytes) else {
        // The next chunk of events fails too, and says why.
        return;
    };
    // SAFETY: `bytes` bytes of zeros that no other thread knows; the magic number comes last.
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
        libc::dl_iterate_phdr(Some(add), (&raw mut table).cast());
        mapped.add(chunk::KIND).cast::<u32>().write(chunk::MODULES);
        core::sync::atomic::compiler_fence(Ordering::Release);
        mapped.cast::<u32>().write(chunk::MAGIC);
        file::unmap(mapped, bytes);
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
