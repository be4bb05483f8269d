//! The workloads. Each is one copy of code that calls the allocator through function pointers, so
//! that the harness costs the same for all.

use crate::peers::Heap;
use crate::random::Random;

/// The pool of every workload.
pub(crate) const POOL: usize = 256 << 20;

/// The memory is exhausted: the workload cannot be measured with this allocator.
pub(crate) struct Exhausted;
pub(crate) type Outcome = Result<(), Exhausted>;

/// An endless pattern of calls.
pub(crate) trait Workload {
    /// Brings the heap into its steady state.
    fn prepare(&mut self, heap: &Heap) -> Outcome;
    /// Makes about `calls` calls; returns their exact number.
    fn go_on(&mut self, heap: &Heap, calls: usize) -> Result<usize, Exhausted>;
    /// Frees everything.
    fn finish(&mut self, heap: &Heap);
}

/// A workload: its name in the results, its description, its constructor.
pub(crate) struct Description {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) needs_memalign: bool,
    pub(crate) begin: fn() -> Box<dyn Workload>,
}

/// The crate `plots` has the short names of the plots.
pub(crate) static WORKLOADS: [Description; 8] = [
    Description {
        name: "W1",
        what: "random steady state: 10,000 live, 8 to 1,024 B log-uniform",
        needs_memalign: false,
        begin: || Box::new(Churn::new(10_000, 8, 1024)),
    },
    Description {
        name: "W2",
        what: "random steady state: 1,000 live, 8 B to 64 KiB log-uniform",
        needs_memalign: false,
        begin: || Box::new(Churn::new(1000, 8, 65536)),
    },
    Description {
        name: "W3",
        what: "malloc(64) and free in pairs",
        needs_memalign: false,
        begin: || Box::new(Pairs),
    },
    Description {
        name: "W4",
        what: "first in, first out: 1,000 live, 16 to 512 B",
        needs_memalign: false,
        begin: || Box::new(Fifo::new(1000)),
    },
    Description {
        name: "W5",
        what: "realloc by half as much again, 256 vectors in turn, 16 B to 64 KiB",
        needs_memalign: false,
        begin: || Box::new(Vectors::new(256)),
    },
    Description {
        name: "W6",
        what: "48 B random steady state, 100,000 live",
        needs_memalign: false,
        begin: || Box::new(Churn::new(100_000, 48, 48)),
    },
    Description {
        name: "W7",
        what: "memalign to 64 to 4,096: 1,000 live, 8 to 1,024 B",
        needs_memalign: true,
        begin: || Box::new(Aligned::new(1000)),
    },
    Description {
        name: "W8",
        what: "sessions: 8 to 64 blocks of 16 B to 4 KiB, some resized, freed last first; \
               one of each stays among 5,000",
        needs_memalign: false,
        begin: || Box::new(Sessions::new(5000)),
    },
];

/// A block in use.
#[derive(Clone, Copy)]
struct Slot {
    block: *mut u8,
    bytes: u32,
    align: u32,
}

const EMPTY: Slot = Slot {
    block: std::ptr::null_mut(),
    bytes: 0,
    align: 0,
};

impl Slot {
    #[inline(always)]
    fn take(heap: &Heap, bytes: u32) -> Result<Slot, Exhausted> {
        let block = heap.malloc(bytes as usize);
        if block.is_null() {
            return Err(Exhausted);
        }
        // A user writes to its block.
        // SAFETY: the block is live and has at least one byte.
        unsafe { block.write(1) };
        Ok(Slot {
            block,
            bytes,
            align: 0,
        })
    }

    #[inline(always)]
    fn give_back(self, heap: &Heap) {
        // SAFETY: `take` allocated the block from this heap with this size; the slot is overwritten
        // or emptied after this call.
        unsafe { heap.free(self.block, self.bytes as usize) };
    }
}

fn give_back_all(slots: &mut [Slot], heap: &Heap) {
    for slot in slots {
        if !slot.block.is_null() {
            match (slot.align, heap.peer.memalign) {
                (0, _) | (_, None) => slot.give_back(heap),
                // SAFETY: this heap's memalign returned the live block for these arguments.
                (align, Some(_)) => unsafe {
                    heap.free_aligned(slot.block, slot.bytes as usize, align as usize);
                },
            }
            *slot = EMPTY;
        }
    }
}

/// Replaces a random live block.
struct Churn {
    slots: Vec<Slot>,
    sizes: Box<[u32; 4096]>,
    random: Random,
}

impl Churn {
    fn new(live: usize, low: usize, high: usize) -> Churn {
        let mut random = Random::new(1);
        Churn {
            slots: vec![EMPTY; live],
            sizes: random.sizes(low, high),
            random,
        }
    }
}

impl Workload for Churn {
    fn prepare(&mut self, heap: &Heap) -> Outcome {
        for slot in &mut self.slots {
            *slot = Slot::take(heap, self.sizes[self.random.next() as usize % 4096])?;
        }
        Ok(())
    }

    #[inline(never)]
    fn go_on(&mut self, heap: &Heap, calls: usize) -> Result<usize, Exhausted> {
        for _ in 0..calls / 2 {
            let random = self.random.next();
            let size = self.sizes[random as usize % 4096];
            let index = (((random >> 32) * self.slots.len() as u64) >> 32) as usize;
            self.slots[index].give_back(heap);
            self.slots[index] =
                Slot::take(heap, size).inspect_err(|_| self.slots[index] = EMPTY)?;
        }
        Ok(calls / 2 * 2)
    }

    fn finish(&mut self, heap: &Heap) {
        give_back_all(&mut self.slots, heap);
    }
}

struct Pairs;

impl Workload for Pairs {
    fn prepare(&mut self, _: &Heap) -> Outcome {
        Ok(())
    }

    #[inline(never)]
    fn go_on(&mut self, heap: &Heap, calls: usize) -> Result<usize, Exhausted> {
        for _ in 0..calls / 2 {
            Slot::take(heap, 64)?.give_back(heap);
        }
        Ok(calls / 2 * 2)
    }

    fn finish(&mut self, _: &Heap) {}
}

/// Replaces the oldest block.
struct Fifo {
    slots: Vec<Slot>,
    sizes: Box<[u32; 4096]>,
    random: Random,
    oldest: usize,
}

impl Fifo {
    fn new(live: usize) -> Fifo {
        let mut random = Random::new(4);
        Fifo {
            slots: vec![EMPTY; live],
            sizes: random.sizes(16, 512),
            random,
            oldest: 0,
        }
    }
}

impl Workload for Fifo {
    fn prepare(&mut self, heap: &Heap) -> Outcome {
        for slot in &mut self.slots {
            *slot = Slot::take(heap, self.sizes[self.random.next() as usize % 4096])?;
        }
        Ok(())
    }

    #[inline(never)]
    fn go_on(&mut self, heap: &Heap, calls: usize) -> Result<usize, Exhausted> {
        for _ in 0..calls / 2 {
            let slot = &mut self.slots[self.oldest];
            slot.give_back(heap);
            *slot = EMPTY;
            *slot = Slot::take(heap, self.sizes[self.random.next() as usize % 4096])?;
            self.oldest = if self.oldest + 1 == self.slots.len() {
                0
            } else {
                self.oldest + 1
            };
        }
        Ok(calls / 2 * 2)
    }

    fn finish(&mut self, heap: &Heap) {
        give_back_all(&mut self.slots, heap);
    }
}

/// Vectors that grow in turn; a full one is freed and begins with 16 bytes.
struct Vectors {
    slots: Vec<Slot>,
    next: usize,
}

impl Vectors {
    fn new(count: usize) -> Vectors {
        Vectors {
            slots: vec![EMPTY; count],
            next: 0,
        }
    }
}

impl Workload for Vectors {
    fn prepare(&mut self, heap: &Heap) -> Outcome {
        // Different lengths, so that the vectors do not all start over in the same round.
        for (index, slot) in self.slots.iter_mut().enumerate() {
            *slot = Slot::take(heap, 16 << (index % 12))?;
        }
        Ok(())
    }

    #[inline(never)]
    fn go_on(&mut self, heap: &Heap, calls: usize) -> Result<usize, Exhausted> {
        let mut made = 0;
        while made < calls {
            let slot = &mut self.slots[self.next];
            let bytes = slot.bytes + slot.bytes / 2;
            if bytes > 65536 {
                slot.give_back(heap);
                *slot = EMPTY;
                *slot = Slot::take(heap, 16)?;
                made += 2;
            } else {
                // SAFETY: the slot holds a live block of this heap with this size.
                let block =
                    unsafe { heap.realloc(slot.block, slot.bytes as usize, bytes as usize) };
                if block.is_null() {
                    return Err(Exhausted);
                }
                *slot = Slot {
                    block,
                    bytes,
                    align: 0,
                };
                made += 1;
            }
            self.next = (self.next + 1) % self.slots.len();
        }
        Ok(made)
    }

    fn finish(&mut self, heap: &Heap) {
        give_back_all(&mut self.slots, heap);
    }
}

/// [`Churn`] with an alignment for every block.
struct Aligned {
    slots: Vec<Slot>,
    sizes: Box<[u32; 4096]>,
    random: Random,
}

impl Aligned {
    fn new(live: usize) -> Aligned {
        let mut random = Random::new(7);
        Aligned {
            slots: vec![EMPTY; live],
            sizes: random.sizes(8, 1024),
            random,
        }
    }

    #[inline(always)]
    fn take(&mut self, heap: &Heap, index: usize, random: u64) -> Outcome {
        let bytes = self.sizes[random as usize % 4096];
        let align = 64 << ((random >> 12) % 7);
        let block = heap.memalign(align, bytes as usize);
        if block.is_null() {
            self.slots[index] = EMPTY;
            return Err(Exhausted);
        }
        // SAFETY: the block is live and has at least one byte.
        unsafe { block.write(1) };
        self.slots[index] = Slot {
            block,
            bytes,
            align: align as u32,
        };
        Ok(())
    }
}

impl Workload for Aligned {
    fn prepare(&mut self, heap: &Heap) -> Outcome {
        for index in 0..self.slots.len() {
            let random = self.random.next();
            self.take(heap, index, random)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn go_on(&mut self, heap: &Heap, calls: usize) -> Result<usize, Exhausted> {
        for _ in 0..calls / 2 {
            let random = self.random.next();
            let index = (((random >> 32) * self.slots.len() as u64) >> 32) as usize;
            let slot = self.slots[index];
            // SAFETY: this heap's memalign returned the live block for these arguments; `take`
            // overwrites the slot.
            unsafe { heap.free_aligned(slot.block, slot.bytes as usize, slot.align as usize) };
            self.take(heap, index, random)?;
        }
        Ok(calls / 2 * 2)
    }

    fn finish(&mut self, heap: &Heap) {
        give_back_all(&mut self.slots, heap);
    }
}

/// Bursts of short-lived blocks over a population of long-lived ones, as in a server.
struct Sessions {
    slots: Vec<Slot>,
    burst: Vec<Slot>,
    sizes: Box<[u32; 4096]>,
    random: Random,
}

impl Sessions {
    fn new(live: usize) -> Sessions {
        let mut random = Random::new(8);
        Sessions {
            slots: vec![EMPTY; live],
            burst: Vec::with_capacity(64),
            sizes: random.sizes(16, 4096),
            random,
        }
    }

    /// One session; returns the number of its calls.
    #[inline(always)]
    fn session(&mut self, heap: &Heap) -> Result<usize, Exhausted> {
        let blocks = 8 + self.random.below(57);
        let mut calls = 2 * blocks;
        for _ in 0..blocks {
            let random = self.random.next();
            let mut slot = Slot::take(heap, self.sizes[random as usize % 4096])?;
            // Every eighth grows to twice its size, every eighth is cut to half.
            let bytes = match (random >> 12) % 8 {
                0 => slot.bytes * 2,
                1 => slot.bytes / 2,
                _ => slot.bytes,
            };
            if bytes != slot.bytes {
                // SAFETY: the slot holds a live block of this heap with this size.
                let block =
                    unsafe { heap.realloc(slot.block, slot.bytes as usize, bytes as usize) };
                if block.is_null() {
                    slot.give_back(heap);
                    return Err(Exhausted);
                }
                slot.block = block;
                slot.bytes = bytes;
                calls += 1;
            }
            self.burst.push(slot);
        }
        // One block of the burst stays; a long-lived one leaves with the burst.
        let stays = self.random.below(blocks);
        let index = self.random.below(self.slots.len());
        std::mem::swap(&mut self.burst[stays], &mut self.slots[index]);
        while let Some(slot) = self.burst.pop() {
            slot.give_back(heap);
        }
        Ok(calls)
    }
}

impl Workload for Sessions {
    fn prepare(&mut self, heap: &Heap) -> Outcome {
        for slot in &mut self.slots {
            *slot = Slot::take(heap, self.sizes[self.random.next() as usize % 4096])?;
        }
        Ok(())
    }

    #[inline(never)]
    fn go_on(&mut self, heap: &Heap, calls: usize) -> Result<usize, Exhausted> {
        let mut made = 0;
        while made < calls {
            made += self.session(heap)?;
        }
        Ok(made)
    }

    fn finish(&mut self, heap: &Heap) {
        give_back_all(&mut self.burst, heap);
        self.burst.clear();
        give_back_all(&mut self.slots, heap);
    }
}
