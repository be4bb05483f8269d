//! The live blocks while a trace is read: what each event takes and gives back.

use memoman_trace::{Event, Kind};
use rustc_hash::FxHashMap;

/// A live block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) pointer: u64,
    /// Requested bytes, at least 1.
    pub(super) size: u64,
    /// When it was allocated, ns; a resized block keeps it.
    pub(super) birth: u64,
    /// The stack of the call that allocated or last resized it.
    pub(super) stack: u32,
}

/// What an event changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Born(Block),
    /// The block is gone; or resized, and born again.
    Gone {
        block: Block,
        resized: bool,
    },
}

/// Blocks that are live. Memory grows with their number only.
#[derive(Default)]
pub(super) struct Live {
    blocks: FxHashMap<u64, Block>,
    pub(super) bytes: u64,
    /// Frees of blocks that the trace did not show.
    pub(super) unknown: u64,
}

impl Live {
    pub(super) fn blocks(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Block> {
        self.blocks.values()
    }

    /// Takes an event in, and calls `f` with what it changes.
    pub(super) fn apply(&mut self, event: &Event, f: &mut impl FnMut(Change)) {
        match event.kind {
            Kind::Malloc | Kind::Calloc | Kind::Memalign => self.born(event, event.time, f),
            Kind::Free => {
                if !self.gone(event.old, false, f) {
                    self.unknown += u64::from(event.old != 0);
                }
            }
            Kind::Realloc => {
                let birth = self.blocks.get(&event.old).map(|block| block.birth);
                self.gone(event.old, event.pointer != 0, f);
                self.unknown += u64::from(birth.is_none() && event.old != 0);
                self.born(event, birth.unwrap_or(event.time), f);
            }
            Kind::Reset => {
                let mut pointers: Vec<u64> = self.blocks.keys().copied().collect();
                pointers.sort_unstable();
                for pointer in pointers {
                    self.gone(pointer, false, f);
                }
            }
            Kind::Failed | Kind::PoolAdded | Kind::PoolExtended | Kind::PoolRemoved => {}
        }
    }

    fn born(&mut self, event: &Event, birth: u64, f: &mut impl FnMut(Change)) {
        if event.pointer == 0 {
            return;
        }
        // A block that the trace has live there was freed unseen.
        self.gone(event.pointer, false, f);
        let block = Block {
            pointer: event.pointer,
            size: event.size.clamp(1, crate::input::LARGEST),
            birth,
            stack: event.stack,
        };
        self.blocks.insert(event.pointer, block);
        self.bytes = self.bytes.saturating_add(block.size);
        f(Change::Born(block));
    }

    fn gone(&mut self, pointer: u64, resized: bool, f: &mut impl FnMut(Change)) -> bool {
        let Some(block) = self.blocks.remove(&pointer) else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(block.size);
        f(Change::Gone { block, resized });
        true
    }
}
