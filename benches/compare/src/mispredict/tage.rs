//! A branch predictor of the TAGE kind (A. Seznec, P. Michaud: *A case for (partially) tagged
//! geometric history length branch predictors*, JILP 2006): a table of counters by address, and
//! tables by address and ever longer global history, of which the longest that matches predicts.
//!
//! Processors' predictors are of this kind, and larger; their details are not published. So counts
//! compare programs, and are no forecast of one processor's.

/// Branches of history that the tagged tables use: about a geometric series.
const LENGTHS: [usize; TABLES] = [4, 7, 12, 19, 31, 50, 80, 128, 200, 320];
const TABLES: usize = 10;
/// Binary logarithm of the entries of a tagged table.
const INDEX_BITS: usize = 12;
const TAG_BITS: usize = 12;
/// Binary logarithm of the counters by address.
const BASE_BITS: usize = 15;
/// Power of two above the longest history.
const HISTORY: usize = 512;

#[derive(Clone, Copy, Default)]
struct Entry {
    tag: u16,
    /// -4 to 3: predicts "taken" from 0 on.
    counter: i8,
    /// 0 to 3: how useful the entry has been.
    useful: u8,
}

/// The history of one table, folded to so many bits by XOR.
#[derive(Clone, Copy, Default)]
struct Folded(usize);

impl Folded {
    /// Shifts in the newest branch and cancels the one that leaves a history of this length.
    fn shift(&mut self, bits: usize, length: usize, newest: bool, leaves: bool) {
        self.0 = self.0 << 1 | usize::from(newest);
        self.0 ^= usize::from(leaves) << (length % bits);
        self.0 = (self.0 ^ self.0 >> bits) & ((1 << bits) - 1);
    }
}

/// The predictor. Deterministic.
pub(super) struct Tage {
    /// -2 to 1.
    base: Vec<i8>,
    tables: Vec<[Entry; 1 << INDEX_BITS]>,
    history: [bool; HISTORY],
    position: usize,
    index: [Folded; TABLES],
    tag: [[Folded; 2]; TABLES],
    random: u32,
}

impl Tage {
    pub(super) fn new() -> Tage {
        Tage {
            base: vec![0; 1 << BASE_BITS],
            tables: vec![[Entry::default(); 1 << INDEX_BITS]; TABLES],
            history: [false; HISTORY],
            position: 0,
            index: [Folded::default(); TABLES],
            tag: [[Folded::default(); 2]; TABLES],
            random: 1,
        }
    }

    /// Predicts the branch at this address, learns how it went, and returns whether the prediction
    /// was wrong.
    pub(super) fn is_missed(&mut self, address: usize, taken: bool) -> bool {
        let place: [usize; TABLES] = std::array::from_fn(|table| {
            let hash = address ^ address >> INDEX_BITS ^ self.index[table].0 ^ table << 7;
            hash & ((1 << INDEX_BITS) - 1)
        });
        let tags: [u16; TABLES] = std::array::from_fn(|table| {
            let [long, short] = self.tag[table];
            ((address ^ address >> 7 ^ long.0 ^ short.0 << 1) & ((1 << TAG_BITS) - 1)) as u16
        });
        let mut matching = (0..TABLES)
            .rev()
            .filter(|&table| self.tables[table][place[table]].tag == tags[table]);
        let (provider, other) = (matching.next(), matching.next());
        let base = (address ^ address >> BASE_BITS) & ((1 << BASE_BITS) - 1);
        let by_base = self.base[base] >= 0;
        let by = |table: Option<usize>| {
            table.map_or(by_base, |table| {
                self.tables[table][place[table]].counter >= 0
            })
        };
        let (by_provider, by_other) = (by(provider), by(other));
        // A new entry has not proved itself.
        let is_new = provider.is_some_and(|table| {
            let entry = self.tables[table][place[table]];
            entry.useful == 0 && matches!(entry.counter, -1 | 0)
        });
        let predicted = if is_new { by_other } else { by_provider };

        match provider {
            Some(table) => {
                let entry = &mut self.tables[table][place[table]];
                step(&mut entry.counter, taken, -4, 3);
                if by_provider != by_other {
                    entry.useful = if by_provider == taken {
                        (entry.useful + 1).min(3)
                    } else {
                        entry.useful.saturating_sub(1)
                    };
                }
                if is_new && other.is_none() {
                    step(&mut self.base[base], taken, -2, 1);
                }
            }
            None => step(&mut self.base[base], taken, -2, 1),
        }
        if by_provider != taken {
            self.allocate(provider.map_or(0, |table| table + 1), &place, &tags, taken);
        }
        self.remember(taken);
        predicted != taken
    }

    /// Gives the branch an entry in a table of longer history.
    fn allocate(
        &mut self,
        from: usize,
        place: &[usize; TABLES],
        tags: &[u16; TABLES],
        taken: bool,
    ) {
        self.random = self.random.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        // Now and then the next table is left out, so that not all branches meet in one.
        let from = from + usize::from(self.random >> 16 & 3 == 0);
        let free = (from..TABLES).find(|&table| self.tables[table][place[table]].useful == 0);
        if let Some(table) = free {
            self.tables[table][place[table]] = Entry {
                tag: tags[table],
                counter: if taken { 0 } else { -1 },
                useful: 0,
            };
        } else {
            for (entries, &at) in self.tables.iter_mut().zip(place).skip(from) {
                entries[at].useful = entries[at].useful.saturating_sub(1);
            }
        }
    }

    fn remember(&mut self, taken: bool) {
        for (table, length) in LENGTHS.into_iter().enumerate() {
            let leaves = self.history[(self.position + HISTORY - length) % HISTORY];
            self.index[table].shift(INDEX_BITS, length, taken, leaves);
            self.tag[table][0].shift(TAG_BITS, length, taken, leaves);
            self.tag[table][1].shift(TAG_BITS - 1, length, taken, leaves);
        }
        self.history[self.position] = taken;
        self.position = (self.position + 1) % HISTORY;
    }
}

/// Moves a saturating counter.
fn step(counter: &mut i8, up: bool, least: i8, most: i8) {
    *counter = if up {
        (*counter + 1).min(most)
    } else {
        (*counter - 1).max(least)
    };
}

#[cfg(test)]
mod tests {
    use super::Tage;

    /// Mispredictions of the last thousand of ten thousand branches at one address.
    fn missed(mut next: impl FnMut(usize) -> bool) -> usize {
        let mut tage = Tage::new();
        (0..10_000)
            .filter(|&step| tage.is_missed(0x1234, next(step)) && step >= 9_000)
            .count()
    }

    #[test]
    fn patterns_within_the_history_are_learnt_and_random_branches_are_not() {
        assert_eq!(missed(|_| true), 0);
        assert_eq!(missed(|step| step % 2 == 0), 0);
        assert!(missed(|step| step % 3 == 0) <= 2);
        assert!(missed(|step| step % 37 < 5) <= 10);
        let mut state = 88_172_645_463_325_252u64;
        let random = missed(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> 63 != 0
        });
        assert!((400..600).contains(&random), "{random}");
    }

    #[test]
    fn a_branch_that_repeats_another_one_is_predicted() {
        let mut tage = Tage::new();
        let (mut state, mut wrong) = (88_172_645_463_325_252u64, [0, 0]);
        for step in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            for (which, address) in [0x1000, 0x2000].into_iter().enumerate() {
                let is_wrong = tage.is_missed(address, state >> 63 != 0);
                wrong[which] += usize::from(is_wrong && step >= 10_000);
            }
        }
        assert!(wrong[0] > 4_000 && wrong[1] < 1_000, "{wrong:?}");
    }
}
