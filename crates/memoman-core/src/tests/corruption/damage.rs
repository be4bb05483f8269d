//! The catalogue's second half: links, heads, and damage to whole structures, as a faulty allocator
//! (not a stray write) would cause: rings, lost blocks, blocks in a wrong list, forged hashes.

use core::mem::offset_of;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::catalogue::{ANYWHERE, Catalogue, Corruption, pool_end};
use super::heap::Seen;
use crate::block::{FREE, PREV_FREE};
use crate::config::{BINS_MAX, BLOCK_MIN, HEADER, QUANTUM, WORD};
use crate::control::Control;
use crate::hash::mix;
use crate::validate::Invariant::{self, Bitmap, Coalesced, Counters, List, Listed, Placement};

type Writes = Vec<(usize, usize)>;

impl Catalogue<'_> {
    fn head_of(&self, bin: usize) -> usize {
        Control::head(self.heap.control(), bin).addr()
    }

    /// Address of the second-level word of `bin`, and its value with the bin's bit inverted.
    fn sl_word(&self, bin: usize) -> (usize, usize) {
        let word = bin / usize::BITS as usize;
        let at = self.heap.control().addr() + offset_of!(Control, sl_bitmap) + word * WORD;
        (
            at,
            self.heap.original(at) ^ 1 << (bin % usize::BITS as usize),
        )
    }

    /// The bitmap words of both levels with the bit of `bin` inverted.
    fn turned(&self, bin: usize) -> Writes {
        let (at, value) = self.sl_word(bin);
        let word = bin / usize::BITS as usize;
        let fl = self.heap.control().addr() + offset_of!(Control, fl_bitmap);
        let fl_value = self.heap.original(fl) & !(1 << word) | usize::from(value != 0) << word;
        vec![(at, value), (fl, fl_value)]
    }

    pub(super) fn links(&mut self) {
        for (bin, list) in self.lists.clone() {
            for (index, this) in list.iter().enumerate() {
                let at = this.at();
                let last = index + 1 == list.len();
                let place = match (index, last) {
                    (0, true) => "alone in its list",
                    (0, false) => "at a list's head",
                    (_, true) => "at a list's end",
                    (_, false) => "inside a list",
                };
                let expected = [(List, at)];
                let mut values: Vec<(&str, usize)> = Vec::new();
                for (other_bin, other) in &self.lists {
                    let what = if *other_bin == bin {
                        "another block of its list"
                    } else {
                        "a block of another list"
                    };
                    values.extend(other.iter().take(4).map(|seen| (what, seen.at())));
                }
                let field = format!("next_free of a block {place}");
                if last {
                    self.garbage(&field, at, at, &expected);
                } else {
                    let cut_off = list[index + 1].at();
                    self.add(
                        format!("{field} <- 0: the rest is cut off"),
                        vec![(at, self.heap.list_end())],
                        vec![(Listed, cut_off)],
                    );
                    self.garbage_but_zero(&field, at, at, &expected);
                }
                self.flips(&field, at, |_| expected.to_vec());
                for &(what, value) in &values {
                    self.add(
                        format!("{field} <- {what}"),
                        vec![(at, value)],
                        expected.to_vec(),
                    );
                }
                let field = format!("prev_link of a block {place}");
                self.garbage(&field, at + WORD, at, &expected);
                self.flips(&field, at + WORD, |_| expected.to_vec());
                for &(what, value) in &values {
                    self.add(
                        format!("{field} <- {what}"),
                        vec![(at + WORD, value)],
                        expected.to_vec(),
                    );
                }
                for (other_bin, _) in self.lists.clone() {
                    let what = if other_bin == bin {
                        "its list's head"
                    } else {
                        "another list's head"
                    };
                    self.add(
                        format!("{field} <- {what}"),
                        vec![(at + WORD, self.head_of(other_bin))],
                        expected.to_vec(),
                    );
                }
            }
        }
    }

    pub(super) fn heads(&mut self) {
        let top_bin = self
            .heap
            .original(self.heap.control().addr() + offset_of!(Control, top_bin));
        let nodes: Vec<usize> = self.lists.values().flatten().map(Seen::at).collect();
        for bin in 0..=top_bin {
            let head = self.head_of(bin);
            let (word, _) = self.sl_word(bin);
            let filled = self.lists.contains_key(&bin);
            let (field, expected) = if filled {
                ("head of a list", (List, head))
            } else {
                ("head of an empty list", (Bitmap, word))
            };
            if filled {
                self.add(
                    "head of a list <- 0".into(),
                    vec![(head, self.heap.list_end())],
                    vec![(Bitmap, word)],
                );
            }
            self.garbage_but_zero(field, head, head, &[expected]);
            self.flips(field, head, |_| vec![expected]);
            for &node in nodes.iter().step_by(5) {
                self.add(
                    format!("{field} <- a free block"),
                    vec![(head, node)],
                    vec![expected],
                );
            }
            if !filled {
                // The bits agree with the wrong head.
                for value in [1, nodes[0], nodes[nodes.len() - 1], head] {
                    let mut writes = self.turned(bin);
                    writes.push((head, value));
                    self.add(
                        "head of an empty list and its bits".into(),
                        writes,
                        vec![(List, head)],
                    );
                }
            }
        }
        for (bin, list) in self.lists.clone() {
            let mut writes = self.turned(bin);
            writes.push((self.head_of(bin), self.heap.list_end()));
            self.add(
                "head of a list and its bits <- 0".into(),
                writes,
                vec![(Listed, list[0].at())],
            );
        }
    }

    /// The writes that unlink the blocks `from..to` of a list.
    fn unlinked(&self, bin: usize, from: usize, to: usize) -> Writes {
        let list = &self.lists[&bin];
        let before = if from == 0 {
            self.head_of(bin)
        } else {
            list[from - 1].at()
        };
        let mut writes = Vec::new();
        if let Some(after) = list.get(to) {
            writes.push((before, after.at()));
            writes.push((after.at() + WORD, before));
        } else {
            writes.push((before, self.heap.list_end()));
            if from == 0 {
                writes.extend(self.turned(bin));
            }
        }
        writes
    }

    pub(super) fn structures(&mut self) {
        self.rings();
        self.misplaced();
        self.physical();
        self.forged();
    }

    fn rings(&mut self) {
        for (bin, list) in self.lists.clone() {
            let last = list.len() - 1;
            for (length, end) in [(1, 0), (2, 1), (list.len(), last)] {
                if end > last {
                    continue;
                }
                let name = if length == list.len() && length > 2 {
                    String::from("n")
                } else {
                    format!("{length}")
                };
                // A link back to the list's first block.
                self.add(
                    format!("list that ends in a ring of {name}"),
                    vec![(list[end].at(), list[0].at())],
                    vec![(List, list[end].at())],
                );
                // A ring apart, all links mutual: the only fault is that no head leads to it.
                for start in [0, last - end] {
                    let ring = &list[start..=start + end];
                    let mut writes = self.unlinked(bin, start, start + end + 1);
                    writes.push((ring[end].at(), ring[0].at()));
                    writes.push((ring[0].at() + WORD, ring[end].at()));
                    let lowest = ring.iter().map(Seen::at).min().unwrap();
                    self.entries.push(Corruption {
                        kind: format!("ring of {name} that no list leads to"),
                        writes,
                        expected: vec![(Listed, lowest)],
                        whole_heap: true,
                    });
                }
            }
        }
    }

    fn misplaced(&mut self) {
        for (bin, list) in self.lists.clone() {
            for (index, this) in list.iter().enumerate() {
                let at = this.at();
                // Unlinked, yet free.
                let writes = self.unlinked(bin, index, index + 1);
                self.add(
                    "free block left out of its list".into(),
                    writes,
                    vec![(Listed, at)],
                );
                // In another list, with all links mutual.
                let Some((_, other)) = self.lists.iter().find(|(other, _)| **other != bin) else {
                    continue;
                };
                let end = other[other.len() - 1].at();
                let mut writes = self.unlinked(bin, index, index + 1);
                writes.extend([(end, at), (at, self.heap.list_end()), (at + WORD, end)]);
                self.add(
                    "free block in a list of another size".into(),
                    writes,
                    vec![(List, at)],
                );
                // In use by the FREE flag, the next PREV_FREE and the counters, yet listed.
                let next = this.next_at() - HEADER;
                let header = at - HEADER;
                let control = self.heap.control().addr();
                let used = control + offset_of!(Control, used);
                let live = control + offset_of!(Control, live_blocks);
                let writes = vec![
                    (header, self.heap.original(header) ^ FREE),
                    (next, self.heap.original(next) ^ PREV_FREE),
                    (used, self.heap.original(used) + this.header.size()),
                    (live, self.heap.original(live) + 1),
                ];
                let before = if index == 0 {
                    self.head_of(bin)
                } else {
                    list[index - 1].at()
                };
                let mut expected = vec![(List, before)];
                expected.extend(list.get(index + 1).map(|after| (Listed, after.at())));
                self.add("block in use left in its list".into(), writes, expected);
            }
        }
    }

    fn physical(&mut self) {
        let blocks = self.heap.blocks.clone();
        for pair in blocks.windows(2) {
            let (this, next) = (&pair[0], &pair[1]);
            if this.header.is_free() || this.pool != next.pool {
                continue;
            }
            let (at, header, next_header) = (this.at(), this.at() - HEADER, next.at() - HEADER);
            if this.after_free {
                self.add(
                    "block in use marked free, ghost and flags with it".into(),
                    vec![
                        (header, self.heap.original(header) | FREE),
                        (next_header, self.heap.original(next_header) | PREV_FREE),
                        (next_header - WORD, at),
                    ],
                    vec![(Coalesced, at)],
                );
            }
            if next.header.is_free() {
                continue;
            }
            if !this.after_free {
                self.add(
                    "block made free and put into no list".into(),
                    vec![
                        (header, self.heap.original(header) | FREE),
                        (next_header, self.heap.original(next_header) | PREV_FREE),
                        (next_header - WORD, at),
                    ],
                    vec![(Listed, at)],
                );
            }
            let control = self.heap.control().addr();
            let live = (Counters, control + offset_of!(Control, live_blocks));
            let merged = self.heap.original(header)
                ^ this.header.size()
                ^ (this.header.size() + next.header.size());
            self.add(
                "two blocks in use made one".into(),
                vec![(header, merged)],
                vec![live],
            );
            if this.header.size() >= 2 * BLOCK_MIN {
                let rest = this.header.size() - BLOCK_MIN;
                let cookie = self.heap.cookie();
                let writes = vec![
                    (
                        header,
                        self.heap.original(header) ^ this.header.size() ^ BLOCK_MIN,
                    ),
                    (header + BLOCK_MIN, rest ^ cookie),
                ];
                self.add("block in use made two".into(), writes, vec![live]);
            }
        }
    }

    /// Wrong words with right hashes, which no stray write leaves: the fields contradict each
    /// other.
    fn forged(&mut self) {
        let heap = self.heap;
        let control = heap.control().addr();
        let pools = heap.pools.clone();
        let start_of = |index: usize| pools[index].start();
        let fields =
            |index: usize| [0, 1, 2, 3].map(|word| heap.original(start_of(index) + word * WORD));
        let forge = |index: usize, words: [usize; 4]| -> Writes {
            let start = start_of(index);
            let check = mix(&[start, words[0], words[1], words[2], words[3]]);
            (0..5)
                .map(|word| {
                    (
                        start + word * WORD,
                        if word < 4 { words[word] } else { check },
                    )
                })
                .collect()
        };
        let count = pools.len();
        for index in 0..count {
            let [next, prev, owner, _] = fields(index);
            let (start, end) = (start_of(index), pool_end(heap, index));
            for (what, new_end, at) in [
                ("before its start", start - QUANTUM, start),
                ("at its start", start, start),
                // With 32 bits, sizes have no bound: an overlap or the sum reveals it.
                (
                    "beyond any size",
                    usize::MAX,
                    if WORD == 8 { start } else { ANYWHERE },
                ),
                ("a quantum early", end - QUANTUM, control),
                ("a block early", end - BLOCK_MIN, control),
            ] {
                let writes = forge(index, [next, prev, owner, new_end]);
                self.add(
                    format!("pool that ends {what}, hash forged"),
                    writes,
                    vec![(Placement, at)],
                );
            }
            let writes = forge(index, [next, prev, owner ^ QUANTUM, end]);
            self.add(
                "pool of another instance, hash forged".into(),
                writes,
                vec![(Placement, start)],
            );
            if index + 1 < count {
                let over = forge(index, [next, prev, owner, start_of(index + 1) + QUANTUM]);
                // The first pool, up to the next one's start, also covers the control structure.
                let at = if index == 0 {
                    start
                } else {
                    start_of(index + 1)
                };
                self.add(
                    "pool that overlaps the next one, hash forged".into(),
                    over,
                    vec![(Placement, at)],
                );
                let writes = forge(index, [0, prev, owner, end]);
                self.add(
                    "list of pools cut short, hash forged".into(),
                    writes,
                    vec![(Placement, control)],
                );
                let writes = forge(index, [start, prev, owner, end]);
                self.add(
                    "pool that is its own next one, hash forged".into(),
                    writes,
                    vec![(Placement, start)],
                );
            }
            if index > 0 {
                let writes = forge(index, [next, start, owner, end]);
                self.add(
                    "pool that is its own previous one, hash forged".into(),
                    writes,
                    vec![(Placement, start)],
                );
                let writes = forge(index, [start_of(0), prev, owner, end]);
                self.add(
                    "list of pools in a ring, hash forged".into(),
                    writes,
                    vec![(Placement, start_of(0))],
                );
            }
        }
        // The control structure: written, hashed in place, and restored.
        let at_control: Vec<(Invariant, usize)> = vec![(Placement, control)];
        for (what, offset, value) in [
            ("top_bin beyond any", offset_of!(Control, top_bin), BINS_MAX),
            (
                "top_bin near the word's end",
                offset_of!(Control, top_bin),
                usize::MAX - 1,
            ),
            ("no first pool", offset_of!(Control, first_pool), 0),
            ("no last pool", offset_of!(Control, last_pool), 0),
            (
                "more pool bytes",
                offset_of!(Control, pool_bytes),
                usize::MAX & !(QUANTUM - 1),
            ),
            ("less overhead", offset_of!(Control, overhead), 0),
        ] {
            heap.write(control + offset, value);
            // SAFETY: readable memory; the hash follows no pointer.
            let check = unsafe { (*heap.control()).checksum() };
            heap.restore();
            let writes = vec![
                (control + offset, value),
                (control + offset_of!(Control, check), check),
            ];
            self.add(format!("{what}, hash forged"), writes, at_control.clone());
        }
    }
}
