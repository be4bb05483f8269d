//! Wrong pool headers and control words with right hashes: each comparison of `check_pools` alone
//! (group I).

use crate::config::QUANTUM;
use crate::control::Control;
use crate::instance::Tlsf;
use crate::pool::{POOL_MIN, Pool, PoolHeader};
use crate::validate::Invariant;
use crate::validate::Step;
use core::ptr;

/// An instance with two pools of 512 bytes, and at least 512 bytes between and after them.
struct Heap {
    memory: std::vec::Vec<[usize; 2]>,
    tlsf: Tlsf,
    pools: [Pool; 2],
}

impl Heap {
    /// Both pools after the control structure.
    fn new() -> Heap {
        let control = Tlsf::control_size(1 << 12).next_multiple_of(QUANTUM);
        Heap::with(0, [control, control + 1024], control + 2048)
    }

    /// The control structure between the pools.
    fn around() -> Heap {
        let control = Tlsf::control_size(1 << 12).next_multiple_of(QUANTUM);
        Heap::with(1024, [0, 1024 + control + 512], 1024 + control + 1536)
    }

    fn with(control: usize, pools: [usize; 2], bytes: usize) -> Heap {
        let mut memory = std::vec![[0usize; 2]; bytes / QUANTUM];
        let start: *mut u8 = memory.as_mut_ptr().cast();
        // SAFETY: the memory belongs to this value, and stays in place when the vector is moved.
        unsafe {
            let tlsf = Tlsf::create(start.wrapping_add(control), 1 << 12).unwrap();
            let pools = pools.map(|at| tlsf.add_pool(start.wrapping_add(at), 512).unwrap());
            assert_eq!(tlsf.diagnose(), None);
            Heap {
                memory,
                tlsf,
                pools,
            }
        }
    }

    fn pool(&self, index: usize) -> *mut PoolHeader {
        self.pools[index].header()
    }

    /// Runs `lie` on pool headers and control words, then sets right hashes; what validation finds,
    /// and where.
    fn found(&self, lie: impl FnOnce(&Heap, &mut Control)) -> Option<(Invariant, usize)> {
        // SAFETY: live instance; every changed word is restored.
        unsafe {
            let control = self.tlsf.control();
            let before = (
                ptr::read(control),
                self.pools.map(|pool| ptr::read(pool.header())),
            );
            lie(self, &mut *control);
            for pool in self.pools {
                pool.seal();
            }
            (*control).check = (*control).checksum();
            let found = self.tlsf.diagnose();
            let mut cursor = crate::Cursor::START;
            let step = self.tlsf.validate_step(&mut cursor, 100);
            match found {
                Some(found) => assert_eq!(step, Step::Broken(found)),
                None => assert_eq!(step, Step::Sound),
            }
            let [first, second] = before.1;
            ptr::write(control, before.0);
            ptr::write(self.pool(0), first);
            ptr::write(self.pool(1), second);
            assert_eq!(self.tlsf.diagnose(), None);
            found.map(|found| (found.invariant, found.address.addr()))
        }
    }
}

#[test]
fn group_i_a_lie_with_a_right_hash_is_contradicted_by_its_neighbours() {
    let heap = Heap::new();
    assert!(heap.memory.len() > 100);
    let at_control = Some((Invariant::Placement, heap.tlsf.control().addr()));
    let at_pool = |index| Some((Invariant::Placement, heap.pool(index).addr()));
    assert_eq!(heap.found(|_, _| ()), None);
    let header = |heap: &Heap, index: usize| {
        // SAFETY: the header of a live pool; one reference at a time.
        unsafe { &mut *heap.pool(index) }
    };
    assert_eq!(
        heap.found(|heap, _| header(heap, 1).prev = ptr::null_mut()),
        at_pool(1)
    );
    assert_eq!(
        heap.found(|heap, _| header(heap, 0).prev = heap.pool(1)),
        at_pool(0)
    );
    // An end one quantum inside the next pool.
    assert_eq!(
        heap.found(|heap, _| header(heap, 0).end = heap.pool(1).addr() + QUANTUM),
        at_pool(1)
    );
    assert_eq!(
        heap.found(|heap, _| header(heap, 1).control = ptr::null_mut()),
        at_pool(1)
    );
    assert_eq!(
        heap.found(|heap, control| control.last_pool = heap.pool(0)),
        at_control
    );
    assert_eq!(
        heap.found(|_, control| control.pool_bytes += QUANTUM),
        at_control
    );
    assert_eq!(
        heap.found(|_, control| control.pool_bytes -= QUANTUM),
        at_control
    );
    assert_eq!(
        heap.found(|_, control| control.overhead += QUANTUM),
        at_control
    );
    assert_eq!(
        heap.found(|_, control| control.overhead -= QUANTUM),
        at_control
    );
    // A list that ends early, and one without its first pool.
    assert_eq!(
        heap.found(|heap, _| header(heap, 0).next = ptr::null_mut()),
        at_control
    );
    assert_eq!(
        heap.found(|heap, control| control.first_pool = heap.pool(1)),
        at_pool(1)
    );
}

#[test]
fn group_i_a_pool_that_lies_about_its_end_is_named_where_it_reaches_the_control_structure() {
    let heap = Heap::around();
    let (low, high) = {
        // SAFETY: live instance.
        let bytes = unsafe { (*heap.tlsf.control()).bytes() };
        let low = heap.tlsf.control().addr();
        (low, low + bytes)
    };
    let with_end = |end: usize| {
        // SAFETY: the header of a live pool.
        heap.found(|heap, _| unsafe { (*heap.pool(0)).end = end })
    };
    let at_pool = Some((Invariant::Placement, heap.pool(0).addr()));
    for end in [low + QUANTUM, high - QUANTUM, high, high + QUANTUM] {
        assert_eq!(with_end(end), at_pool, "{end:x}");
    }
    // An end at the control structure is no overlap: the sums are reported instead.
    let at_control = Some((Invariant::Placement, low));
    assert_eq!(with_end(low), at_control);
    // Ends before the start, at it, and one quantum below the smallest pool.
    let start = heap.pool(0).addr();
    for end in [0, start - QUANTUM, start, start + POOL_MIN - QUANTUM] {
        assert_eq!(with_end(end), at_pool, "{end:x}");
    }
    assert_eq!(with_end(start + POOL_MIN), at_control);
}
