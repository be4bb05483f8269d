//! Validation of the free lists (I2, I3): by sums over all links, before any link is followed.
//!
//! A list is a set of edges "the word at `from` leads to the block `to`, in this bin". Each edge is
//! recorded twice: by the word itself (a head, or the `next_free` of a block) and by the
//! `prev_link` of the block that it leads to. One sum adds the hash of the first record and
//! subtracts that of the second. A sum of zero means that both sides record every edge: each edge
//! joins a head or free block with a free block that the walk has seen, and each of these has one
//! edge to it. Only then are the lists traversed, to check that they contain every free block.
//!
//! If the sum is not zero, partial sums lead to the lowest link address whose two records disagree.

use super::violation::{Checked, Invariant, broken};
use super::walk::{turn, walk_pool};
use crate::block::{Block, Header, Link};
use crate::config::BLOCK_MIN;
use crate::control::Control;
use crate::hash::mix;
use crate::pool::Pool;

/// The sums of the walk over all blocks.
#[derive(Default)]
pub(crate) struct Sums {
    pub(crate) used: usize,
    pub(crate) live_blocks: usize,
    free_blocks: usize,
    edges: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Edge {
    from: usize,
    to: Block,
    bin: usize,
}

/// The side that records an edge.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The word that points.
    Link,
    /// The block pointed to.
    Block,
}

impl Edge {
    /// What this record adds to the sum: both records of an edge add up to zero.
    fn weight(&self, by: By) -> usize {
        let hash = mix(&[self.from, self.to.addr(), self.bin]);
        if by == By::Link {
            hash
        } else {
            hash.wrapping_neg()
        }
    }
}

/// I2 to I6 for the whole heap; returns the sums that I8 is compared with.
///
/// # Safety
/// The control structure and the pools are validated.
pub(crate) unsafe fn check(control: *mut Control) -> Checked<Sums> {
    // SAFETY: control structure and pools are validated (caller), the lists by the sum before they
    // are walked.
    unsafe {
        let mut sums = Sums::default();
        each_head(control, |edge| {
            sums.edges = sums.edges.wrapping_add(edge.weight(By::Link));
        });
        each_block(control, |block, header| {
            if header.is_free() {
                sums.free_blocks += 1;
                edges_of(control, block, header, |edge, by| {
                    sums.edges = sums.edges.wrapping_add(edge.weight(by));
                });
            } else {
                sums.used += header.marked_size();
                sums.live_blocks += 1;
            }
        })?;
        if sums.edges != 0 {
            return blame(control);
        }
        #[cfg(not(memoman_small))]
        {
            sums.used = sums.used.wrapping_sub(crate::cache::check(control)?);
        }
        let mut listed = 0;
        each_listed(control, |_| listed += 1);
        if listed == sums.free_blocks {
            Ok(sums)
        } else {
            unlisted(control)
        }
    }
}

/// Calls `visit` with each block of each pool, in address order, after testing I4 to I6.
unsafe fn each_block(control: *mut Control, mut visit: impl FnMut(Block, Header)) -> Checked {
    // SAFETY: control structure and pools are validated (caller).
    unsafe {
        let mut pool = Pool::new((*control).first_pool);
        while let Some(this) = pool {
            turn();
            walk_pool(control, this, |block, header| {
                visit(block, header);
                Ok(())
            })?;
            pool = this.next();
        }
        Ok(())
    }
}

/// Calls `visit` with the edge of each head.
unsafe fn each_head(control: *mut Control, mut visit: impl FnMut(Edge)) {
    // SAFETY: the control structure is validated (caller), so `top_bin` bounds the heads.
    unsafe {
        for bin in 0..=(*control).top_bin {
            turn();
            let head = Control::head(control, bin);
            let to = head.read();
            if to != Control::list_end(control) {
                visit(Edge {
                    from: head.addr(),
                    to,
                    bin,
                });
            }
        }
    }
}

/// Calls `visit` with the edges that a free block records. Its links are read, not followed.
unsafe fn edges_of(
    control: *mut Control,
    block: Block,
    header: Header,
    mut visit: impl FnMut(Edge, By),
) {
    // SAFETY: a validated free block (caller): its payload holds two links.
    let (bin, next, link, end) = unsafe {
        (
            (*control).bin_of_block(block, header.size()),
            block.next_free(),
            block.prev_link(),
            Control::list_end(control),
        )
    };
    if next != end {
        visit(
            Edge {
                from: block.addr(),
                to: next,
                bin,
            },
            By::Link,
        );
    }
    visit(
        Edge {
            from: link.addr(),
            to: block,
            bin,
        },
        By::Block,
    );
}

/// Calls `visit` with all edges, both records of each. Compiled once, since only the search for a
/// fault that has been found calls it.
#[cold]
#[inline(never)]
unsafe fn each_edge(control: *mut Control, visit: &mut dyn FnMut(Edge, By)) -> Checked {
    // SAFETY: control structure and pools are validated (caller), each block by the walk.
    unsafe {
        each_head(control, |edge| visit(edge, By::Link));
        each_block(control, |block, header| {
            if header.is_free() {
                edges_of(control, block, header, &mut *visit);
            }
        })
    }
}

/// Walks all lists. The sum is zero (caller), so no head leads into a cycle.
unsafe fn each_listed(control: *mut Control, mut visit: impl FnMut(Block)) {
    // SAFETY: every edge leads to a free block: the sum is zero (caller).
    unsafe {
        for bin in 0..=(*control).top_bin {
            turn();
            let mut block = Control::head(control, bin).read();
            while block != Control::list_end(control) {
                turn();
                visit(block);
                block = block.next_free();
            }
        }
    }
}

/// Takes a key and its weight.
type Weigh<'a> = &'a mut dyn FnMut(usize, usize);

/// Bits of a key that one pass of [`lowest`] determines.
const DIGIT: u32 = 6;

/// The lowest key whose weights do not add up to zero. `entries` calls a visitor with all keys and
/// weights; it is called a constant number of times.
#[inline(never)]
fn lowest(entries: &mut dyn FnMut(Weigh) -> Checked) -> Checked<usize> {
    let mut found = 0usize;
    let mut shift = usize::BITS.next_multiple_of(DIGIT);
    while shift > 0 {
        turn();
        shift -= DIGIT;
        let mut sums = [0usize; 1 << DIGIT];
        entries(&mut |key, weight| {
            // The digits above `shift` are those found so far; the first has none above it.
            if key.checked_shr(shift + DIGIT).unwrap_or(0) == found {
                let sum = &mut sums[key >> shift & ((1 << DIGIT) - 1)];
                *sum = sum.wrapping_add(weight);
            }
        })?;
        let digit = sums.iter().position(|&sum| sum != 0).unwrap_or(0);
        found = found << DIGIT | digit;
    }
    Ok(found)
}

/// Names the link or block whose edges do not add up to zero.
#[cold]
#[inline(never)]
unsafe fn blame(control: *mut Control) -> Checked<Sums> {
    // SAFETY: control structure, pools and each block's header are validated (caller).
    unsafe {
        let from = lowest(&mut |add| {
            each_edge(control, &mut |edge, by| {
                add(edge.from, edge.weight(by));
            })
        })?;
        // The edge that the word there records, if it is in a head or a free block.
        let mut says = None;
        each_edge(control, &mut |edge, by| {
            if by == By::Link && edge.from == from {
                says = Some(edge);
            }
        })?;
        // The blocks that record an edge from it.
        let (mut agreed, mut other) = (false, None);
        each_edge(control, &mut |edge, by| {
            if by == By::Block && edge.from == from {
                agreed |= says == Some(edge);
                if says != Some(edge) {
                    other = Some(edge);
                }
            }
        })?;
        let astray = says.filter(|_| !agreed);
        let Some(to) = other.or(astray).map(|edge| edge.to) else {
            return broken(Invariant::List, control.cast_const().cast(), None);
        };
        // The edge that this block records, and whether the word records it too.
        let (mut link, mut mutual) = (None, false);
        each_edge(control, &mut |edge, by| {
            if by == By::Block && edge.to == to {
                link = Some(edge);
            }
        })?;
        each_edge(control, &mut |edge, by| {
            mutual |= by == By::Link && link == Some(edge)
        })?;
        let wrong = match (astray, other) {
            // A block in the list of another bin.
            (Some(said), Some(_)) if said.to == to => to.addr(),
            (Some(_), Some(_)) => from,
            // It leads to no free block, or to one that another word leads to.
            (Some(_), None) if link.is_none() || mutual => from,
            // The block does not point back, or points back to a word that does not lead there.
            _ => to.addr(),
        };
        let mut led_to = Control::bin_of_head(
            control,
            control.cast::<Block>().with_addr(wrong),
            (*control).top_bin,
        )
        .is_some();
        each_edge(control, &mut |edge, by| {
            led_to |= by == By::Link && edge.to.addr() == wrong;
        })?;
        at(
            control,
            if led_to {
                Invariant::List
            } else {
                Invariant::Listed
            },
            wrong,
        )
    }
}

/// Names a free block in no list although both sides record every edge: one of a ring.
#[cold]
#[inline(never)]
unsafe fn unlisted(control: *mut Control) -> Checked<Sums> {
    // SAFETY: control structure, pools, blocks and every edge are validated (caller).
    unsafe {
        let block = lowest(&mut |add| {
            each_listed(control, |block| add(block.addr(), usize::MAX));
            each_block(control, |block, header| {
                if header.is_free() {
                    add(block.addr(), 1);
                }
            })
        })?;
        at(control, Invariant::Listed, block)
    }
}

/// A violation at `address`, with the pool that contains it.
unsafe fn at<T>(control: *mut Control, invariant: Invariant, address: usize) -> Checked<T> {
    // SAFETY: the pools are validated (caller).
    let pool = unsafe { pool_of(control, address) };
    let place = control.cast_const().cast::<u8>();
    broken(invariant, place.with_addr(address), pool)
}

pub(crate) unsafe fn pool_of(control: *mut Control, address: usize) -> Option<Pool> {
    // SAFETY: the pools are validated (caller).
    unsafe {
        let mut pool = Pool::new((*control).first_pool);
        while let Some(this) = pool {
            turn();
            if this.holds(address) {
                return Some(this);
            }
            pool = this.next();
        }
    }
    None
}

/// I2 and I3 at one free block, from its neighbours in the list; O(pools).
///
/// # Safety
/// The control structure, the pools and the block are validated.
#[inline(never)]
pub(crate) unsafe fn check_links(
    control: *mut Control,
    pool: Pool,
    block: Block,
    header: Header,
) -> Checked {
    // SAFETY: all three are validated (caller); a link is followed only to a head or to a block
    // that `looks_listed`.
    unsafe {
        let bin = (*control).bin_of_block(block, header.size());
        let fail = |invariant| broken(invariant, block.payload(), Some(pool));
        let next = block.next_free();
        if next != Control::list_end(control) {
            if !looks_listed(control, next, bin) {
                return fail(Invariant::List);
            }
            let back = next.prev_link();
            if back != block.next_link() {
                // If another word leads to that block, the link here is wrong; else its link back
                // is.
                let held = may_hold(control, back, bin) && back.read() == next;
                return at(
                    control,
                    Invariant::List,
                    if held { block.addr() } else { next.addr() },
                );
            }
        }
        let link = block.prev_link();
        if !may_hold(control, link, bin) {
            return fail(Invariant::List);
        }
        let held = link.read();
        if held == block {
            return Ok(());
        }
        if held == Control::list_end(control) {
            return fail(Invariant::Listed);
        }
        // If the other block points back, this one is in no list; else the link is wrong.
        if looks_listed(control, held, bin) && held.prev_link() == link {
            fail(Invariant::List)
        } else {
            at(control, Invariant::List, link.addr())
        }
    }
}

/// I2 at a head: it leads to no block, or to a free block of `bin` that points back; O(pools).
///
/// # Safety
/// The control structure and the pools are validated; `bin` is at most `top_bin`.
pub(crate) unsafe fn check_head(control: *mut Control, bin: usize) -> Checked {
    // SAFETY: validated (caller); the head is followed only to a block that `looks_listed`.
    unsafe {
        let head = Control::head(control, bin);
        let block = head.read();
        if block == Control::list_end(control)
            || looks_listed(control, block, bin) && block.prev_link() == head
        {
            Ok(())
        } else {
            broken(Invariant::List, head.cast_const().cast(), None)
        }
    }
}

/// The word at `link` is the head of `bin` or the `next_free` of a block that [`looks_listed`] in
/// it.
unsafe fn may_hold(control: *mut Control, link: Link, bin: usize) -> bool {
    // SAFETY: control structure and pools are validated (caller).
    link == Control::head(control, bin)
        || unsafe { looks_listed(control, Block::at(link.cast()), bin) }
}

/// The header here is that of a free block of `bin`, inside a pool.
#[inline(never)]
unsafe fn looks_listed(control: *mut Control, block: Block, bin: usize) -> bool {
    // SAFETY: the pools are validated (caller); the pool holds the address.
    unsafe {
        match pool_of(control, block.addr()) {
            Some(pool) => listed_in(control, pool, block, bin).is_some(),
            None => false,
        }
    }
}

/// The size of a block in the pool that holds this address, if the header here is that of a free
/// block of `bin`.
///
/// # Safety
/// The control structure and the pool are validated, and the pool holds the address.
#[inline(always)]
pub(crate) unsafe fn listed_in(
    control: *mut Control,
    pool: Pool,
    block: Block,
    bin: usize,
) -> Option<usize> {
    if !block.is_aligned() {
        return None;
    }
    // SAFETY: the pool is validated and holds the address (caller), which is aligned.
    unsafe {
        let header = block.header((*control).cookie);
        let size = header.size();
        (header.is_plain_free()
            && (BLOCK_MIN..=pool.end() - block.addr()).contains(&size)
            && (*control).bin_of_block(block, size) == bin)
            .then_some(size)
    }
}
