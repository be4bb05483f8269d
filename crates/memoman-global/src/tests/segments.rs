//! The size of a segment.

use crate::allocator::{ALIGN, HEADER};
use crate::process::map::UNIT;
use crate::process::segments::segment_sizes;
use crate::thread::heap::{REQUEST_MAX, ThreadHeap};
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// A new heap with a segment of `size` bytes serves this request.
fn serves(size: usize, align: usize, bytes: usize) -> bool {
    let layouts = [
        Layout::new::<ThreadHeap>(),
        Layout::from_size_align(size, UNIT).unwrap(),
    ];
    // SAFETY: heap and pool are zeroed memory that only this function uses.
    unsafe {
        let [heap, pool] = layouts.map(|layout| alloc_zeroed(layout));
        let _ = pool.expose_provenance();
        ThreadHeap::open(heap.cast());
        let added = ThreadHeap::tlsf(heap.cast()).add_pool(pool, size - HEADER);
        let served = added.is_some() && ThreadHeap::allocate(heap.cast(), align, bytes).is_ok();
        dealloc(pool, layouts[1]);
        dealloc(heap, layouts[0]);
        served
    }
}

#[test]
fn the_least_segment_holds_the_request_and_is_no_unit_too_large() {
    for align in [ALIGN, 64, 4096, REQUEST_MAX / 2] {
        let most = if align == ALIGN {
            REQUEST_MAX
        } else {
            REQUEST_MAX / 2
        };
        for end in (UNIT..=most + align).step_by(UNIT) {
            for sum in (end - 250..end + 50).filter(|&sum| sum > align && sum - align <= most) {
                let bytes = sum - align;
                let [_, least] = segment_sizes(0, align, bytes);
                assert!(serves(least, align, bytes), "{align} {bytes} {least}");
                if sum < end - 200 {
                    assert_eq!(least, end, "{align} {bytes}");
                }
            }
        }
    }
}

#[test]
fn a_segment_is_a_sixteenth_of_the_heap_within_bounds_and_whole_units() {
    for (heap, segment) in [
        (0, 64 << 10),
        (1 << 20, 64 << 10),
        (3 << 20, 192 << 10),
        ((3 << 20) + 1000, 192 << 10),
        ((3 << 20) + (1 << 18), 208 << 10),
        (16 << 20, 1 << 20),
        (1 << 30, 1 << 20),
    ] {
        assert_eq!(segment_sizes(heap, ALIGN, 100), [segment, UNIT]);
    }
    assert_eq!(segment_sizes(0, 16 << 10, 16 << 10), [64 << 10, 48 << 10]);
}
