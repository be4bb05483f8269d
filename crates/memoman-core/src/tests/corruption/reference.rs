//! An independent judgement of a heap that shares no code with validation: it takes pools and
//! control-plane words from the sound heap, reads words through a bounds check, and records blocks
//! in a map.

use core::mem::offset_of;
use std::collections::BTreeMap;

use super::heap::Heap;
use crate::config::{BLOCK_MIN, QUANTUM, SL_WORDS, WORD};
use crate::control::Control;
use crate::size_class::floor_bin;

/// Data of the sound heap.
pub(super) struct Reference {
    /// Words that only control-plane calls change, with their values.
    fixed: BTreeMap<usize, usize>,
    /// Start, first payload and end of each pool.
    pools: std::vec::Vec<(usize, usize, usize)>,
    control: usize,
    cookie: usize,
    list_end: usize,
    top_bin: usize,
}

/// Fields of the control structure that hot calls change; `check` covers all others before it.
const CHANGING: [usize; 7] = [
    offset_of!(Control, used),
    offset_of!(Control, absorber),
    offset_of!(Control, peak),
    offset_of!(Control, live_blocks),
    offset_of!(Control, failed_requests),
    offset_of!(Control, fl_bitmap),
    offset_of!(Control, sl_bitmap),
];

impl Reference {
    pub(super) fn new(heap: &Heap) -> Reference {
        let control = heap.control().addr();
        let mut fixed = BTreeMap::new();
        for offset in (0..=offset_of!(Control, check)).step_by(WORD) {
            let in_bitmap = offset >= offset_of!(Control, sl_bitmap)
                && offset < offset_of!(Control, sl_bitmap) + SL_WORDS * WORD;
            if !CHANGING.contains(&offset) && !in_bitmap {
                fixed.insert(control + offset, heap.original(control + offset));
            }
        }
        let mut pools = std::vec::Vec::new();
        for pool in &heap.pools {
            let start = pool.start();
            for word in 0..5 {
                let at = start + word * WORD;
                fixed.insert(at, heap.original(at));
            }
            let end = heap.original(start + 3 * WORD) / QUANTUM * QUANTUM;
            pools.push((start, start + 6 * WORD, end));
        }
        Reference {
            fixed,
            pools,
            control,
            cookie: heap.cookie(),
            list_end: heap.list_end(),
            top_bin: heap.original(control + offset_of!(Control, top_bin)),
        }
    }

    /// Whether the heap satisfies every invariant, and the number of blocks that a walk reaches.
    pub(super) fn judge(&self, heap: &Heap) -> (bool, usize) {
        let mut blocks = 0;
        let sound = self.examine(heap, &mut blocks) == Some(true);
        (sound, blocks)
    }

    fn examine(&self, heap: &Heap, blocks: &mut usize) -> Option<bool> {
        for (&at, &value) in &self.fixed {
            if heap.word(at)? != value {
                return Some(false);
            }
        }
        // Payload to (size, found in a list).
        let mut free: BTreeMap<usize, (usize, bool)> = BTreeMap::new();
        let (mut used, mut live) = (0, 0);
        for &(start, first, end) in &self.pools {
            let mut at = first;
            let mut before: Option<usize> = None;
            loop {
                let word = heap.word(at - WORD)? ^ self.cookie;
                let (size, flags) = (word / QUANTUM * QUANTUM, word % QUANTUM);
                if (flags & 2 != 0) != before.is_some() {
                    return Some(false);
                }
                if before.is_some() && heap.word(at - 2 * WORD) != before {
                    return Some(false);
                }
                if at == end {
                    if flags & !2 != 4 || size != end - start {
                        return Some(false);
                    }
                    break;
                }
                if flags & !3 != 0 || size < BLOCK_MIN || size > end - at {
                    return Some(false);
                }
                if flags & 1 != 0 {
                    if before.is_some() {
                        return Some(false);
                    }
                    free.insert(at, (size, false));
                    before = Some(at);
                } else {
                    used += size;
                    live += 1;
                    before = None;
                }
                *blocks += 1;
                at += size;
            }
        }
        let mut bitmap = [0usize; SL_WORDS];
        // The highest pool's last block, if it is free, is in bin 0.
        let top = self.pools[self.pools.len() - 1].2;
        for bin in 0..=self.top_bin {
            let mut link = self.control + size_of::<Control>() + bin * WORD;
            let mut at = heap.word(link)?;
            if at != self.list_end {
                bitmap[bin / usize::BITS as usize] |= 1 << (bin % usize::BITS as usize);
            }
            while at != self.list_end {
                let Some((size, listed)) = free.get_mut(&at) else {
                    return Some(false);
                };
                if *listed
                    || bin
                        != if at + *size == top {
                            0
                        } else {
                            floor_bin(*size).min(self.top_bin)
                        }
                    || heap.word(at + WORD)? != link
                {
                    return Some(false);
                }
                *listed = true;
                link = at;
                at = heap.word(at)?;
            }
        }
        if free.values().any(|&(_, listed)| !listed) {
            return Some(false);
        }
        let counter = |offset: usize| heap.word(self.control + offset);
        let mut words = 0;
        for (index, &bits) in bitmap.iter().enumerate() {
            if counter(offset_of!(Control, sl_bitmap) + index * WORD)? != bits {
                return Some(false);
            }
            words |= usize::from(bits != 0) << index;
        }
        let peak = counter(offset_of!(Control, peak))?;
        Some(
            counter(offset_of!(Control, fl_bitmap))? == words
                && counter(offset_of!(Control, used))? == used
                && counter(offset_of!(Control, live_blocks))? == live
                && peak >= used
                && peak % QUANTUM == 0,
        )
    }
}
