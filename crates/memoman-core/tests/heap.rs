//! The Rust interface: borrows, errors, and the collections of `allocator-api2`. (The documentation
//! of `Heap` and `Boxed` has the code that must not compile.)

#![cfg_attr(feature = "nightly", feature(allocator_api))]

use std::alloc::Layout;
use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use memoman_core::{Heap, Invariant, Memory, Misuse, Refusal, Step, Tlsf};

/// Memory of its own for a heap.
fn memory(bytes: usize) -> Box<Memory> {
    vec![MaybeUninit::uninit(); bytes].into_boxed_slice()
}

/// A heap of 64 KiB, in leaked memory.
fn heap() -> Heap<'static> {
    Heap::new(Box::leak(memory(64 * 1024))).expect("64 KiB hold a heap")
}

#[test]
fn group_c_memory_of_any_length_and_address_makes_a_heap_or_none() {
    let smallest = (0..2_000)
        .find(|&bytes| Heap::new(&mut memory(bytes)).is_some())
        .expect("2,000 bytes hold a heap");
    assert!(smallest > Heap::control_size(0) && smallest < 1024);
    for skip in 0..16 {
        let mut memory = memory(4096);
        let heap =
            Heap::with_max_block(&mut memory[skip..], 1000).expect("4 KiB hold a small heap");
        assert_eq!(heap.validate(), Ok(()));
        assert!(heap.allocate(Layout::new::<[u8; 1000]>()).is_ok());
    }
    for bytes in 0..2048 {
        if let Some(heap) = Heap::with_max_block(&mut memory(bytes), 64) {
            assert_eq!(heap.validate(), Ok(()), "{bytes} bytes");
        }
    }
    assert!(Heap::with_max_block(&mut memory(4096), usize::MAX).is_none());
}

#[test]
fn group_b_every_layout_is_served_with_its_alignment() {
    let heap = heap();
    for align in (0..13).map(|log2| 1 << log2) {
        for size in [1, 24, 100, 1000] {
            let layout = Layout::from_size_align(size, align).unwrap();
            let block = heap.allocate(layout).unwrap();
            assert_eq!(block.addr().get() % align, 0, "{layout:?}");
            // SAFETY: a block of this heap and layout, freed once.
            unsafe {
                block.write_bytes(0xA5, size);
                heap.deallocate(block, layout).unwrap();
            }
        }
    }
    assert_eq!(heap.stats().live_blocks, 0);
}

#[test]
fn what_has_no_size_takes_no_memory() {
    let heap = heap();
    let unit = heap.boxed(()).unwrap();
    let aligned = Layout::from_size_align(0, 256).unwrap();
    let block = heap.allocate(aligned).unwrap();
    assert_eq!(block.addr().get() % 256, 0);
    assert_eq!(heap.stats().live_blocks, 0);
    let bytes = Layout::new::<[u8; 100]>();
    // SAFETY: from size 0 to a block of this heap, and back to size 0.
    unsafe {
        let grown = heap.reallocate(block, aligned, bytes).unwrap();
        assert_eq!(heap.stats().live_blocks, 1);
        let gone = heap.reallocate(grown, bytes, aligned).unwrap();
        heap.deallocate(gone, aligned).unwrap();
    }
    drop(unit);
    assert_eq!(heap.stats().live_blocks, 0);
}

#[test]
fn group_g_reallocate_keeps_contents_and_alignment() {
    let heap = heap();
    let small = Layout::from_size_align(200, 128).unwrap();
    let large = Layout::from_size_align(9000, 128).unwrap();
    let block = heap.allocate(small).unwrap();
    let wall = heap.allocate(small).unwrap();
    // SAFETY: blocks of this heap and these layouts, each freed once.
    unsafe {
        block.write_bytes(0x5A, 200);
        let grown = heap.reallocate(block, small, large).unwrap();
        assert_eq!(grown.addr().get() % 128, 0);
        assert!((0..200).all(|i| grown.add(i).read() == 0x5A));
        let too_large = Layout::from_size_align(1 << 20, 128).unwrap();
        assert_eq!(
            heap.reallocate(grown, large, too_large),
            Err(Refusal::Exhausted)
        );
        assert!((0..200).all(|i| grown.add(i).read() == 0x5A));
        heap.deallocate(grown, large).unwrap();
        heap.deallocate(wall, small).unwrap();
    }
    assert_eq!(heap.stats().live_blocks, 0);
}

#[test]
fn group_c_a_removed_pool_is_the_callers_memory_again() {
    let mut more = memory(8192);
    let place = more.as_ptr();
    let mut first = memory(64 * 1024);
    let mut heap = Heap::new(&mut first).unwrap();
    let before = heap.stats();
    let pool = heap.add_pool(&mut more[3..]).unwrap();
    assert_eq!(pool.bytes(), 8189);
    assert!(heap.stats().pool_bytes > before.pool_bytes);
    let back = heap.remove_pool(pool).unwrap();
    assert_eq!((back.as_ptr(), back.len()), (place.wrapping_add(3), 8189));
    back.fill(MaybeUninit::new(0xFF));
    assert_eq!(heap.stats(), before);
    assert_eq!(heap.validate(), Ok(()));
}

#[test]
fn group_c_a_pool_is_removed_from_its_own_heap_only() {
    let (mut one, mut two) = (heap(), heap());
    let pool = one.add_pool(Box::leak(memory(4096))).unwrap();
    let pool = two.remove_pool(pool).expect_err("it is the other's");
    assert_eq!((one.validate(), two.validate()), (Ok(()), Ok(())));
    assert!(one.remove_pool(pool).is_ok());
    assert!(two.add_pool(Box::leak(memory(24))).is_none());
}

#[derive(Debug)]
struct Counted<'a>(&'a Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_boxed_value_is_dropped_once_and_its_block_freed() {
    let dropped = Cell::new(0);
    let heap = heap();
    let mut values: Vec<_> = (0..100)
        .map(|_| heap.boxed(Counted(&dropped)).expect("there is room"))
        .collect();
    assert_eq!(heap.stats().live_blocks, 100);
    values.truncate(40);
    assert_eq!((dropped.get(), heap.stats().live_blocks), (60, 40));
    drop(values);
    assert_eq!((dropped.get(), heap.stats().live_blocks), (100, 0));
    assert_eq!(heap.boxed([7u8; 70_000]).err(), Some([7; 70_000]));
}

#[test]
fn a_heap_moves_and_goes_to_another_thread() {
    let mut memory = memory(64 * 1024);
    let heap = Heap::new(&mut memory).unwrap();
    let heap = std::thread::scope(|scope| {
        scope
            .spawn(move || {
                let sum: u64 = (0..100).map(|n| *heap.boxed(n).unwrap()).sum();
                assert_eq!(sum, 4950);
                heap
            })
            .join()
            .unwrap()
    });
    assert_eq!(heap.stats().live_blocks, 0);
    assert_eq!(heap.validate(), Ok(()));
}

#[test]
fn reset_gives_up_all_blocks() {
    let mut heap = heap();
    let fresh = heap.stats();
    std::mem::forget(heap.boxed([1u8; 5000]));
    let mut used = 0;
    heap.walk(|_, bytes, in_use| used += if in_use { bytes } else { 0 });
    assert!(used >= 5000);
    assert!(heap.reset());
    assert_eq!(heap.stats().largest, fresh.largest);
    heap.walk(|_, _, in_use| assert!(!in_use));
}

#[test]
fn group_i_misuse_is_told_and_changes_nothing() {
    let heap = heap();
    let layout = Layout::new::<[u64; 4]>();
    let block = heap.allocate(layout).unwrap();
    let mut outside = 0u64;
    // SAFETY: the headers show each violation here, so it is refused.
    unsafe {
        let foreign = NonNull::from(&mut outside).cast();
        assert_eq!(heap.deallocate(foreign, layout), Err(Misuse::Foreign));
        assert!(heap.usable_size(block).unwrap() >= 32);
        heap.deallocate(block, layout).unwrap();
        assert_eq!(heap.deallocate(block, layout), Err(Misuse::DoubleFree));
        assert_eq!(
            heap.reallocate(block, layout, Layout::new::<[u64; 8]>()),
            Err(Refusal::Misuse(Misuse::DoubleFree, block.as_ptr()))
        );
    }
    assert_eq!(heap.validate(), Ok(()));
    assert!(
        Refusal::Misuse(Misuse::DoubleFree, block.as_ptr())
            .to_string()
            .starts_with("double free: 0x")
    );
}

#[test]
fn an_overwritten_heap_ends_in_a_panic_where_nothing_can_be_returned() {
    let heap = heap();
    let mut first = heap.boxed([1u64; 3]).unwrap();
    let second = heap.boxed(String::from("still dropped")).unwrap();
    first[0] = 7;
    assert_eq!(
        format!("{first:?} {second:?}"),
        r#"[7, 1, 1] "still dropped""#
    );
    // An overflow of the first value into the header of the second one.
    // SAFETY: memory of the heap, whose headers are tested before they are used.
    unsafe { (&raw mut *first).cast::<u64>().add(3).write(0) };
    let end = catch_unwind(AssertUnwindSafe(|| drop(second))).unwrap_err();
    assert_eq!(
        end.downcast_ref::<String>().unwrap(),
        "memoman: not a live block (or its header is overwritten)"
    );
    std::mem::forget(first);
}

#[test]
fn an_overwritten_free_block_is_not_handed_out() {
    let heap = heap();
    let layout = Layout::new::<[u64; 4]>();
    let freed = heap.allocate(layout).unwrap();
    // Not dropped: that would find the damage too.
    let _wall = ManuallyDrop::new(heap.boxed(1u8).unwrap());
    // SAFETY: a live block, freed; the write after free stays inside the heap.
    unsafe {
        heap.deallocate(freed, layout).unwrap();
        freed.cast::<usize>().write(1);
    }
    let refusal = heap.allocate(layout).unwrap_err();
    assert_eq!(
        refusal,
        Refusal::Misuse(Misuse::SmashedLink, freed.as_ptr())
    );
    let end = catch_unwind(AssertUnwindSafe(|| heap.boxed([0u64; 4]))).unwrap_err();
    assert_eq!(
        end.downcast_ref::<String>().unwrap(),
        "memoman: free-list link overwritten"
    );
    assert!(format!("{heap:?}").contains("live_blocks: 1"));
    assert_eq!(
        Refusal::Exhausted.to_string(),
        "no free block is large enough"
    );
    assert_eq!(
        Refusal::Invalid.to_string(),
        "size of zero or alignment that is no power of two"
    );
}

#[test]
fn validation_whole_and_in_steps_finds_what_is_overwritten() {
    let heap = heap();
    let blocks: Vec<_> = (0..20u64)
        .map(|n| ManuallyDrop::new(heap.boxed(n).unwrap()))
        .collect();
    let mut steps = heap.steps();
    let count = (1..).find(|_| steps.step(5) != Step::More).unwrap();
    assert!(count >= 4, "{count} steps of 5 blocks each");
    // SAFETY: a live block's header, which is tested before it is used.
    unsafe { (&raw const **blocks[7]).cast_mut().sub(1).write(!0) };
    let violation = heap.validate().unwrap_err();
    assert_eq!(violation.invariant, Invariant::Tiling);
    assert_eq!(steps.step(100), Step::Broken(violation));
    assert!(!heap.raw().as_raw().is_null());
}

#[test]
fn the_control_structure_takes_what_the_core_says() {
    for most in [1, 1024, 1 << 20, usize::MAX] {
        assert_eq!(Heap::control_size(most), Tlsf::control_size(most));
    }
    assert!(Heap::control_size(1024) > 100);
}

#[cfg(feature = "allocator-api2")]
mod collections {
    use super::{AssertUnwindSafe, Heap, catch_unwind, heap, memory};
    use allocator_api2::alloc::Allocator;
    use allocator_api2::boxed::Box as BoxIn;
    use allocator_api2::vec::Vec as VecIn;
    use std::alloc::Layout;

    #[test]
    fn a_vector_grows_and_shrinks_in_the_heap() {
        let heap = heap();
        let mut numbers = VecIn::new_in(&heap);
        for n in 0..5000u32 {
            numbers.push(n);
        }
        assert!(heap.stats().used > 20_000);
        numbers.truncate(10);
        numbers.shrink_to_fit();
        assert!(heap.stats().used < 100);
        assert!(numbers.iter().copied().eq(0..10));
        let nested = BoxIn::new_in([numbers], &heap);
        drop(nested);
        assert_eq!(heap.stats().live_blocks, 0);
    }

    /// A hash table that grows, shrinks and is cloned: hashbrown takes allocator-api2 0.2.
    #[cfg(feature = "allocator-api2-02")]
    #[test]
    fn a_hash_table_lives_in_the_heap() {
        use hashbrown::{DefaultHashBuilder, HashMap};
        let heap = heap();
        let mut squares = HashMap::with_hasher_in(DefaultHashBuilder::default(), &heap);
        for n in 0..1000u32 {
            squares.insert(n, n * n);
        }
        assert!(heap.stats().used > 8000);
        squares.retain(|n, _| n % 100 == 0);
        squares.shrink_to_fit();
        let copy = squares.clone();
        drop(squares);
        assert!((0..10).all(|n| copy[&(n * 100)] == n * n * 10_000));
        assert!(heap.stats().used < 1000);
        drop(copy);
        assert_eq!(heap.stats().live_blocks, 0);
        let mut full: HashMap<u64, u64, _, _> =
            HashMap::with_hasher_in(DefaultHashBuilder::default(), &heap);
        assert!(full.try_reserve(100_000).is_err() && full.is_empty());
    }

    /// The calls of the trait, for one of its versions.
    macro_rules! calls {
        ($name:ident, $feature:literal, $alloc:path) => {
            #[cfg(feature = $feature)]
            #[test]
            fn $name() {
                use $alloc as api;
                let heap = &heap();
                let (small, large) = (Layout::new::<[u8; 10]>(), Layout::new::<[u8; 500]>());
                // SAFETY: a block of this heap, its layout kept up to date.
                unsafe {
                    let block = api::allocate_zeroed(&heap, small).unwrap().cast::<u8>();
                    block.write_bytes(3, 10);
                    let grown = api::grow(&heap, block, small, large).unwrap().cast::<u8>();
                    let back = api::shrink(&heap, grown, large, small)
                        .unwrap()
                        .cast::<u8>();
                    assert!((0..10).all(|at| back.add(at).read() == 3));
                    api::deallocate(&heap, back, small);
                }
                assert!(api::allocate(&heap, Layout::new::<[u8; 100_000]>()).is_err());
                assert_eq!(api::allocate(&heap, Layout::new::<()>()).unwrap().len(), 0);
                assert_eq!(heap.stats().live_blocks, 0);
            }
        };
    }
    calls!(
        calls_of_0_2,
        "allocator-api2-02",
        allocator_api2_02::alloc::Allocator
    );
    calls!(
        calls_of_0_3,
        "allocator-api2-03",
        allocator_api2_03::alloc::Allocator
    );
    calls!(
        calls_of_0_4,
        "allocator-api2",
        allocator_api2::alloc::Allocator
    );
    calls!(calls_of_nightly, "nightly", std::alloc::Allocator);

    #[test]
    fn want_of_memory_is_an_error_and_the_vector_is_as_it_was() {
        let mut memory = memory(2048);
        let heap = Heap::with_max_block(&mut memory, 1024).unwrap();
        let mut bytes = VecIn::new_in(&heap);
        bytes.extend_from_slice(b"stays");
        assert!(bytes.try_reserve_exact(100_000).is_err());
        assert_eq!(bytes.as_slice(), b"stays");
    }

    #[test]
    fn grown_bytes_are_zero_when_zeros_are_asked_for() {
        let heap = &heap();
        let (small, large) = (Layout::new::<[u8; 30]>(), Layout::new::<[u8; 3000]>());
        // SAFETY: blocks of this heap and these layouts.
        unsafe {
            let dirty = heap.allocate(large).unwrap();
            dirty.write_bytes(0xFF, 3000);
            heap.deallocate(dirty, large).unwrap();
            let block = Allocator::allocate(&heap, small).unwrap().cast::<u8>();
            block.write_bytes(1, 30);
            let grown = heap.grow_zeroed(block, small, large).unwrap();
            let bytes = grown.as_ref();
            assert!(bytes[..30].iter().all(|&byte| byte == 1));
            assert!(bytes[30..].iter().all(|&byte| byte == 0));
            Allocator::deallocate(&heap, grown.cast(), large);
        }
    }

    #[test]
    fn misuse_panics_where_nothing_can_be_returned() {
        let heap = &heap();
        let layout = Layout::new::<u64>();
        let block = Allocator::allocate(&heap, layout).unwrap().cast::<u8>();
        // SAFETY: a live block; the heap must report the second free.
        unsafe { Allocator::deallocate(&heap, block, layout) };
        let second = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the second free, which the heap must report.
            unsafe { Allocator::deallocate(&heap, block, layout) }
        }));
        let message = second.unwrap_err();
        assert_eq!(
            message.downcast_ref::<String>().unwrap(),
            "memoman: double free"
        );
    }
}
