//! Observers of a heap and handlers of exhausted requests: one event for each change, one retry, no
//! change from within.
#![cfg(not(memoman_small))]

use std::alloc::Layout;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Mutex;

use memoman_core::{Access, DumpFormat, Event, EventKind, Heap, Misuse, Refusal, Shortage, Tlsf};

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 1).unwrap()
}

#[test]
fn every_change_of_a_heap_is_an_event() {
    let seen = Mutex::new(Vec::new());
    let mut observe = |event: &Event| {
        seen.lock()
            .unwrap()
            .push((event.kind, event.pointer.addr(), event.old.addr()));
    };
    let mut more = [const { MaybeUninit::uninit() }; 32 * 1024];
    let mut memory = [const { MaybeUninit::uninit() }; 32 * 1024];
    let mut heap = Heap::new(&mut memory).unwrap();
    heap.set_observer(&mut observe);
    let wide = Layout::from_size_align(100, 256).unwrap();
    // SAFETY: blocks of this heap with these layouts.
    unsafe {
        let a = heap.allocate(layout(100)).unwrap();
        let b = heap.allocate(wide).unwrap();
        let c = heap.reallocate(a, layout(100), layout(900)).unwrap();
        assert_eq!(heap.allocate(layout(1 << 20)), Err(Refusal::Exhausted));
        assert_eq!(
            heap.reallocate(c, layout(900), layout(1 << 20)),
            Err(Refusal::Exhausted)
        );
        heap.deallocate(b, wide).unwrap();
        assert_eq!(heap.deallocate(b, wide), Err(Misuse::DoubleFree));
        heap.reallocate(c, layout(900), layout(0)).unwrap();
        let pool = heap.add_pool(&mut more).unwrap();
        assert!(heap.remove_pool(pool).is_ok());
        assert!(heap.reset());
        let found = std::mem::take(&mut *seen.lock().unwrap());
        use EventKind::*;
        let kinds: Vec<_> = found.iter().map(|(kind, ..)| *kind).collect();
        assert_eq!(
            kinds,
            [
                Malloc,
                Memalign,
                Realloc,
                Failed,
                Failed,
                Free,
                Free,
                PoolAdded,
                PoolRemoved,
                Reset
            ]
        );
        assert_eq!(found[2], (Realloc, c.addr().get(), a.addr().get()));
        assert_eq!(found[4], (Failed, 0, c.addr().get()));
        assert_eq!(found[5], (Free, b.addr().get(), 0));
    }
    // What reads the heap works while it is observed.
    assert_eq!(heap.validate(), Ok(()));
    let block = heap.allocate(layout(50)).unwrap();
    // SAFETY: a block of this heap.
    assert!(unsafe { heap.usable_size(block) }.unwrap() >= 50);
    assert!(heap.measure().is_some() && heap.dump(DumpFormat::Text, |_| true));
    let mut cursor = memoman_core::Cursor::START;
    assert_eq!(
        heap.validate_step(&mut cursor, 1000),
        memoman_core::Step::Sound
    );
    assert_eq!(heap.steps().step(1000), memoman_core::Step::Sound);
    heap.remove_observer();
    seen.lock().unwrap().clear();
    heap.allocate(layout(50)).unwrap();
    assert!(heap.reset() && seen.lock().unwrap().is_empty());
}

#[test]
fn memory_of_the_handler_becomes_a_pool_and_the_request_is_served() {
    let (mut small, mut large) = (
        [const { MaybeUninit::uninit() }; 16],
        [const { MaybeUninit::uninit() }; 64 * 1024],
    );
    let shortages = Mutex::new(Vec::new());
    let pools = Mutex::new(0);
    let mut count = |event: &Event| {
        *pools.lock().unwrap() += usize::from(event.kind == EventKind::PoolAdded);
    };
    let mut regions = vec![&mut large[..], &mut small[..]];
    let mut grow = |shortage: &Shortage| {
        shortages.lock().unwrap().push(*shortage);
        regions.pop()
    };
    let mut memory = [const { MaybeUninit::uninit() }; 32 * 1024];
    let mut heap = Heap::with_max_block(&mut memory, 1 << 16).unwrap();
    heap.set_exhausted_handler(&mut grow);
    heap.set_observer(&mut count);
    // The first region is too small for a pool, so the request is refused.
    assert_eq!(heap.allocate(layout(40_000)), Err(Refusal::Exhausted));
    assert_eq!(heap.stats().failed_requests, 1);
    assert!(heap.allocate(layout(40_000)).is_ok());
    assert_eq!(heap.allocate(layout(40_000)), Err(Refusal::Exhausted));
    assert_eq!(heap.stats().failed_requests, 2);
    assert_eq!(*pools.lock().unwrap(), 1);
    heap.remove_exhausted_handler();
    assert_eq!(heap.allocate(layout(40_000)), Err(Refusal::Exhausted));
    let seen = shortages.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!((seen[0].bytes, seen[0].align), (40_000, 0));
    assert!(seen[0].stats.largest < 40_000);
    assert_eq!(heap.validate(), Ok(()));
}

/// Calls back with the raw handle, as C can.
unsafe extern "C" fn call_back(event: *const Event, results: *mut c_void) {
    // SAFETY: the test passes its list; the heap is live.
    unsafe {
        let results = &mut *results.cast::<Vec<Result<bool, Misuse>>>();
        let tlsf = Tlsf::from_raw((*event).allocator).unwrap();
        results.push(tlsf.enter_hooks(Access::Allocate));
        results.push(tlsf.enter_hooks(Access::Release));
    }
}

#[test]
fn a_running_observer_may_change_nothing() {
    let mut memory = vec![0usize; 4096];
    let mut results: Vec<Result<bool, Misuse>> = Vec::new();
    // SAFETY: the memory is the heap's until the test ends; its words are cleared before their use.
    unsafe {
        let tlsf = Tlsf::create_with_pool(memory.as_mut_ptr().cast(), 8 * memory.len()).unwrap();
        tlsf.clear_hooks();
        assert_eq!(tlsf.has_hooks(), Ok(false));
        assert_eq!(tlsf.enter_hooks(Access::Allocate), Ok(false));
        let user = ptr::from_mut(&mut results).cast();
        assert_eq!(tlsf.set_observer(Some(call_back), user), Ok(()));
        assert_eq!(tlsf.enter_hooks(Access::Allocate), Ok(true));
        let event = Event {
            allocator: tlsf.as_raw(),
            kind: EventKind::Reset,
            pointer: ptr::null_mut(),
            old: ptr::null_mut(),
            requested: 0,
            block: 0,
            align: 0,
        };
        tlsf.notify(&event);
        assert_eq!(results, [Err(Misuse::Reentered); 2]);
        assert!(!tlsf.ask_for_memory(tlsf.as_raw(), 1, 0, &tlsf.stats()));
        assert_eq!(tlsf.enter_hooks(Access::Allocate), Ok(true));
        assert_eq!(tlsf.set_observer(None, ptr::null_mut()), Ok(()));
        tlsf.notify(&event);
        assert_eq!(results.len(), 2);
    }
}

#[test]
fn overwritten_words_are_misuse() {
    let mut memory = vec![0usize; 4096];
    // SAFETY: the memory is the heap's until the test ends; its words are cleared before their use.
    unsafe {
        let tlsf = Tlsf::create_with_pool(memory.as_mut_ptr().cast(), 8 * memory.len()).unwrap();
        tlsf.clear_hooks();
        assert_eq!(tlsf.set_observer(Some(call_back), ptr::null_mut()), Ok(()));
        let words = tlsf.as_raw().cast::<usize>();
        let observer = call_back as *const () as usize;
        let first = (0..).find(|&index| words.add(index).read() == observer);
        let first = first.unwrap();
        let mut found = 0;
        for index in first..first + 5 {
            let word = words.add(index);
            word.write(word.read() ^ 64);
            found += usize::from(tlsf.has_hooks() == Err(Misuse::SmashedHooks));
            assert!(tlsf.enter_hooks(Access::Release).is_err());
            word.write(word.read() ^ 64);
            assert_eq!(tlsf.has_hooks(), Ok(true));
        }
        assert_eq!(found, 5);
        assert!(tlsf.diagnose().is_none());
        tlsf.spoil_check();
        assert!(tlsf.diagnose().is_some());
    }
}

#[test]
fn damage_of_the_control_structure_is_found_under_interception() {
    let max_block = 1 << 12;
    let mut control = vec![0usize; Tlsf::control_size(max_block) / size_of::<usize>()];
    let mut pool = vec![0usize; 1024];
    let inside = pool.as_ptr().addr();
    let mut found = 0;
    // SAFETY: the memory is the heap's until the test ends; each word is restored.
    unsafe {
        let tlsf = Tlsf::create(control.as_mut_ptr().cast(), max_block).unwrap();
        let bytes = size_of_val(&pool[..]);
        tlsf.add_pool(pool.as_mut_ptr().cast(), bytes).unwrap();
        let freed = tlsf.malloc(100).unwrap();
        tlsf.malloc(100).unwrap();
        tlsf.free(freed).unwrap();
        for index in 0..control.len() {
            for value in [0, 8, 500, 1 << 30, inside + 1, usize::MAX] {
                tlsf.intercept();
                let word = tlsf.as_raw().cast::<usize>().add(index);
                let old = word.replace(value);
                if tlsf.is_intercepted() {
                    tlsf.end_interception();
                }
                let _ = tlsf.has_hooks();
                found += usize::from(tlsf.diagnose().is_some());
                word.write(old);
                tlsf.end_interception();
                assert_eq!(tlsf.diagnose(), None, "word {index}");
            }
        }
    }
    assert!(found > 5 * 60, "{found}");
}

#[test]
fn a_wild_pointer_is_reported_under_observation() {
    let count = Mutex::new(0);
    let mut observe = |_: &Event| *count.lock().unwrap() += 1;
    let mut memory = [const { MaybeUninit::uninit() }; 32 * 1024];
    let mut heap = Heap::new(&mut memory).unwrap();
    heap.set_observer(&mut observe);
    for address in [16, 0x1000, usize::MAX - 15] {
        let wild = ptr::NonNull::new(ptr::without_provenance_mut(address)).unwrap();
        // SAFETY: reported, since it lies outside the heap.
        let result = unsafe { heap.deallocate(wild, layout(8)) };
        assert_eq!(result, Err(Misuse::Foreign));
    }
    assert_eq!(heap.validate(), Ok(()));
    assert_eq!(*count.lock().unwrap(), 0);
}

#[test]
fn the_messages_name_the_mistake() {
    let refusal = Refusal::Misuse(Misuse::Reentered, ptr::null());
    assert_eq!(
        refusal.to_string(),
        "call from a callback of the same allocator: 0x0"
    );
    assert_eq!(
        Misuse::SmashedHooks.to_string(),
        "observer or cache overwritten"
    );
}
