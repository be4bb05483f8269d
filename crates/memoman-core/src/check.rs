//! Validation: proves the invariants of the crate's documentation, one by one, on a heap that may have been overwritten
//! anywhere.
//!
//! Nothing is followed before it is proved: the control structure by its hash, each pool by its
//! header's hash, each block by the walk that reaches it from its pool's start. List links are
//! *not* followed at first. Each free block adds the edge to its `next_free` to one sum and the edge from its
//! `prev_link` to another; when the sums agree, every link leads to a free block that the walk has
//! seen, and only then the lists are walked, to see that they hold all of them. So validation reads
//! nothing outside the pools and the control structure, and ends within blocks + bins + pools steps.
//! When the sums differ, a second pass looks for the block to blame.

use core::ffi::CStr;
use core::ptr;

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, QUANTUM, SL_WORDS};
use crate::control::{Control, mix};
use crate::pool::{POOL_COST, Pool};
use crate::tlsf::Tlsf;

/// The invariants by number.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// I1: a bit is set exactly when its list, or its word, is not empty.
    Bitmap = 1,
    /// I2: a listed block is free, in its bin, in a pool; links are mutual, without a cycle.
    List = 2,
    /// I3: every free block is listed exactly once.
    Listed = 3,
    /// I4: no two physical neighbours are both free.
    Coalesced = 4,
    /// I5: PREV_FREE and `prev_phys` tell the truth about the previous block.
    PrevPhys = 5,
    /// I6: sizes are valid and tile the pool up to its sentinel.
    Tiling = 6,
    /// I7: pools and the control structure are where they were put, aligned, apart from each other.
    Placement = 7,
    /// I8: the counters equal what a walk finds.
    Counters = 8,
}

impl Invariant {
    /// The number of the contract's list, 1 to 8.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What is broken, in a few words.
    pub const fn name(self) -> &'static CStr {
        match self {
            Invariant::Bitmap => c"I1: bitmap does not match the free lists",
            Invariant::List => c"I2: free-list link or listed block overwritten",
            Invariant::Listed => c"I3: free block in no list",
            Invariant::Coalesced => c"I4: adjacent free blocks",
            Invariant::PrevPhys => c"I5: PREV_FREE or prev_phys does not match the previous block",
            Invariant::Tiling => c"I6: block header or sentinel overwritten",
            Invariant::Placement => c"I7: control structure or pool header overwritten",
            Invariant::Counters => c"I8: counters do not match the blocks",
        }
    }
}

/// The first broken invariant that validation met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: Invariant,
    /// Where it shows: a payload, a bitmap word, a bin's head, a pool, or the control structure.
    pub address: *const u8,
    /// The pool in which it shows, if it does in one.
    pub pool: Option<Pool>,
}

/// Shorthand: the checks end at the first violation.
pub(crate) type Checked<T = ()> = Result<T, Violation>;

pub(crate) fn broken<T>(
    invariant: Invariant,
    address: *const u8,
    pool: Option<Pool>,
) -> Checked<T> {
    Err(Violation {
        invariant,
        address,
        pool,
    })
}

/// What a walk knows of the block before the one that it looks at.
#[derive(Clone, Copy)]
pub(crate) enum Before {
    /// In use, or the pool's start.
    Used,
    /// Free, at this place.
    Free(Block),
    /// Not seen: the walk goes on from a saved place.
    Unseen,
}

/// What the walk over all blocks adds up.
#[derive(Default)]
struct Sums {
    used: usize,
    live_blocks: usize,
    free_blocks: usize,
    free_bytes: usize,
    heads: usize,
    next_edges: usize,
    prev_edges: usize,
}

impl Tlsf {
    /// The first broken invariant, None when the heap is sound; O(blocks). Changes nothing.
    ///
    /// # Safety
    /// The control structure and the pools that were given to it may be read. Their contents may be anything.
    pub unsafe fn diagnose(self) -> Option<Violation> {
        // SAFETY: the caller's duty.
        unsafe { diagnose(self.control()).err() }
    }

    /// As [`Tlsf::diagnose`], for the blocks of one pool and their links; O(blocks of the pool · pools).
    ///
    /// # Safety
    /// The pool's region may be read, and its instance too. Their contents may be anything.
    pub unsafe fn diagnose_pool(pool: Pool) -> Option<Violation> {
        // SAFETY: the caller's duty: the pool's header is tested before its instance is believed.
        unsafe {
            let control = pool.control();
            let result = if control.is_null() || !pool.is_sound(control) {
                broken(Invariant::Placement, pool.as_raw().cast(), Some(pool))
            } else {
                check_control(control)
                    .and_then(|()| check_pools(control))
                    .and_then(|()| walk_links(control, pool))
            };
            result.err()
        }
    }
}

unsafe fn diagnose(control: *mut Control) -> Checked {
    // SAFETY: each step proves what the next one follows.
    unsafe {
        check_control(control)?;
        check_pools(control)?;
        check_bitmaps(control)?;
        let mut sums = Sums::default();
        let mut pool = Pool::new((*control).first_pool);
        while let Some(this) = pool {
            walk_pool(control, this, |block, header| {
                add(control, &mut sums, block, header);
                Ok(())
            })?;
            pool = this.next();
        }
        check_lists(control, &sums)?;
        check_counters(control, &sums)
    }
}

/// The words that only control-plane calls change are as they were left.
pub(crate) unsafe fn check_control(control: *mut Control) -> Checked {
    // SAFETY: the fixed part of the control structure may be read (caller).
    let this = unsafe { &*control };
    if this.check == this.checksum() {
        Ok(())
    } else {
        broken(Invariant::Placement, control.cast_const().cast(), None)
    }
}

/// Every pool's header is sound; pools lie apart, in address order, and add up.
pub(crate) unsafe fn check_pools(control: *mut Control) -> Checked {
    // SAFETY: the control structure is proved; each pool is proved before it is followed.
    unsafe {
        let at_control = || broken(Invariant::Placement, control.cast_const().cast(), None);
        let mut bytes = 0usize;
        let mut count = 0usize;
        let mut last: Option<Pool> = None;
        let mut pool = Pool::new((*control).first_pool);
        while let Some(this) = pool {
            if !this.is_sound(control)
                || this.prev() != last
                || last.is_some_and(|last| last.end() > this.start())
            {
                return broken(Invariant::Placement, this.as_raw().cast(), Some(this));
            }
            bytes = bytes.wrapping_add(this.end() - this.start());
            count += 1;
            last = Some(this);
            pool = this.next();
        }
        if last != Pool::new((*control).last_pool)
            || bytes != (*control).pool_bytes
            || count.wrapping_mul(POOL_COST) != (*control).overhead
        {
            return at_control();
        }
        Ok(())
    }
}

/// I1, in both levels.
pub(crate) unsafe fn check_bitmaps(control: *mut Control) -> Checked {
    // SAFETY: the control structure is proved, so `top_bin` bounds the heads.
    unsafe {
        let this = &*control;
        for word in 0..SL_WORDS {
            let bits = this.sl_bitmap[word];
            if (this.fl_bitmap >> word & 1 != 0) != (bits != 0) {
                return broken(
                    Invariant::Bitmap,
                    ptr::from_ref(&this.sl_bitmap[word]).cast(),
                    None,
                );
            }
            for bit in 0..usize::BITS as usize {
                let bin = word * usize::BITS as usize + bit;
                let marked = bits >> bit & 1 != 0;
                let true_bit = if bin > this.top_bin {
                    !marked
                } else {
                    // A head of zero is neither a block nor the list's end.
                    let head = Control::head(control, bin).read();
                    (head != this.list_end()) == marked && (!marked || head.addr() != 0)
                };
                if !true_bit {
                    return broken(
                        Invariant::Bitmap,
                        ptr::from_ref(&this.sl_bitmap[word]).cast(),
                        None,
                    );
                }
            }
        }
        if this.fl_bitmap >> (SL_WORDS - 1) > 1 {
            return broken(
                Invariant::Bitmap,
                ptr::from_ref(&this.fl_bitmap).cast(),
                None,
            );
        }
        Ok(())
    }
}

/// I4, I5, I6 and I7 at one block; gives its header.
///
/// # Safety
/// `pool` is proved, and `block` lies in it at a place that the walk from its start reaches.
pub(crate) unsafe fn check_block(
    cookie: usize,
    pool: Pool,
    block: Block,
    before: Before,
) -> Checked<Header> {
    // SAFETY: `block` is between the pool's first block and its sentinel (caller): its header is
    // inside the pool; the ghost is read only where PREV_FREE says that there is one.
    unsafe {
        let fail = |invariant| broken(invariant, block.payload(), Some(pool));
        let header = block.header(cookie);
        let size = header.size();
        let left = pool.end() - block.addr();
        let tiles = if left == 0 {
            header.is_sentinel() && !header.is_free() && size == block.addr() - pool.start()
        } else {
            !header.is_sentinel() && size >= BLOCK_MIN && size <= left
        };
        if !tiles || !header.is_sealed() || header.has_stray_bits() {
            return fail(Invariant::Tiling);
        }
        let prev_free = match before {
            Before::Used => false,
            Before::Free(_) => true,
            Before::Unseen => header.is_prev_free(),
        };
        if prev_free && header.is_free() {
            return fail(Invariant::Coalesced);
        }
        if header.is_prev_free() != prev_free {
            return fail(Invariant::PrevPhys);
        }
        if prev_free {
            let ghost = block.prev_phys();
            let truthful = match before {
                Before::Free(prev) => ghost == prev,
                _ => {
                    ghost.is_aligned()
                        && ghost.addr() >= pool.first_block().addr()
                        && ghost.addr() < block.addr()
                        && ghost.header(cookie) == Header::free(block.addr() - ghost.addr())
                }
            };
            if !truthful {
                return fail(Invariant::PrevPhys);
            }
        }
        Ok(header)
    }
}

/// Walks a pool from its start to its sentinel, checks each block, and hands it to `visit`.
unsafe fn walk_pool(
    control: *mut Control,
    pool: Pool,
    mut visit: impl FnMut(Block, Header) -> Checked,
) -> Checked {
    // SAFETY: the pool is proved (caller); each block is reached through proved sizes.
    unsafe {
        let cookie = (*control).cookie;
        let end = pool.end();
        let mut block = pool.first_block();
        let mut before = Before::Used;
        loop {
            let header = check_block(cookie, pool, block, before)?;
            if block.addr() == end {
                return Ok(());
            }
            visit(block, header)?;
            before = if header.is_free() {
                Before::Free(block)
            } else {
                Before::Used
            };
            block = block.offset(header.size());
        }
    }
}

/// Counts a block, and a free one's two edges.
unsafe fn add(control: *mut Control, sums: &mut Sums, block: Block, header: Header) {
    // SAFETY: a proved block; its links are read as words, not followed. A link that lies in the
    // control structure is one of the heads, which may be read.
    unsafe {
        let this = &*control;
        if !header.is_free() {
            sums.used += header.size();
            sums.live_blocks += 1;
            return;
        }
        sums.free_blocks += 1;
        sums.free_bytes += header.size();
        let bin = this.bin_of(header.size());
        let next = block.next_free();
        if next != this.list_end() {
            let edge = mix(&[block.addr(), next.addr(), bin]);
            sums.next_edges = sums.next_edges.wrapping_add(edge);
        }
        let link = block.prev_link();
        if link == Control::head(control, bin) {
            if link.read() == block {
                sums.heads += 1;
            }
        } else {
            let edge = mix(&[link.addr(), block.addr(), bin]);
            sums.prev_edges = sums.prev_edges.wrapping_add(edge);
        }
    }
}

/// I2 and I3. When the edges agree, every `next_free` leads to a free block of the same bin that the walk has seen.
unsafe fn check_lists(control: *mut Control, sums: &Sums) -> Checked {
    // SAFETY: heads may be read; lists are walked only after the sums have proved them.
    unsafe {
        let top_bin = (*control).top_bin;
        let filled = (0..=top_bin)
            .filter(|&bin| Control::head(control, bin).read() != (*control).list_end())
            .count();
        if sums.next_edges != sums.prev_edges || sums.heads != filled {
            return blame(control);
        }
        let mut listed = 0;
        for bin in 0..=top_bin {
            let mut block = Control::head(control, bin).read();
            while block != (*control).list_end() && listed <= sums.free_blocks {
                listed += 1;
                block = block.next_free();
            }
        }
        if listed != sums.free_blocks {
            // A ring that no head leads to.
            return broken(Invariant::Listed, control.cast_const().cast(), None);
        }
        Ok(())
    }
}

/// Finds the block whose link is broken; O(free blocks · pools).
unsafe fn blame(control: *mut Control) -> Checked {
    // SAFETY: control structure, pools and blocks are proved; links are followed into pools only.
    unsafe {
        let mut pool = Pool::new((*control).first_pool);
        while let Some(this) = pool {
            walk_links(control, this)?;
            pool = this.next();
        }
        for bin in 0..=(*control).top_bin {
            let head = Control::head(control, bin);
            let block = head.read();
            let sound = block == (*control).list_end()
                || (is_listed_in(control, block, bin) && block.prev_link() == head);
            if !sound {
                return broken(Invariant::List, head.cast_const().cast(), None);
            }
        }
        broken(Invariant::Listed, control.cast_const().cast(), None)
    }
}

/// Walks one pool and checks the links of each free block.
unsafe fn walk_links(control: *mut Control, pool: Pool) -> Checked {
    // SAFETY: as for `blame`.
    unsafe {
        walk_pool(control, pool, |block, header| {
            if header.is_free() {
                check_links(control, pool, block, header)
            } else {
                Ok(())
            }
        })
    }
}

/// I1, I2 and I3 at one free block; O(pools).
///
/// # Safety
/// The control structure, the pools and the block are proved.
pub(crate) unsafe fn check_links(
    control: *mut Control,
    pool: Pool,
    block: Block,
    header: Header,
) -> Checked {
    // SAFETY: proved (caller); a link is followed only to a head or into a pool.
    unsafe {
        let this = &*control;
        let fail = |invariant| broken(invariant, block.payload(), Some(pool));
        let bin = this.bin_of(header.size());
        if this.first_nonempty(bin) != Some(bin) {
            return fail(Invariant::Bitmap);
        }
        let link = block.prev_link();
        if link == Control::head(control, bin) {
            if link.read() != block {
                return fail(Invariant::Listed);
            }
        } else if !(is_listed_in(control, Block::at(link.cast()), bin) && link.read() == block) {
            return fail(Invariant::List);
        }
        let next = block.next_free();
        let sound = next == this.list_end()
            || (is_listed_in(control, next, bin) && next.prev_link() == block.next_link());
        if sound { Ok(()) } else { fail(Invariant::List) }
    }
}

/// There is a free block of `bin` at this place, as far as its header says.
unsafe fn is_listed_in(control: *mut Control, block: Block, bin: usize) -> bool {
    // SAFETY: the pools are proved (caller); the header is read only inside one.
    unsafe {
        if !block.addr().is_multiple_of(QUANTUM) {
            return false;
        }
        let mut pool = Pool::new((*control).first_pool);
        while let Some(this) = pool {
            if block.addr() >= this.first_block().addr() && block.addr() < this.end() {
                let header = block.header((*control).cookie);
                let size = header.size();
                return header.is_plain_free()
                    && (BLOCK_MIN..=this.end() - block.addr()).contains(&size)
                    && (*control).bin_of(size) == bin;
            }
            pool = this.next();
        }
        false
    }
}

/// I8.
unsafe fn check_counters(control: *mut Control, sums: &Sums) -> Checked {
    // SAFETY: the control structure is proved (caller).
    let this = unsafe { &*control };
    let sound = this.used == sums.used
        && this.free_bytes() == sums.free_bytes
        && this.live_blocks == sums.live_blocks
        && this.peak >= this.used;
    if sound {
        Ok(())
    } else {
        broken(Invariant::Counters, ptr::from_ref(&this.used).cast(), None)
    }
}
