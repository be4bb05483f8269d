//! Blocks of other heaps that a thread has freed, until they go into the inboxes of their heaps:
//! chains of blocks of one size and one heap. A chain goes in with one exchange, and its owner
//! takes it over as it is. docs/concurrency.md states how much may wait here.
//!
//! The outbox keeps addresses only; the caller links the blocks.

use crate::system::sync::{AtomicUsize, Ordering};

/// Chains that may wait, a bit for each in a word.
const SLOTS: usize = 32;
/// Quanta of a chain at most.
const CHAIN_QUANTA: usize = 64;
/// Quanta of the largest block that waits for others of its size.
pub(crate) const QUANTA_MOST: usize = CHAIN_QUANTA / 2;

/// Blocks of one heap and of one size, linked from the first to the last.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Chain {
    /// The heap; 0: no chain.
    pub(crate) owner: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// How many blocks it has, and how many more it may have.
    pub(crate) blocks: u16,
    left: u16,
    /// Quanta of each block.
    pub(crate) quanta: u32,
}

impl Chain {
    #[cfg(all(loom, test))]
    const NONE: Chain = Chain {
        owner: 0,
        first: 0,
        last: 0,
        blocks: 0,
        left: 0,
        quanta: 0,
    };

    /// A chain of one block.
    pub(crate) fn of(owner: usize, block: usize, quanta: usize) -> Chain {
        Chain {
            owner,
            first: block,
            last: block,
            blocks: 1,
            left: (CHAIN_QUANTA / quanta.max(1)).saturating_sub(1) as u16,
            quanta: quanta as u32,
        }
    }
}

/// The part of a chain that its owner has yet to take. All-zero: none.
#[repr(C)]
pub(crate) struct Rest {
    /// The first block, or 0.
    pub(crate) next: usize,
    pub(crate) last: usize,
}

/// All-zero: empty. Accessed by a thread that is in its heap, but for [`Outbox::is_empty`].
#[repr(C)]
pub(crate) struct Outbox {
    /// A bit for each slot that has a chain.
    used: AtomicUsize,
    /// A heap and a size have one slot, and no other size of the heap has it.
    slots: [Chain; SLOTS],
}

impl Outbox {
    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Outbox {
        Outbox {
            used: AtomicUsize::new(0),
            slots: [Chain::NONE; SLOTS],
        }
    }

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

    /// Puts a block of 1 to [`QUANTA_MOST`] quanta into the chain of its size; `link` is called
    /// with it and the block that is to follow it. False if there is no such chain, or it is full.
    #[inline(always)]
    #[must_use]
    pub(crate) fn add(
        &mut self,
        owner: usize,
        quanta: usize,
        block: usize,
        link: impl FnOnce(usize, usize),
    ) -> bool {
        let slot = &mut self.slots[Outbox::place(owner, quanta)];
        if slot.owner != owner || slot.left == 0 {
            return false;
        }
        slot.left -= 1;
        slot.blocks += 1;
        link(block, slot.first);
        slot.first = block;
        true
    }

    /// Begins a chain with a block of 1 to [`QUANTA_MOST`] quanta. Returns the chain that had its
    /// slot.
    #[must_use]
    pub(crate) fn open(&mut self, owner: usize, quanta: usize, block: usize) -> Option<Chain> {
        let place = Outbox::place(owner, quanta);
        let slot = &mut self.slots[place];
        let before = *slot;
        *slot = Chain::of(owner, block, quanta);
        let used = self.used.load(Ordering::Relaxed);
        self.used.store(used | 1 << place, Ordering::Relaxed);
        (before.owner != 0).then_some(before)
    }

    /// Calls `send` with each chain, which is out then.
    pub(crate) fn empty(&mut self, mut send: impl FnMut(Chain)) {
        let mut used = self.used.load(Ordering::Relaxed);
        self.used.store(0, Ordering::Relaxed);
        while used != 0 {
            let slot = &mut self.slots[used.trailing_zeros() as usize % SLOTS];
            used &= used - 1;
            let chain = *slot;
            slot.owner = 0;
            send(chain);
        }
    }
}
