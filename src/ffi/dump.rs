//! Measure and dump: walks over the whole heap.

use core::ffi::{c_int, c_void};

use memoman_core::{DumpFormat, GAPS, Measure, POWERS};

use super::types::{
    MM_DUMP_JSON, MM_DUMP_TEXT, MM_GAPS, MM_POWERS, mm_allocator_t, mm_measure_t, mm_writer,
};
use super::{session, truth};

// The header's struct has the layout of the core's.
const _: () = {
    assert!(size_of::<mm_measure_t>() == size_of::<Measure>());
    assert!(align_of::<mm_measure_t>() == align_of::<Measure>());
    assert!(MM_POWERS == POWERS && MM_GAPS == GAPS);
};

/// Walks over all blocks and fills `out` with what mm_stats cannot know: numbers
/// of blocks by size, the largest gaps, external fragmentation. Returns 1; 0,
/// with nothing written, if the handle or `out` is NULL or the walk finds an
/// overwritten header. Allocates nothing. Under the debug library sizes include
/// what it keeps around a block, and a block in quarantine counts as free.
/// O(blocks).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_measure(
    allocator: *mut mm_allocator_t,
    out: *mut mm_measure_t,
) -> c_int {
    // SAFETY: boundary rules; `out` is NULL or the caller's struct (documented), which has the
    // layout of the core's (asserted above).
    unsafe {
        match (session(allocator), out.cast::<Measure>().is_null()) {
            (Some(tlsf), false) => match tlsf.measure() {
                Some(measure) => {
                    out.cast::<Measure>().write(measure);
                    1
                }
                None => 0,
            },
            _ => 0,
        }
    }
}

/// Writes the whole heap, its pools, blocks, free lists and counters, in
/// `format`, MM_DUMP_TEXT or MM_DUMP_JSON, through `write`, to which `user` is
/// passed. Allocates nothing and changes nothing. On a damaged heap it says what
/// is broken and where, and writes the parts that can still be reached. Returns
/// 1 if the whole heap was written and no damage was found; 0 if not, if `write`
/// stopped it, or, with nothing written, if the handle or `write` is NULL or the
/// format is unknown. O(blocks times pools) in the worst case, since a free list
/// may link blocks of different pools.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_dump(
    allocator: *mut mm_allocator_t,
    write: mm_writer,
    user: *mut c_void,
    format: c_int,
) -> c_int {
    let format = match format {
        MM_DUMP_TEXT => DumpFormat::Text,
        MM_DUMP_JSON => DumpFormat::Json,
        _ => return 0,
    };
    // SAFETY: boundary rules; the writer is the caller's C function and does not change the
    // allocator (documented).
    unsafe {
        let (Some(tlsf), Some(write)) = (session(allocator), write) else {
            return 0;
        };
        let mut pass =
            |text: &[u8]| tlsf.interrupted(|| write(text.as_ptr().cast(), text.len(), user) != 0);
        truth(tlsf.dump(format, &mut pass))
    }
}
