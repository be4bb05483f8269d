//! The catalogue: the overwritten word, its new value, and the invariant and place to be named.
//!
//! Expectations follow from the overwritten word, not from the behaviour of validation. Where two
//! words contradict each other and nothing shows which one is wrong, both places are listed.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::heap::{Heap, PAGE, Seen};
use crate::block::{FREE, PREV_FREE};
use crate::config::{BLOCK_MIN, HEADER, QUANTUM, WORD};
use crate::control::Control;
use crate::validate::Invariant;

/// An expected violation.
pub(super) type Expected = (Invariant, usize);

/// Any address.
pub(super) const ANYWHERE: usize = usize::MAX;

/// One corruption at one place.
pub(super) struct Corruption {
    /// Field and value; entries with the same kind count as one corruption.
    pub(super) kind: String,
    pub(super) writes: Vec<(usize, usize)>,
    /// The violations that `diagnose` may name; empty: nothing is broken, the words may have any
    /// value.
    pub(super) expected: Vec<Expected>,
    /// Only validation of the whole heap detects it, not stepwise validation.
    pub(super) whole_heap: bool,
}

impl Corruption {
    /// Further violations that a check block by block may name: the link at either end of the
    /// overwritten edge, since it reaches one end before it has seen the other.
    pub(super) fn one_by_one(&self, heap: &Heap) -> Vec<Expected> {
        let near = |address: usize| heap.blocks.iter().filter(move |seen| seen.covers(address));
        let mut places = Vec::new();
        for &(at, value) in &self.writes {
            places.extend([at, value, heap.original(at)]);
            for seen in near(at) {
                places.push(seen.at());
                if seen.header.is_free() {
                    places.extend([heap.original(seen.at()), heap.original(seen.at() + WORD)]);
                }
            }
        }
        places
            .into_iter()
            .flat_map(|at| [(Invariant::List, at), (Invariant::Listed, at)])
            .collect()
    }
}

pub(super) struct Catalogue<'a> {
    pub(super) heap: &'a Heap,
    pub(super) entries: Vec<Corruption>,
    /// Free blocks by bin, in the order of their lists.
    pub(super) lists: BTreeMap<usize, Vec<Seen>>,
}

/// Bits to flip one at a time: all low ones, and a sample of the others.
const BITS: [u32; 20] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16, 20, 31, 32, 40, 47, 48, 63,
];

impl<'a> Catalogue<'a> {
    pub(super) fn new(heap: &'a Heap) -> Catalogue<'a> {
        let mut lists = BTreeMap::new();
        let control = heap.control();
        // SAFETY: a sound heap, whose lists end.
        unsafe {
            for bin in 0..=(*control).top_bin {
                let mut list = Vec::new();
                let mut block = Control::head(control, bin).read();
                while block != Control::list_end(control) {
                    list.push(*heap.blocks.iter().find(|seen| seen.block == block).unwrap());
                    block = block.next_free();
                }
                if !list.is_empty() {
                    lists.insert(bin, list);
                }
            }
        }
        let mut this = Catalogue {
            heap,
            entries: Vec::new(),
            lists,
        };
        this.headers();
        this.links();
        this.ghosts();
        this.sentinels();
        this.pool_headers();
        this.control_words();
        this.bitmaps();
        this.heads();
        this.structures();
        this
    }

    pub(super) fn add(
        &mut self,
        kind: String,
        writes: Vec<(usize, usize)>,
        expected: Vec<Expected>,
    ) {
        if writes
            .iter()
            .all(|&(at, value)| self.heap.original(at) == value)
        {
            return;
        }
        let whole_heap = expected
            .iter()
            .any(|&(invariant, _)| invariant == Invariant::Counters);
        self.entries.push(Corruption {
            kind,
            writes,
            expected,
            whole_heap,
        });
    }

    /// Overwrites the word at `at`, a field of the structure at `owner`, with values that are valid
    /// nowhere.
    pub(super) fn garbage(&mut self, field: &str, at: usize, owner: usize, expected: &[Expected]) {
        // Where zero is the original value (the first pool's `prev`), it is not added.
        self.add(format!("{field} <- 0"), vec![(at, 0)], expected.to_vec());
        self.garbage_but_zero(field, at, owner, expected);
    }

    /// [`Catalogue::garbage`] without zero, for fields where zero has another meaning.
    pub(super) fn garbage_but_zero(
        &mut self,
        field: &str,
        at: usize,
        owner: usize,
        expected: &[Expected],
    ) {
        let control = self.heap.parts[1];
        let gap = self.heap.parts[0].start + self.heap.parts[0].bytes;
        let live = self
            .heap
            .blocks
            .iter()
            .find(|seen| !seen.header.is_free())
            .unwrap()
            .at();
        let values = [
            ("1", 1),
            ("a number", if WORD == 8 { 4096 } else { 0x7FFF_F000 }),
            ("all ones", usize::MAX),
            ("text", usize::from_ne_bytes([0x41; WORD])),
            ("its own owner", owner),
            ("its own address", at),
            ("a wild address above all", usize::MAX - 4095),
            ("an unmapped address between pools", gap + PAGE / 2),
            ("the last word before a guard page", gap - WORD),
            (
                "the control structure",
                control.start + control.bytes - PAGE / 4,
            ),
            ("a block in use", live),
        ];
        for (value_name, value) in values {
            self.add(
                format!("{field} <- {value_name}"),
                vec![(at, value)],
                expected.to_vec(),
            );
        }
    }

    /// Flips single bits of the word at `at`.
    pub(super) fn flips(
        &mut self,
        field: &str,
        at: usize,
        expected: impl Fn(usize) -> Vec<Expected>,
    ) {
        let original = self.heap.original(at);
        for bit in BITS.into_iter().filter(|&bit| bit < usize::BITS) {
            let value = original ^ 1 << bit;
            self.add(
                format!("{field} ^ bit {bit}"),
                vec![(at, value)],
                expected(value),
            );
        }
    }

    fn headers(&mut self) {
        let seen: Vec<Seen> = self.heap.blocks.clone();
        for (index, this) in seen.iter().enumerate() {
            let at = this.at();
            let field = match (this.header.is_free(), this.after_free) {
                (true, _) => "header of a free block",
                (false, true) => "header of a used block after a free one",
                (false, false) => "header of a used block",
            };
            self.garbage(field, at - HEADER, at, &[(Invariant::Tiling, at)]);
            let next = this.next_at();
            let next_free = seen
                .get(index + 1)
                .is_some_and(|next| next.at() == this.next_at() && next.header.is_free());
            let (heap, free, after_free) = (self.heap, this.header.is_free(), this.after_free);
            let cookie = self.heap.cookie();
            self.flips(field, at - HEADER, |value| {
                let word = value ^ cookie;
                let changed = word ^ this.header.size();
                if changed & !(QUANTUM - 1) != 0 {
                    return resized(heap, this, word & !(QUANTUM - 1));
                }
                let now_free = word & FREE != 0;
                if word & (QUANTUM - 1) & !(FREE | PREV_FREE) != 0 {
                    vec![(Invariant::Tiling, at)]
                } else if now_free == free {
                    // PREV_FREE was flipped.
                    vec![(Invariant::PrevPhys, at)]
                } else if now_free && after_free {
                    vec![(Invariant::Coalesced, at)]
                } else if now_free && next_free {
                    vec![(Invariant::Coalesced, next)]
                } else {
                    vec![(Invariant::PrevPhys, next)]
                }
            });
        }
    }

    fn ghosts(&mut self) {
        let mut after_free: Vec<usize> = self
            .heap
            .blocks
            .iter()
            .filter(|seen| seen.header.is_free())
            .map(Seen::next_at)
            .collect();
        after_free.sort_unstable();
        for at in after_free {
            let sentinel = (0..self.heap.pools.len()).any(|index| pool_end(self.heap, index) == at);
            let field = if sentinel {
                "prev_phys of a sentinel"
            } else {
                "prev_phys"
            };
            let expected = [(Invariant::PrevPhys, at)];
            self.garbage(field, at - HEADER - WORD, at, &expected);
            self.flips(field, at - HEADER - WORD, |_| expected.to_vec());
            for other in self.other_nodes(at) {
                self.add(
                    format!("{field} <- another free block"),
                    vec![(at - HEADER - WORD, other)],
                    expected.to_vec(),
                );
            }
        }
    }

    /// Two free blocks of other bins.
    fn other_nodes(&self, at: usize) -> Vec<usize> {
        let mut nodes: Vec<usize> = self
            .lists
            .values()
            .map(|list| list[0].at())
            .filter(|&node| node + 4096 < at || node > at)
            .collect();
        nodes.truncate(2);
        nodes
    }

    fn sentinels(&mut self) {
        for index in 0..self.heap.pools.len() {
            let at = pool_end(self.heap, index);
            let tiling = [(Invariant::Tiling, at)];
            self.garbage("sentinel", at - HEADER, at, &tiling);
            let original = self.heap.original(at - HEADER);
            self.flips("sentinel", at - HEADER, |value| {
                let flag = (value ^ original) & PREV_FREE != 0;
                vec![(
                    if flag {
                        Invariant::PrevPhys
                    } else {
                        Invariant::Tiling
                    },
                    at,
                )]
            });
        }
    }

    fn pool_headers(&mut self) {
        for (index, pool) in self.heap.pools.clone().into_iter().enumerate() {
            let start = pool.start();
            let expected = [(Invariant::Placement, start)];
            for (word, field) in ["next", "prev", "control", "end", "check"]
                .into_iter()
                .enumerate()
            {
                let at = start + word * WORD;
                let field = format!("pool's {field}");
                self.garbage(&field, at, start, &expected);
                self.flips(&field, at, |_| expected.to_vec());
                for other in self.heap.pools.clone() {
                    self.add(
                        format!("{field} <- a pool"),
                        vec![(at, other.start())],
                        expected.to_vec(),
                    );
                }
            }
            let end = self.heap.original(start + 3 * WORD);
            for (cut, less) in [
                ("a quantum", QUANTUM),
                ("a block", BLOCK_MIN),
                ("half", (end - start) / 2),
                ("all", end - start),
            ] {
                self.add(
                    format!("pool truncated by {cut}"),
                    vec![(start + 3 * WORD, end - less)],
                    expected.to_vec(),
                );
                self.add(
                    format!("pool stretched by {cut}"),
                    vec![(start + 3 * WORD, end + less)],
                    expected.to_vec(),
                );
            }
            // The tail or all of the region overwritten: the walk ends at the first wrong header.
            for (what, bytes) in [("last 64 bytes", 64), ("last 256 bytes", 256)] {
                for value in [0, usize::MAX, usize::from_ne_bytes([0x41; WORD])] {
                    let last = pool_end(self.heap, index);
                    let first_lost = self
                        .heap
                        .blocks
                        .iter()
                        .filter(|seen| seen.pool == index)
                        .map(|seen| seen.at())
                        .find(|at| at - HEADER >= last - bytes)
                        .unwrap_or(last);
                    let writes = (last - bytes..last)
                        .step_by(WORD)
                        .map(|at| (at, value))
                        .collect();
                    // A free block before the first lost header loses its ghost too, which shows
                    // after that header.
                    self.add(
                        format!("{what} of a pool <- {value:#x}"),
                        writes,
                        vec![(Invariant::Tiling, first_lost)],
                    );
                }
            }
            for value in [0, usize::MAX, usize::from_ne_bytes([0x41; WORD])] {
                let writes = (start..pool_end(self.heap, index))
                    .step_by(WORD)
                    .map(|at| (at, value))
                    .collect();
                self.add(
                    format!("whole pool <- {value:#x}"),
                    writes,
                    expected.to_vec(),
                );
            }
        }
    }
}

pub(super) fn pool_end(heap: &Heap, index: usize) -> usize {
    heap.original(heap.pools[index].start() + 3 * WORD) & !(QUANTUM - 1)
}

/// The violations that a header of another size must cause.
fn resized(heap: &Heap, seen: &Seen, size: usize) -> Vec<Expected> {
    let at = seen.at();
    let left = pool_end(heap, seen.pool) - at;
    if size < BLOCK_MIN || size > left {
        return vec![(Invariant::Tiling, at)];
    }
    let landing = at + size;
    let boundary = size == left || heap.blocks.iter().any(|other| other.at() == landing);
    if !boundary {
        // The header of an absorbed block may be left there; its flags or its ghost reveal it.
        return vec![
            (Invariant::Tiling, landing),
            (Invariant::Coalesced, landing),
            (Invariant::PrevPhys, landing),
        ];
    }
    if seen.header.is_free() {
        return vec![
            (Invariant::Coalesced, landing),
            (Invariant::PrevPhys, landing),
        ];
    }
    // Whole blocks are inside the larger one: links to free ones lead nowhere, used ones miss in
    // the counters.
    vec![
        (Invariant::PrevPhys, landing),
        (Invariant::List, ANYWHERE),
        (Invariant::Listed, ANYWHERE),
        (Invariant::Counters, ANYWHERE),
    ]
}
