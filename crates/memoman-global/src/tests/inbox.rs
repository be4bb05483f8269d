//! The inbox with one thread: in which order blocks come out.

use core::mem::MaybeUninit;
use std::boxed::Box;
use std::vec::Vec;

use crate::thread::inbox::{Inbox, Taken};

const KEY: usize = 1 << (usize::BITS - 1) | 5;

struct Bed {
    inbox: Inbox,
    blocks: Box<[usize; 100]>,
}

impl Bed {
    fn new() -> Bed {
        Bed {
            // SAFETY: an all-zero inbox is an empty one.
            inbox: unsafe { MaybeUninit::zeroed().assume_init() },
            blocks: Box::new([0; 100]),
        }
    }

    fn address(&mut self, block: usize) -> usize {
        (&raw mut self.blocks[block]).expose_provenance()
    }

    fn put(&mut self, block: usize) {
        let address = self.address(block);
        // SAFETY: a word of the bed that is in no inbox.
        unsafe { self.inbox.put(address, KEY) };
    }

    /// The number of the block that comes out.
    fn take(&mut self) -> Option<usize> {
        let first = self.address(0);
        // SAFETY: only this thread takes out.
        match unsafe { self.inbox.take(KEY, |_| true) } {
            Taken::Block(address) => Some((address - first) / size_of::<usize>()),
            Taken::Nothing => None,
            Taken::Broken(_) => panic!("no link is overwritten"),
        }
    }
}

#[test]
fn what_was_put_in_last_comes_out_first() {
    let mut bed = Bed::new();
    (0..3).for_each(|block| bed.put(block));
    assert_eq!(
        [(); 4].map(|()| bed.take()),
        [Some(2), Some(1), Some(0), None]
    );
}

#[test]
fn old_blocks_come_out_though_others_put_in_as_many() {
    let mut bed = Bed::new();
    (0..10).for_each(|block| bed.put(block));
    let taken: Vec<_> = (10..90)
        .filter_map(|block| {
            bed.put(block);
            bed.take()
        })
        .collect();
    assert_eq!(taken.len(), 80);
    assert!((0..10).all(|block| taken.contains(&block)), "{taken:?}");
}

/// A thread that has put a block in, and not yet written its link, hides the blocks before it in
/// its own list only.
#[test]
fn an_unwritten_link_hides_no_block_of_the_other_list() {
    let mut bed = Bed::new();
    (0..2).for_each(|block| bed.put(block));
    assert_eq!(bed.take(), Some(1));
    bed.put(2);
    let link = core::mem::replace(&mut bed.blocks[2], 0);
    assert_eq!((bed.take(), bed.take()), (Some(0), None));
    bed.put(3);
    assert_eq!((bed.take(), bed.take()), (Some(3), None));
    bed.blocks[2] = link;
    assert_eq!((bed.take(), bed.take()), (Some(2), None));
    assert!(bed.inbox.is_empty());
}
