//! The guaranteed sizes, by formula: one pool for all classes, and one pool for each size.
//! `docs/book/pool-size.md` states and proves them; the names here are its names.

use serde::Serialize;

use super::geometry::Geometry;
use super::input::{Class, Lifetime, Order, Promise};

/// A single pool that serves every request within the promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Single {
    /// The argument that gives the size.
    pub(crate) argument: Argument,
    /// Bytes for blocks.
    pub(crate) usable: u64,
    /// Bytes of the pool, aligned to the quantum.
    pub(crate) pool: u64,
    pub(crate) control: u64,
    /// For `mm_create_for`.
    pub(crate) max_block: u64,
    /// The terms of the formula.
    pub(crate) terms: Terms,
}

impl Single {
    pub(crate) fn total(&self) -> u64 {
        self.pool + self.control
    }
}

/// Which argument holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Argument {
    /// Free blocks number at most one more than live ones, each too small for the refused request.
    Gaps,
    /// The same where every block is a multiple of a common divisor.
    Divisor,
    /// Blocks are freed in the reverse order: no gaps.
    Stack,
    /// Every block is permanent: no gaps.
    Permanent,
}

/// The numbers in the formula.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Terms {
    /// P: bytes of permanent blocks.
    pub(crate) permanent: u64,
    /// Σ nᵢ·(bᵢ + r) over the other classes.
    pub(crate) blocks: u64,
    /// r: bytes that stay with a block because they are too few for another.
    pub(crate) slack: u64,
    /// d: every block is a multiple of it.
    pub(crate) divisor: u64,
    /// Blocks live when the worst request is refused, itself not counted.
    pub(crate) live: u64,
    /// Live blocks' bytes then.
    pub(crate) live_bytes: u64,
    /// The class of the worst request: an index into the classes.
    pub(crate) worst: usize,
    /// F: the largest free block that its search can miss.
    pub(crate) missed: u64,
    /// w: the bytes that its search needs at the pool's end.
    pub(crate) searched: u64,
}

/// A pool for the blocks of some classes, all of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    /// Indices into the classes.
    pub(crate) classes: Vec<usize>,
    /// Bytes of each request in this pool.
    pub(crate) request: u64,
    pub(crate) block: u64,
    pub(crate) count: u64,
    pub(crate) align: u64,
    /// Bytes before the pool, so that its first payload is aligned.
    pub(crate) lead: u64,
    pub(crate) pool: u64,
    pub(crate) control: u64,
}

impl Part {
    pub(crate) fn total(&self) -> u64 {
        self.lead + self.pool + self.control
    }
}

/// A class is laid out before all others, without gaps.
fn is_front(class: &Class, geometry: Geometry) -> bool {
    class.lifetime == Lifetime::Permanent && class.align <= geometry.quantum()
}

/// The size of a single pool.
pub(crate) fn single(promise: &Promise) -> Single {
    let geometry = promise.geometry();
    let q = geometry.quantum();
    let block = |class: &Class| geometry.block(class.size);
    let permanent: u64 = promise
        .classes
        .iter()
        .filter(|class| is_front(class, geometry))
        .map(|class| class.count * block(class))
        .sum();
    let others = || {
        let classes = promise.classes.iter().enumerate();
        classes.filter(|(_, class)| !is_front(class, geometry))
    };
    let aligned = others().any(|(_, class)| class.align > q);
    let varies = others().any(|(_, class)| class.varies);
    let live: u64 = others().map(|(_, class)| class.count).sum();
    let bytes: u64 = others().map(|(_, class)| class.count * block(class)).sum();
    let mut terms = Terms {
        permanent,
        blocks: bytes,
        divisor: q,
        ..Terms::default()
    };

    let (argument, usable) = if live == 0 {
        (Argument::Permanent, permanent)
    } else if promise.order == Order::Stack && !aligned && !promise.realloc {
        (Argument::Stack, permanent + bytes)
    } else {
        let divisor = others().fold(0, |divisor, (_, class)| gcd(divisor, block(class)));
        let argument = if divisor >= geometry.block_min() && !aligned && !varies {
            terms.divisor = divisor;
            Argument::Divisor
        } else {
            terms.slack = q;
            Argument::Gaps
        };
        terms.blocks = bytes + live * terms.slack;
        // A block that mm_realloc is to move lives on beside the new one; where sizes vary, the
        // new one may be of its own class, whose blocks are then all live.
        let all_live = promise.realloc && varies;
        let mut most = 0;
        for (index, class) in others() {
            let searched = geometry.padded(class.size, class.align);
            let missed = geometry.largest_missed(searched, terms.divisor);
            let (live, live_bytes) = if all_live {
                (live, terms.blocks)
            } else {
                (live - 1, terms.blocks - block(class) - terms.slack)
            };
            // Free blocks: one at most after each live one, one at the pool's start; of these, the
            // one at the pool's end is tested exactly.
            let usable = permanent + live_bytes + live * missed + searched;
            if usable > most {
                most = usable;
                terms = Terms {
                    live,
                    live_bytes,
                    worst: index,
                    missed,
                    searched,
                    ..terms
                };
            }
        }
        (argument, most)
    };
    let max_block = promise
        .classes
        .iter()
        .map(|class| geometry.padded(class.size, class.align) - geometry.word)
        .max()
        .unwrap_or(1);
    let usable = usable.next_multiple_of(q);
    Single {
        argument,
        usable,
        pool: usable + geometry.pool_cost(),
        control: geometry.control(max_block),
        max_block,
        terms,
    }
}

/// One pool for each size, sizes joined where that takes fewer bytes: the cheapest of all divisions
/// of the classes, in the order of their sizes, into runs.
pub(crate) fn partition(promise: &Promise) -> Vec<Part> {
    let geometry = promise.geometry();
    let mut order: Vec<usize> = (0..promise.classes.len()).collect();
    order.sort_by_key(|&index| (promise.classes[index].size, promise.classes[index].align));
    let mut best: Vec<(u64, usize)> = vec![(0, 0)];
    for end in 1..=order.len() {
        let mut cheapest = (u64::MAX, 0);
        let (mut count, mut size, mut align) = (0, 0, 0);
        for start in (0..end).rev() {
            let class = &promise.classes[order[start]];
            count += class.count;
            size = size.max(class.size);
            align = align.max(class.align);
            let part = part(geometry, Vec::new(), size, count, align);
            let total = best[start].0.saturating_add(part.total());
            if total < cheapest.0 {
                cheapest = (total, start);
            }
        }
        best.push(cheapest);
    }
    let mut parts = Vec::new();
    let mut end = order.len();
    while end > 0 {
        let start = best[end].1;
        let classes = order[start..end].to_vec();
        let of = |f: fn(&Class) -> u64| classes.iter().map(move |&i| f(&promise.classes[i]));
        let size = of(|class| class.size).max().unwrap_or(1);
        let count = of(|class| class.count).sum();
        let align = of(|class| class.align).max().unwrap_or(1);
        let mut indices = classes.clone();
        indices.sort_unstable();
        parts.push(part(geometry, indices, size, count, align));
        end = start;
    }
    parts.reverse();
    parts
}

fn part(geometry: Geometry, classes: Vec<usize>, size: u64, count: u64, align: u64) -> Part {
    // With blocks that are multiples of the alignment, and an aligned first payload, mm_malloc
    // returns nothing but aligned blocks.
    let block = geometry.cut(geometry.block(size).next_multiple_of(align));
    let request = block - geometry.word;
    let first = geometry.pool_cost();
    Part {
        classes,
        request,
        block,
        count,
        align,
        lead: if align > geometry.quantum() {
            first.next_multiple_of(align) - first
        } else {
            0
        },
        pool: geometry.pool_cost() + count * block,
        control: geometry.control(request),
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
