//! Blocks of other heaps that a thread has freed, until they go into the inboxes of their heaps:
//! chains of blocks of one size and one heap. A chain goes in with one exchange, and its owner
//! takes it over as it is. docs/concurrency.md states how much may wait here.
//!
//! The outbox keeps addresses only; the caller links the blocks.

use crate::system::sync::{AtomicUsize, Ordering};

/// Chains that may wait, a bit for each in a word.
const SLOTS: usize = usize::BITS as usize;
/// A chain goes when it has so many blocks, or so many quanta.
pub(crate) const CHAIN_BLOCKS: usize = 16;
const CHAIN_QUANTA: usize = 256;

/// Blocks of one heap, linked from the first to the last.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Chain {
    pub(crate) owner: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// The part of a chain that its owner has yet to take. All-zero: none.
#[repr(C)]
pub(crate) struct Rest {
    /// The first block, or 0.
    pub(crate) next: usize,
    pub(crate) last: usize,
}

#[repr(C)]
struct Slot {
    chain: Chain,
    quanta: u32,
    /// 0: the rest means nothing.
    blocks: u32,
}

/// All-zero: empty. Accessed by a thread that is in its heap, but for [`Outbox::is_empty`].
#[repr(C)]
pub(crate) struct Outbox {
    /// A bit for each slot that has a chain.
    used: AtomicUsize,
    slots: [Slot; SLOTS],
}

impl Outbox {
    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Outbox {
        const NONE: Chain = Chain {
            owner: 0,
            first: 0,
            last: 0,
        };
        Outbox {
            used: AtomicUsize::new(0),
            slots: [const {
                Slot {
                    chain: NONE,
                    quanta: 0,
                    blocks: 0,
                }
            }; SLOTS],
        }
    }

    /// The blocks of one heap have a slot for each size up to [`SLOTS`] quanta.
    #[inline(always)]
    fn place(owner: usize, quanta: usize) -> usize {
        let spread = owner.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize) >> (usize::BITS / 2);
        spread.wrapping_add(quanta) % SLOTS
    }

    /// No block waits. Any thread may call it; a value read outside the heap may be stale.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.used.load(Ordering::Relaxed) == 0
    }

    /// Puts a block of so many quanta in, a number below 2^16. `link` is called with it and the
    /// block that is to follow it; `send` with a chain that is full, or whose slot is taken.
    #[inline(always)]
    pub(crate) fn put(
        &mut self,
        owner: usize,
        quanta: usize,
        block: usize,
        link: impl FnOnce(usize, usize),
        send: impl Fn(Chain),
    ) {
        let place = Outbox::place(owner, quanta);
        let used = self.used.load(Ordering::Relaxed);
        let slot = &mut self.slots[place];
        if slot.blocks > 0 && slot.chain.owner == owner && slot.quanta as usize == quanta {
            link(block, slot.chain.first);
            slot.chain.first = block;
            slot.blocks += 1;
            let blocks = slot.blocks as usize;
            if blocks < CHAIN_BLOCKS && blocks * quanta < CHAIN_QUANTA {
                return;
            }
            let chain = slot.chain;
            slot.blocks = 0;
            self.used.store(used & !(1 << place), Ordering::Relaxed);
            return send(chain);
        }
        if slot.blocks > 0 {
            send(slot.chain);
        }
        slot.chain = Chain {
            owner,
            first: block,
            last: block,
        };
        slot.quanta = quanta as u32;
        slot.blocks = 1;
        self.used.store(used | 1 << place, Ordering::Relaxed);
    }

    /// Calls `send` with each chain, which is out then.
    pub(crate) fn send_all(&mut self, send: impl Fn(Chain)) {
        let mut used = self.used.load(Ordering::Relaxed);
        self.used.store(0, Ordering::Relaxed);
        while used != 0 {
            let slot = &mut self.slots[used.trailing_zeros() as usize % SLOTS];
            used &= used - 1;
            slot.blocks = 0;
            send(slot.chain);
        }
    }
}
