//! Operations on blocks: predicted from a walk, made, compared.

use crate::arena::{self, Seen};
use crate::ops::{Op, Wild};
use crate::shadow::Shadow;
use crate::support::fronts::ByTurns;
use memoman_core::config::{QUANTUM, WORD};
use memoman_core::size_class::block_size_for;
use memoman_core::{Misuse, Refusal, Step, Tlsf};
use std::ptr::NonNull;

type Given = Result<NonNull<u8>, Refusal>;

/// The predicted outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Returns this block.
    At(usize),
    /// Returns some block.
    Served,
    Refused(Refusal),
    /// Open: the free blocks' addresses and the alignment gap decide.
    ServedOrExhausted,
}

impl Shadow {
    pub(crate) fn execute(&mut self, op: &Op) {
        match *op {
            Op::Malloc(size) => {
                let bytes = self.resolve(size);
                let expected = self.expect_new(1, bytes);
                // SAFETY: the instance is live.
                let given = unsafe { self.tlsf.malloc_by_turns(bytes) };
                self.account(given, expected, bytes, 1);
            }
            Op::Calloc(count, size) => {
                let count = self.resolve(count) / size.clamp(1, 64);
                let bytes = count.saturating_mul(size);
                let expected = self.expect_new(1, bytes);
                // SAFETY: the instance is live.
                let given = unsafe { self.tlsf.calloc(count, size) };
                if let Ok(ptr) = given {
                    // SAFETY: a new block of this many bytes.
                    let contents = unsafe { std::slice::from_raw_parts(ptr.as_ptr(), bytes) };
                    assert!(
                        contents.iter().all(|&byte| byte == 0),
                        "calloc left contents"
                    );
                }
                self.account(given, expected, bytes, 1);
            }
            Op::Memalign(align, size) => {
                let bytes = self.resolve(size);
                let expected = self.expect_new(align, bytes);
                // SAFETY: the instance is live.
                let given = unsafe { self.tlsf.memalign_by_turns(align, bytes) };
                self.account(given, expected, bytes, align);
            }
            Op::Realloc(block, size) => self.resize(block, None, self.resolve(size)),
            Op::ReallocAligned(block, align, size) => {
                self.resize(block, Some(align), self.resolve(size));
            }
            Op::InPlace(block, align, size) => {
                self.resize_in_place(block, QUANTUM << align, self.resolve(size));
            }
            Op::Free(block) => self.free(block),
            Op::Intercepted(block) => self.intercepted(block),
            Op::Misuse(block, wild) => self.misuse(block, wild),
            Op::AddPool(at, bytes) => self.add_pool(at, bytes),
            Op::ExtendPool(pool, more) => self.extend_pool(pool, self.resolve(more)),
            Op::RemovePool(pool, off) => self.remove_pool(pool, off),
            Op::Reset => {
                // SAFETY: the instance is live; the shadow drops every block.
                assert!(unsafe { self.tlsf.reset() });
                self.live.clear();
                (self.peak, self.failed) = (0, 0);
                self.resets += 1;
            }
            Op::Step(blocks) => {
                // SAFETY: the instance is live; earlier steps wrote the cursor.
                let step = unsafe { self.tlsf.validate_step(&mut self.cursor, blocks) };
                assert!(!matches!(step, Step::Broken(_)), "{step:?}");
                self.assert_unchanged(0);
            }
            Op::Sweep(blocks) => self.sweep(blocks),
            Op::Withdraw(size) => {
                let bytes = self.resolve(size);
                let expected = self.expect_new(1, bytes);
                // SAFETY: the instance is live; the refusal is withdrawn at once.
                let given = unsafe { self.tlsf.malloc_by_turns(bytes) };
                self.account(given, expected, bytes, 1);
                if given == Err(Refusal::Exhausted) {
                    // SAFETY: as above.
                    unsafe { self.tlsf.withdraw_refusal() };
                    self.failed -= 1;
                    self.assert_unchanged(0);
                }
            }
        }
    }

    /// The outcome of a call for a new block.
    fn expect_new(&self, align: usize, bytes: usize) -> Expected {
        let largest = self.stats().largest;
        if !align.is_power_of_two() || bytes == 0 {
            Expected::Refused(Refusal::Invalid)
        } else if bytes > largest {
            Expected::Refused(Refusal::Exhausted)
        } else if align <= QUANTUM
            || bytes.saturating_add(align).saturating_add(3 * QUANTUM) <= largest
        {
            Expected::Served
        } else {
            Expected::ServedOrExhausted
        }
    }

    fn account(&mut self, given: Given, expected: Expected, bytes: usize, align: usize) {
        self.compare(given, expected);
        match given {
            Ok(ptr) => self.enter(ptr, bytes, align),
            Err(refusal) => self.refused(refusal),
        }
    }

    fn compare(&self, given: Given, expected: Expected) {
        let right = match expected {
            Expected::At(address) => given.is_ok_and(|ptr| ptr.as_ptr().addr() == address),
            Expected::Served => given.is_ok(),
            Expected::Refused(refusal) => given == Err(refusal),
            Expected::ServedOrExhausted => given.is_ok() || given == Err(Refusal::Exhausted),
        };
        assert!(right, "expected {expected:x?}, got {given:?}");
    }

    /// A refusal changes nothing but `failed_requests`, and that only when memory is short.
    fn refused(&mut self, refusal: Refusal) {
        let count = usize::from(refusal == Refusal::Exhausted);
        self.failed += count;
        self.assert_unchanged(count);
    }

    /// The operation changed nothing but `failed_requests`, by `count`.
    pub(crate) fn assert_unchanged(&self, count: usize) {
        let mut now = Vec::new();
        self.arena.copy_to(&mut now);
        if now == self.before {
            assert_eq!(count, 0, "the refusal was not counted");
            return;
        }
        let word = |image: &[u8], at: usize| {
            usize::from_ne_bytes(image[at..at + WORD].try_into().unwrap())
        };
        let changed: Vec<usize> = (0..now.len())
            .step_by(WORD)
            .filter(|&at| word(&now, at) != word(&self.before, at))
            .collect();
        assert_eq!(
            changed.len(),
            count,
            "a failed call changed words {changed:?}"
        );
        for at in changed {
            assert_eq!(word(&now, at), word(&self.before, at) + 1);
            assert_eq!(word(&now, at), self.stats().failed_requests);
        }
    }

    fn resize(&mut self, block: usize, align: Option<usize>, bytes: usize) {
        let Some(start) = self.nth_live(block) else {
            return;
        };
        let ptr = self.live[&start].ptr;
        let (expected, before) = self.expect_resize(start, align, bytes);
        // SAFETY: a live block.
        let given = unsafe {
            match align {
                Some(align) => self.tlsf.realloc_aligned(ptr, align, bytes),
                None => self.tlsf.realloc(ptr, bytes),
            }
        };
        self.compare(given, expected);
        match given {
            Ok(moved) => {
                let used = self.used();
                let old = self.live.remove(&start).unwrap();
                let kept = old.bytes.min(bytes);
                assert!(
                    arena::is_filled(moved.as_ptr(), kept, old.tag),
                    "realloc to {bytes} lost contents"
                );
                let relocated = moved != ptr && before != Some(moved.as_ptr().addr());
                if relocated {
                    self.assert_only_copied(moved, old.bytes, bytes);
                }
                // Only a requested alignment is kept.
                self.enter(moved, bytes, align.unwrap_or(1));
                if relocated {
                    // While the contents were copied, both blocks were in use.
                    let new = self.live[&moved.as_ptr().addr()].bytes + Tlsf::ALLOC_OVERHEAD;
                    self.peak = self.peak.max(used + new);
                }
            }
            Err(refusal) => self.refused(refusal),
        }
    }

    /// After the moved contents, the new block holds the bytes of the former free memory: nothing
    /// beyond the old block was copied.
    fn assert_only_copied(&self, moved: NonNull<u8>, old_bytes: usize, bytes: usize) {
        let at = self.arena.offset(moved.as_ptr().addr());
        // A free block's last word was its ghost, which may change.
        let end = bytes.saturating_sub(size_of::<usize>());
        if end <= old_bytes {
            return;
        }
        // SAFETY: a live, initialised block.
        let now = unsafe { std::slice::from_raw_parts(moved.as_ptr(), end) };
        assert!(
            now[old_bytes..] == self.before[at + old_bytes..at + end],
            "realloc copied more than the old block held"
        );
    }

    /// A block's bytes, the free block right before it, and the bytes of the free one directly
    /// after it.
    fn neighbours(&self, start: usize) -> (usize, Option<Seen>, usize) {
        let seen = arena::walk(self.tlsf);
        let own = seen.iter().position(|block| block.addr == start).unwrap();
        let free = |block: Option<&Seen>| block.filter(|block| !block.used).copied();
        // The walk continues into the next pool: a neighbour must touch.
        let next = free(seen.get(own + 1)).filter(|next| next.addr == start + seen[own].size);
        let prev = own.checked_sub(1).and_then(|prev| free(seen.get(prev)));
        let prev = prev.filter(|prev| prev.addr + prev.size == start);
        (seen[own].size, prev, next.map_or(0, |next| next.size))
    }

    /// The outcome of a resize (in place forward, else backward, else by a move), and the free
    /// block before.
    fn expect_resize(
        &self,
        start: usize,
        align: Option<usize>,
        bytes: usize,
    ) -> (Expected, Option<usize>) {
        let (own, prev, next) = self.neighbours(start);
        let before = prev.map(|prev| prev.addr);
        let align = align.unwrap_or(1);
        if !align.is_power_of_two() || bytes == 0 {
            return (Expected::Refused(Refusal::Invalid), before);
        }
        // A size that the block already has is never beyond the instance.
        if bytes > self.limit() && bytes > own - Tlsf::ALLOC_OVERHEAD {
            return (Expected::Refused(Refusal::Exhausted), before);
        }
        let need = block_size_for(bytes);
        if start.is_multiple_of(align) && need <= own + next {
            return (Expected::At(start), before);
        }
        if let Some(prev) = prev
            && prev.addr % align == 0
            && need <= prev.size + own + next
        {
            return (Expected::At(prev.addr), before);
        }
        (self.expect_new(align, bytes), before)
    }

    /// A resize that never moves the block elsewhere: instead, nothing changes, and no refusal is
    /// counted.
    fn resize_in_place(&mut self, block: usize, align: usize, bytes: usize) {
        let Some(start) = self.nth_live(block) else {
            return;
        };
        let ptr = self.live[&start].ptr;
        let (own, prev, next) = self.neighbours(start);
        // SAFETY: a live block, here and below.
        let reach = unsafe { self.tlsf.reach(ptr) }.unwrap();
        let from = prev.map_or(start, |prev| prev.addr);
        assert_eq!(reach.start.addr(), from);
        assert_eq!(
            reach.bytes,
            start + own + next - from - Tlsf::ALLOC_OVERHEAD
        );

        let (expected, _) = self.expect_resize(start, Some(align), bytes);
        // SAFETY: as above.
        match unsafe { self.tlsf.realloc_in_place(ptr, align, bytes) } {
            Ok(Some(moved)) => {
                self.compare(Ok(moved), expected);
                assert!(matches!(expected, Expected::At(_)));
                let old = self.live.remove(&start).unwrap();
                let kept = old.bytes.min(bytes);
                assert!(
                    arena::is_filled(moved.as_ptr(), kept, old.tag),
                    "contents lost"
                );
                self.enter(moved, bytes, align);
            }
            Ok(None) => {
                let most = self.limit().max(own - Tlsf::ALLOC_OVERHEAD);
                assert!(bytes > 0 && bytes <= most && !matches!(expected, Expected::At(_)));
                self.assert_unchanged(0);
            }
            Err(refusal) => {
                self.compare(Err(refusal), expected);
                assert!(bytes == 0 || bytes > self.limit());
                self.refused(refusal);
            }
        }
    }

    /// Nothing intercepts the small build.
    #[cfg(memoman_small)]
    fn intercepted(&mut self, _: usize) {}

    /// An intercepted instance does nothing; the end of the interception restores it.
    #[cfg(not(memoman_small))]
    fn intercepted(&mut self, block: usize) {
        let ptr = self.nth_live(block).map(|start| self.live[&start].ptr);
        let bytes = 1 + block % 300;
        // SAFETY: the instance is live; only calls that an intercepted instance allows.
        unsafe {
            self.tlsf.intercept();
            assert!(self.tlsf.is_intercepted());
            for refused in [
                self.tlsf.malloc_by_turns(bytes),
                self.tlsf.calloc(bytes, 2),
                self.tlsf.memalign_by_turns(64, bytes),
            ] {
                assert!(matches!(
                    refused,
                    Err(Refusal::Misuse(Misuse::Intercepted, _))
                ));
            }
            if let Some(ptr) = ptr {
                let found = self.tlsf.realloc(ptr, bytes);
                assert!(matches!(
                    found,
                    Err(Refusal::Misuse(Misuse::Intercepted, _))
                ));
                assert!(matches!(
                    self.tlsf.free_by_turns(ptr),
                    Err(Misuse::Intercepted)
                ));
            }
            self.tlsf.end_interception();
            assert!(!self.tlsf.is_intercepted());
        }
        self.assert_unchanged(0);
    }

    fn free(&mut self, block: usize) {
        let Some(start) = self.nth_live(block) else {
            return;
        };
        let live = self.live.remove(&start).unwrap();
        let pool = self.pool_around(start).unwrap();
        let (first, end) = pool.bounds();
        // SAFETY: a live block; `emptied_pool` follows its free.
        unsafe {
            let freed = self
                .tlsf
                .free_by_turns(live.ptr)
                .map_err(drop)
                .expect("a live block");
            let emptied = self
                .tlsf
                .emptied_pool(freed)
                .map(|pool| pool.as_raw().addr());
            let last = self.live.range(first..end).next().is_none();
            assert_eq!(emptied, last.then_some(first));
        }
    }

    /// Every call that takes a block refuses a pointer that is none, and changes nothing.
    fn misuse(&mut self, block: usize, wild: Wild) {
        let seen = arena::walk(self.tlsf);
        let pick = |used: bool, least: usize| {
            let fitting = || {
                seen.iter()
                    .filter(|seen| seen.used == used && seen.size >= least)
            };
            let count = fitting().count();
            (count > 0).then(|| fitting().nth(block % count).unwrap().addr)
        };
        let bounds = self.pools.values().map(|pool| pool.bounds());
        let address = match wild {
            Wild::Misaligned(by) => pick(true, 0).map(|address| address + by),
            Wild::Interior => pick(true, 3 * QUANTUM).map(|address| address + QUANTUM),
            Wild::Free => pick(false, 0),
            Wild::Below => bounds.map(|(start, _)| start).next(),
            Wild::Above => bounds.map(|(_, end)| end).next_back(),
        };
        let Some(address) = address else { return };
        let ptr = NonNull::new(self.arena.at(0).with_addr(address)).unwrap();
        // SAFETY: live instance, readable memory; the pointer is refused.
        let found = unsafe { self.tlsf.free_by_turns(ptr) }
            .err()
            .expect("freed what is no block");
        match wild {
            Wild::Misaligned(_) => assert_eq!(found, Misuse::Misaligned),
            Wild::Free => assert_eq!(found, Misuse::DoubleFree),
            // Without a seal, user data may look like the header of a freed block.
            Wild::Interior => assert!(
                found == Misuse::NotABlock || WORD == 4 && found == Misuse::DoubleFree,
                "{found:?}"
            ),
            Wild::Below | Wild::Above => assert_eq!(found, Misuse::Foreign),
        }
        let refusal = Err(Refusal::Misuse(found, ptr.as_ptr()));
        // SAFETY: as above.
        unsafe {
            assert_eq!(self.tlsf.realloc(ptr, 1 + block % 500), refusal);
            assert_eq!(self.tlsf.realloc_aligned(ptr, 64, 1 + block % 500), refusal);
        }
        self.assert_unchanged(0);
    }

    fn sweep(&mut self, blocks: usize) {
        let mut cursor = memoman_core::Cursor::START;
        // Blocks, then the heads of their bins.
        let bound = 2 * arena::walk(self.tlsf).len() + 2;
        let steps = (1..=bound).find(|_| {
            // SAFETY: the instance is live.
            let step = unsafe { self.tlsf.validate_step(&mut cursor, blocks) };
            assert!(!matches!(step, Step::Broken(_)), "{step:?}");
            step == Step::Sound
        });
        assert!(steps.is_some(), "stepwise validation does not end");
        self.assert_unchanged(0);
    }
}
