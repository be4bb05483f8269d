//! glibc's functions that return figures of the heap or give memory back.

use core::ffi::c_int;

use memoman_global as heap;

/// glibc's `struct mallinfo2`, fields in its order. Unused fields are 0; the others are bytes.
#[repr(C)]
pub struct MallInfo2 {
    /// All pools.
    arena: usize,
    /// Free blocks (glibc: chunks): not counted, 0.
    ordblks: usize,
    smblks: usize,
    hblks: usize,
    hblkhd: usize,
    /// Peak bytes in use. (glibc: the most ever allocated.)
    usmblks: usize,
    fsmblks: usize,
    /// Bytes in use.
    uordblks: usize,
    /// Free bytes.
    fordblks: usize,
    /// The greatest request that can be served without growing. (glibc: bytes at the top that
    /// can be given back.)
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
    let stats = heap::stats();
    MallInfo2 {
        arena: stats.pool_bytes,
        ordblks: 0,
        smblks: 0,
        hblks: 0,
        hblkhd: 0,
        usmblks: stats.peak,
        fsmblks: 0,
        uordblks: stats.used,
        fordblks: stats.free,
        keepcost: stats.largest,
    }
}

/// glibc's `mallinfo`: a figure that does not fit an int is the greatest int, where glibc wraps.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo() -> MallInfo {
    let info = mallinfo2();
    let int = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    MallInfo {
        arena: int(info.arena),
        ordblks: 0,
        smblks: 0,
        hblks: 0,
        hblkhd: 0,
        usmblks: int(info.usmblks),
        fsmblks: 0,
        uordblks: int(info.uordblks),
        fordblks: int(info.fordblks),
        keepcost: int(info.keepcost),
    }
}

/// glibc's `mallopt`: accepted, and without effect.
#[unsafe(no_mangle)]
pub extern "C" fn mallopt(_parameter: c_int, _value: c_int) -> c_int {
    1
}

/// glibc's `malloc_trim`: 1 if memory went back to the system.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(pad: usize) -> c_int {
    c_int::from(heap::trim(pad))
}

/// glibc's `malloc_stats`: the table on stderr.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_stats() {
    heap::print_table();
}
