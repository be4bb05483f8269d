//! Regions of memory from the operating system.

use core::ptr;
#[cfg(feature = "announced-threads")]
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::system::errno::{errno, set_errno};
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
use crate::system::sandbox;
#[cfg(not(memoman_debug))]
use crate::system::sync;

/// Rounding unit of regions: a multiple of the OS page on Linux targets with pages of 4, 16 or 64
/// KiB.
pub(crate) const PAGE: usize = 1 << 16;

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// A region of `bytes` (a multiple of the OS page) zero bytes; with `prefault`, in memory at once.
/// None when the system refuses. Keeps errno.
pub(crate) fn map(bytes: usize, prefault: bool) -> Option<*mut u8> {
    map_at(0, bytes, prefault)
}

/// [`map`], at this address if nothing is there.
pub(crate) fn map_at(hint: usize, bytes: usize, prefault: bool) -> Option<*mut u8> {
    let populate = if prefault { libc::MAP_POPULATE } else { 0 };
    map_as(hint, bytes, READ_WRITE, populate)
}

/// Addresses, as [`map`] gives them, without access to them.
#[cfg(not(memoman_debug))]
pub(crate) fn map_without_access(bytes: usize) -> Option<*mut u8> {
    map_as(0, bytes, libc::PROT_NONE, libc::MAP_NORESERVE)
}

/// Bytes without access behind each region of the debug library: an overflow that leaves the region
/// faults there.
pub(crate) const FENCE: usize = if cfg!(memoman_debug) { PAGE } else { 0 };

/// [`map`], and [`FENCE`] bytes without access behind that, if the system can take it away.
#[cfg(memoman_debug)]
pub(crate) fn map_fenced(bytes: usize, prefault: bool) -> Option<*mut u8> {
    let start = map(bytes.checked_add(FENCE)?, prefault)?;
    // Pages of the mapping made above, which are used for nothing.
    let replace = libc::MAP_NORESERVE | libc::MAP_FIXED;
    map_as(start.addr() + bytes, FENCE, libc::PROT_NONE, replace);
    Some(start)
}

#[inline]
fn map_as(hint: usize, bytes: usize, access: i32, more: i32) -> Option<*mut u8> {
    let saved = errno();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | more;
    // SAFETY: a fresh anonymous mapping touches no existing memory; `map_fenced` replaces pages
    // that are not used.
    let start = unsafe { mmap(ptr::without_provenance_mut(hint), bytes, access, flags) };
    set_errno(saved);
    (start != libc::MAP_FAILED).then_some(start.cast())
}

/// The program's own `mmap`, or null.
#[cfg(feature = "announced-threads")]
static PROGRAMS_MMAP: AtomicPtr<libc::c_void> = AtomicPtr::new(ptr::null_mut());

/// The program has an `mmap` of its own.
#[cfg(feature = "announced-threads")]
pub(crate) fn map_by(mmap: *const libc::c_void) {
    PROGRAMS_MMAP.store(mmap.cast_mut(), Ordering::Relaxed);
}

/// The system's `mmap` of anonymous memory. The shim has an `mmap`, which is not for the heap
/// itself: there it is the program's, or the system call.
///
/// # Safety
/// With `MAP_FIXED` the contents of these pages are not needed.
#[inline(always)]
unsafe fn mmap(at: *mut libc::c_void, bytes: usize, access: i32, flags: i32) -> *mut libc::c_void {
    #[cfg(all(feature = "announced-threads", not(target_arch = "s390x")))]
    {
        type Map = unsafe extern "C" fn(
            *mut libc::c_void,
            usize,
            i32,
            i32,
            i32,
            libc::off_t,
        ) -> *mut libc::c_void;
        let programs = PROGRAMS_MMAP.load(Ordering::Relaxed);
        // SAFETY: every definition of `mmap` has this type; the caller's duties. (Arguments of the
        // system call as wide as registers.)
        unsafe {
            if !programs.is_null() {
                let mmap: Map = core::mem::transmute(programs);
                return mmap(at, bytes, access, flags, -1, 0);
            }
            let [access, flags, file, offset] =
                [access, flags, -1, 0].map(|word| word as libc::c_long);
            let start = libc::syscall(libc::SYS_mmap, at, bytes, access, flags, file, offset);
            ptr::with_exposed_provenance_mut(start as usize)
        }
    }
    #[cfg(not(all(feature = "announced-threads", not(target_arch = "s390x"))))]
    // SAFETY: the caller's duties.
    unsafe {
        libc::mmap(at, bytes, access, flags, -1, 0)
    }
}

/// Gives a region, or whole pages of one, back to the system. False when the system refuses:
/// cutting a region in two takes an entry in its table of mappings, which is limited. Keeps errno.
///
/// # Safety
/// The pages came from a function above, and nothing in them is used any more.
pub(crate) unsafe fn unmap(start: *mut u8, bytes: usize) -> bool {
    let saved = errno();
    // SAFETY: whole pages from `map`, no longer used (caller).
    let result = unsafe {
        // A sanitizer that the library is built for sees that the pages go. Another one may be in
        // the program, and have a munmap that is not ready when the first block is allocated.
        if cfg!(memoman_instrumented) {
            libc::munmap(start.cast(), bytes).into()
        } else {
            libc::syscall(libc::SYS_munmap, start, bytes)
        }
    };
    set_errno(saved);
    result == 0
}

/// Resizes a region, or whole pages of one, to `to` bytes, and moves it where it has no room. What
/// is new reads as zero. None when the system refuses; nothing has changed then. Keeps errno.
///
/// # Safety
/// The pages came from [`map`]. On success the former addresses are not used any more.
#[cfg(not(memoman_debug))]
pub(crate) unsafe fn remap(
    start: *mut u8,
    from: usize,
    to: usize,
    may_move: bool,
) -> Option<*mut u8> {
    // A sanitizer does not see that addresses change hands here.
    if cfg!(memoman_instrumented) {
        return None;
    }
    let saved = errno();
    // (By number, as the others below: a name to look up takes more of the library's file.)
    let flags = if may_move { libc::MREMAP_MAYMOVE } else { 0 } as libc::c_long;
    // SAFETY: whole pages from `map`, whose addresses only the caller knows.
    let start = unsafe { libc::syscall(libc::SYS_mremap, start, from, to, flags) };
    set_errno(saved);
    #[cfg(feature = "announced-threads")]
    if start != -1 {
        sandbox::note_remapped();
    }
    (start != -1).then_some(ptr::with_exposed_provenance_mut(start as usize))
}

/// Whether most of these whole pages are in memory, as far as eight of them show. False where a
/// filter may end the process at this question, and in the library, which has no room for it.
/// Keeps errno.
#[cfg(not(memoman_debug))]
pub(crate) fn is_in_memory(start: *mut u8, bytes: usize) -> bool {
    const LOOKS: usize = 8;
    let asks = cfg!(all(target_arch = "x86_64", feature = "announced-threads"));
    if !asks || sync::needs_fences() {
        return false;
    }
    let page = page_size();
    let saved = errno();
    let present = (0..LOOKS).filter(|look| {
        let at = start.wrapping_add((bytes / LOOKS * look) & !(page - 1));
        let mut state = 0u8;
        // SAFETY: the system writes one byte for one page, and only looks for that page.
        let result = unsafe { libc::syscall(libc::SYS_mincore, at, page, &raw mut state) };
        result == 0 && state & 1 != 0
    });
    let most = present.count() > LOOKS / 2;
    set_errno(saved);
    most
}

/// Releases the OS pages that lie wholly inside these bytes; they read as zero when touched again.
/// Returns the number of bytes released; 0 when the system refuses, as for locked pages. Keeps
/// errno.
///
/// # Safety
/// The bytes are part of a region from [`map`], and their contents are not needed.
pub(crate) unsafe fn discard(start: *mut u8, bytes: usize, page: usize) -> usize {
    let skip = start.addr().wrapping_neg() & (page - 1);
    let inside = bytes.saturating_sub(skip) & !(page - 1);
    if inside == 0 {
        return 0;
    }
    let start = start.wrapping_add(skip);
    #[cfg(all(feature = "announced-threads", not(memoman_debug)))]
    if !sandbox::permits_advice() {
        // SAFETY: whole pages inside the caller's bytes.
        return unsafe { renew(start, inside) };
    }
    let saved = errno();
    // SAFETY: whole pages inside the caller's bytes.
    let result = unsafe { libc::syscall(libc::SYS_madvise, start, inside, libc::MADV_DONTNEED) };
    set_errno(saved);
    if result == 0 { inside } else { 0 }
}

/// [`discard`] of whole pages by fresh ones in their place.
///
/// # Safety
/// The duties of [`discard`].
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
#[cold]
unsafe fn renew(start: *mut u8, bytes: usize) -> usize {
    const FLAGS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    if !sandbox::may_renew() {
        return 0;
    }
    let saved = errno();
    // SAFETY: the contents of these pages are not needed (caller).
    let renewed =
        (0..2).any(|_| unsafe { mmap(start.cast(), bytes, READ_WRITE, FLAGS) == start.cast() });
    set_errno(saved);
    if !renewed {
        // Most refusals leave the pages as they are. If not, the process ends here, and not where
        // another mapping has come to these addresses.
        // SAFETY: the pages are the caller's.
        unsafe { start.read_volatile() };
        return 0;
    }
    bytes
}

/// Has the system clear these pages in each child. False when it refuses. Keeps errno.
///
/// # Safety
/// Whole pages from [`map`], which are the caller's.
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
pub(crate) unsafe fn wipe_in_children(start: *mut u8, bytes: usize) -> bool {
    let saved = errno();
    // SAFETY: the pages are the caller's, and their contents in this process stay.
    let result = unsafe { libc::syscall(libc::SYS_madvise, start, bytes, libc::MADV_WIPEONFORK) };
    set_errno(saved);
    result == 0
}

/// The size of an OS page, from the auxiliary vector: no system call.
pub(crate) fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: getauxval has no precondition.
            let size = unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize;
            let size = if size.is_power_of_two() { size } else { 4096 };
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// Locks a region in memory; false, with the reason in errno, when the system refuses.
pub(crate) fn lock(start: *mut u8, bytes: usize) -> bool {
    #[cfg(all(feature = "announced-threads", not(memoman_debug)))]
    sandbox::note_locked();
    // SAFETY: mlock changes no contents.
    unsafe { libc::syscall(libc::SYS_mlock, start, bytes) == 0 }
}

/// Reads words of this process that may not be there. Keeps errno.
#[cfg(memoman_debug)]
pub(crate) fn read<const WORDS: usize>(from: usize) -> Option<[usize; WORDS]> {
    const WORD: usize = size_of::<usize>();
    let mut words = [0; WORDS];
    let to = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: WORDS * WORD,
    };
    let place = libc::iovec {
        iov_base: ptr::without_provenance_mut(from),
        iov_len: WORDS * WORD,
    };
    let saved = errno();
    // SAFETY: the system writes at most the bytes of `words`, and checks the place that it reads.
    let bytes = unsafe { libc::process_vm_readv(libc::getpid(), &to, 1, &place, 1, 0) };
    set_errno(saved);
    (bytes == (WORDS * WORD) as isize).then_some(words)
}
