//! glibc's functions that return figures of the heap or give memory back.

use core::ffi::c_int;

use memoman_global as heap;

/// glibc's `struct mallinfo2`, fields in its order: numbers of blocks in `ordblks`, `smblks` and
/// `hblks`, bytes in the others. As in glibc, blocks with a mapping of their own are there only.
#[repr(C)]
pub struct MallInfo2 {
    /// Bytes of all pools.
    arena: usize,
    /// Free blocks, cached ones included, counted up to a bound of the lock's time.
    ordblks: usize,
    /// Blocks in the threads' caches. (glibc: in fastbins.)
    smblks: usize,
    /// Live blocks with a mapping of their own.
    hblks: usize,
    hblkhd: usize,
    /// Peak bytes in use. (glibc: 0.)
    usmblks: usize,
    fsmblks: usize,
    /// Bytes in use.
    uordblks: usize,
    /// Free bytes, cached ones included.
    fordblks: usize,
    /// The largest request that succeeds without growing. (glibc: bytes at the top that
    /// can be returned.)
    keepcost: usize,
}

/// glibc's older `struct mallinfo`: the fields of [`MallInfo2`] as ints.
#[repr(C)]
pub struct MallInfo {
    arena: c_int,
    ordblks: c_int,
    smblks: c_int,
    hblks: c_int,
    hblkhd: c_int,
    usmblks: c_int,
    fsmblks: c_int,
    uordblks: c_int,
    fordblks: c_int,
    keepcost: c_int,
}

/// glibc's `mallinfo2`.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo2() -> MallInfo2 {
    let info = heap::info();
    MallInfo2 {
        arena: info.stats.pool_bytes - info.large_bytes,
        ordblks: info.free_blocks,
        smblks: info.cached_blocks,
        hblks: info.large_blocks,
        hblkhd: info.large_bytes,
        usmblks: info.stats.peak,
        fsmblks: info.cached_bytes,
        uordblks: info.stats.used - info.large_bytes,
        fordblks: info.stats.free,
        keepcost: info.stats.largest,
    }
}

/// glibc's `mallinfo`: a figure that does not fit an int is the largest int, where glibc wraps.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo() -> MallInfo {
    let info = mallinfo2();
    let int = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    MallInfo {
        arena: int(info.arena),
        ordblks: int(info.ordblks),
        smblks: int(info.smblks),
        hblks: int(info.hblks),
        hblkhd: int(info.hblkhd),
        usmblks: int(info.usmblks),
        fsmblks: int(info.fsmblks),
        uordblks: int(info.uordblks),
        fordblks: int(info.fordblks),
        keepcost: int(info.keepcost),
    }
}

/// glibc's `mallopt`: without effect. Accepted, apart from the value that glibc refuses.
#[unsafe(no_mangle)]
pub extern "C" fn mallopt(parameter: c_int, value: c_int) -> c_int {
    const M_MXFAST: c_int = 1;
    const MXFAST_MAX: c_int = 80 * size_of::<usize>() as c_int / 4;
    c_int::from(parameter != M_MXFAST || (0..=MXFAST_MAX).contains(&value))
}

/// glibc's `malloc_info`: the figures as XML. `options` is 0, else EINVAL is returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_info(options: c_int, file: *mut libc::FILE) -> c_int {
    if options != 0 {
        return libc::EINVAL;
    }
    heap::with_xml(|text| {
        // SAFETY: the text is readable, and the file open for writing (caller).
        unsafe { libc::fwrite(text.as_ptr().cast(), 1, text.len(), file) };
    });
    0
}

/// glibc's `malloc_trim`: 1 if memory was returned to the system.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(pad: usize) -> c_int {
    c_int::from(heap::trim(pad))
}

/// glibc's `malloc_stats`: the table on stderr.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_stats() {
    heap::print_table();
}
