//! An instance's pools: adding, extending and removing them, and finding one's way among them.

use core::ptr::{self, NonNull};

use crate::block::{FreeBlock, Header};
use crate::config::{BLOCK_MIN, QUANTUM, SIZE_LIMIT};
use crate::control::{Control, WILDERNESS};
use crate::free_list;
use crate::instance::Tlsf;
use crate::pool::{FIRST, POOL_COST, POOL_MIN, Pool, PoolHeader};
use crate::returned::prev_free_block;

impl Tlsf {
    /// The first pool in address order; O(1).
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn first_pool(self) -> Option<Pool> {
        // SAFETY: live (caller).
        Pool::new(unsafe { (*self.control()).first_pool })
    }

    /// [`Pool::walk`].
    ///
    /// # Safety
    /// The pool is live, whatever is in it, and `f` leaves its allocator alone.
    #[inline(always)]
    pub unsafe fn walk_pool(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: live, and the allocator left alone (caller).
        unsafe { pool.walk(f) }
    }

    /// The pool behind `pool` in address order; O(1). None at the end, or when `pool` is not of this instance.
    ///
    /// # Safety
    /// The instance is live; `pool` is a pool of it.
    pub unsafe fn next_pool(self, pool: Pool) -> Option<Pool> {
        // SAFETY: live (caller).
        unsafe {
            if pool.is_sound(self.control()) {
                pool.next()
            } else {
                None
            }
        }
    }

    /// The pool that `ptr` points into, its own bookkeeping included; O(pools).
    ///
    /// # Safety
    /// The instance is live. `ptr` is not read.
    pub unsafe fn pool_of(self, ptr: *const u8) -> Option<Pool> {
        // SAFETY: live (caller); `next_pool` tests each header before it follows it.
        unsafe {
            let mut pool = self.first_pool();
            while let Some(this) = pool {
                if ptr.addr() < this.start() {
                    return None;
                }
                if ptr.addr() < this.end() {
                    return Some(this);
                }
                pool = self.next_pool(this);
            }
        }
        None
    }

    /// Gives a region to the instance; O(pools), for the overlap check. The region is rounded
    /// inward to the quantum. None, and nothing changed, when what is left cannot hold one block of the smallest
    /// size, or when the region overlaps a pool or the control structure, or ends beyond the address space.
    ///
    /// # Safety
    /// The instance is live. The region may be read and written, and is used by nobody else until the
    /// pool is removed or the instance is given up.
    pub unsafe fn add_pool(self, mem: *mut u8, bytes: usize) -> Option<Pool> {
        let control = self.control();
        let end = mem.addr().checked_add(bytes)?;
        let skip = mem.addr().wrapping_neg() & (QUANTUM - 1);
        if mem.is_null() || bytes < skip + POOL_MIN {
            return None;
        }
        let start = mem.wrapping_add(skip);
        let region = (end & !(QUANTUM - 1)) - start.addr();
        if !(POOL_MIN..=SIZE_LIMIT).contains(&region) {
            return None;
        }
        // SAFETY: live (caller), or destroyed and no longer for any request.
        if unsafe { (*control).max_size == 0 || overlaps_control(control, mem.addr(), end) } {
            return None;
        }

        // The neighbours in address order.
        let mut prev: Option<Pool> = None;
        // SAFETY: live (caller); a pool is followed only when its header is sound.
        let mut next = unsafe { self.first_pool() };
        while let Some(pool) = next {
            // SAFETY: the instance's own list.
            if unsafe { !pool.is_sound(control) } {
                return None;
            }
            if pool.start() >= start.addr() {
                break;
            }
            prev = next;
            // SAFETY: as above.
            next = unsafe { self.next_pool(pool) };
        }
        // SAFETY: `prev` is a sound pool of this instance.
        if prev.is_some_and(|pool| unsafe { (*pool.header()).end } > mem.addr())
            || next.is_some_and(|pool| pool.start() < end)
        {
            return None;
        }

        // Above all others, it takes the wilderness over.
        // SAFETY: live (caller); the wilderness is tested before it is moved.
        if next.is_none() && unsafe { !give_up_wilderness(control) } {
            return None;
        }
        let header: *mut PoolHeader = start.cast();
        let pool = Pool::new(header)?;
        // SAFETY: the region is the caller's, aligned, large enough, and overlaps nothing of ours.
        unsafe {
            header.write(PoolHeader {
                next: next.map_or(ptr::null_mut(), Pool::header),
                prev: prev.map_or(ptr::null_mut(), Pool::header),
                control,
                end,
                check: 0,
            });
            pool.seal();
            link_neighbours(control, prev, next, header, header);
            let (first, size) = pool.format((*control).cookie);
            (*control).pool_bytes += region;
            (*control).overhead += POOL_COST;
            refresh(control);
            free_list::push(control, (*control).bin_of_block(first, size), first);
        }
        Some(pool)
    }

    /// Joins `more` bytes right behind the pool's region to it; O(1). False, and nothing changed, when they are too few to
    /// form a block behind a live one (or make no whole quantum), overlap the next pool or the control structure, or end
    /// beyond the address space.
    ///
    /// # Safety
    /// The instance is live, `pool` is a pool of it, and the bytes behind the region are the caller's to give.
    pub unsafe fn extend_pool(self, pool: Pool, more: usize) -> bool {
        let control = self.control();
        // SAFETY: live pool (caller), tested all the same before anything in it is believed.
        unsafe {
            if !pool.is_sound(control) {
                return false;
            }
            let header = pool.header();
            let (old_end, cookie) = ((*header).end, (*control).cookie);
            let Some(new_end) = old_end.checked_add(more) else {
                return false;
            };
            let next = Pool::new((*header).next);
            if next.is_some_and(|next| next.start() < new_end)
                || overlaps_control(control, old_end, new_end)
            {
                return false;
            }
            let sentinel = pool.sentinel();
            let grown = (new_end & !(QUANTUM - 1)) - sentinel.addr();
            if grown == 0 || grown > SIZE_LIMIT - (sentinel.addr() - pool.start()) {
                return false;
            }
            let old = sentinel.header(cookie);
            if !old.is_sentinel() {
                return false;
            }
            // The free block that will end the pool: the free tail grown, or a new one where the sentinel was.
            let mut block = sentinel;
            let mut size = grown;
            if old.is_prev_free() {
                let Some((tail, tail_size, _)) = prev_free_block(control, sentinel) else {
                    return false;
                };
                free_list::unlink(control, tail);
                block = tail;
                size += tail_size;
            } else if grown < BLOCK_MIN {
                return false;
            }
            block.set_header(cookie, Header::free(size));
            (*header).end = new_end;
            pool.seal();
            let sentinel = pool.sentinel();
            sentinel.set_prev_phys(block);
            sentinel.set_header(
                cookie,
                Header::sentinel(sentinel.addr() - pool.start()).with_prev_free(),
            );
            (*control).pool_bytes += grown;
            refresh(control);
            free_list::push(control, (*control).bin_of_block(block, size), block);
        }
        true
    }

    /// Takes a pool back from the instance; O(1). `mem_or_pool` is the pool or the address that it was added with.
    /// False, and nothing changed, while a block of it is in use, or when it is no pool of this instance.
    ///
    /// # Safety
    /// The instance is live; memory between the instance's lowest and highest pool may be read.
    pub unsafe fn remove_pool(self, mem_or_pool: *mut u8) -> bool {
        let control = self.control();
        let skip = mem_or_pool.addr().wrapping_neg() & (QUANTUM - 1);
        let start = mem_or_pool.wrapping_add(skip);
        let Some(pool) = Pool::new(start.cast()) else {
            return false;
        };
        // SAFETY: live (caller). Nothing is read outside the instance's bounds, and nothing of the
        // pool is believed before its hash is tested.
        unsafe {
            let first = pool.first_block();
            if !(*control).may_be_payload(first.addr())
                || !pool.is_sound(control)
                || !pool.is_empty()
                || free_list::links_of(control, first).is_none()
            {
                return false;
            }
            let header = pool.header();
            let (prev, next) = (Pool::new((*header).prev), Pool::new((*header).next));
            // What ends the pool below the highest becomes the wilderness.
            let mut tail = None;
            if let (Some(below), None) = (prev, next)
                && below.is_sound(control)
                && below.sentinel().header((*control).cookie).is_prev_free()
            {
                tail = prev_free_block(control, below.sentinel());
                if tail.is_none() {
                    return false;
                }
            }
            free_list::unlink(control, first);
            (*control).pool_bytes -= pool.end() - pool.start();
            (*control).overhead -= POOL_COST;
            let (next_ptr, prev_ptr) = ((*header).next, (*header).prev);
            link_neighbours(control, prev, next, next_ptr, prev_ptr);
            refresh(control);
            if let Some((tail, ..)) = tail {
                free_list::unlink(control, tail);
                free_list::push(control, WILDERNESS, tail);
            }
            // A second removal finds no pool here.
            (*header).check = !(*header).check;
        }
        true
    }

    /// The pool that a coalesced block fills alone; O(1).
    ///
    /// # Safety
    /// The instance is live and `block` is what the last [`Tlsf::free`] of it gave.
    pub unsafe fn emptied_pool(self, block: FreeBlock) -> Option<Pool> {
        // SAFETY: a free block's neighbour has a header, and a sentinel's size field leads back to its pool.
        unsafe {
            let cookie = (*self.control()).cookie;
            let block = block.0;
            let next = block.offset(block.header(cookie).size());
            let header = next.header(cookie);
            if !header.is_sentinel() {
                return None;
            }
            let start = next.payload().wrapping_sub(header.size());
            (block.addr() - start.addr() == FIRST)
                .then(|| Pool::new(start.cast()))
                .flatten()
        }
    }

    /// Makes every pool one free block again and starts the counters anew; O(pools). False, and nothing
    /// changed, when the list of pools has been overwritten.
    ///
    /// # Safety
    /// The instance is live. Every block is given up: no pointer into the pools is used again.
    pub unsafe fn reset(self) -> bool {
        let control = self.control();
        // SAFETY: live (caller); each pool is followed only when its header is sound.
        unsafe {
            let mut pool = self.first_pool();
            while let Some(this) = pool {
                if !this.is_sound(control) {
                    return false;
                }
                pool = self.next_pool(this);
            }
            // The headers of the blocks that are given up stay where they are; under another seal they are none.
            (*control).reseal();
            (*control).used = 0;
            (*control).peak = 0;
            (*control).live_blocks = 0;
            (*control).failed_requests = 0;
            Control::empty_bins(control);
            let mut pool = self.first_pool();
            while let Some(this) = pool {
                let (first, size) = this.format((*control).cookie);
                free_list::push(control, (*control).bin_of_block(first, size), first);
                pool = self.next_pool(this);
            }
        }
        true
    }
}

/// Makes the wilderness a block like others: another pool becomes the highest. False, and nothing changed, when it has
/// been overwritten.
///
/// # Safety
/// `control` is live.
unsafe fn give_up_wilderness(control: *mut Control) -> bool {
    // SAFETY: live (caller); the block is tested before anything is written.
    unsafe {
        let block = Control::head(control, WILDERNESS).read();
        if block == Control::list_end(control) {
            return true;
        }
        let Some(size) = free_list::size_of_head(control, block) else {
            return false;
        };
        if free_list::links_of(control, block).is_none() {
            return false;
        }
        free_list::unlink(control, block);
        free_list::push(control, (*control).bin_of(size), block);
    }
    true
}

/// Makes the pools around a place point at `forward` and `back`.
unsafe fn link_neighbours(
    control: *mut Control,
    prev: Option<Pool>,
    next: Option<Pool>,
    forward: *mut PoolHeader,
    back: *mut PoolHeader,
) {
    // SAFETY: both are live pools of this instance (caller).
    unsafe {
        match prev {
            Some(pool) => {
                (*pool.header()).next = forward;
                pool.seal();
            }
            None => (*control).first_pool = forward,
        }
        match next {
            Some(pool) => {
                (*pool.header()).prev = back;
                pool.seal();
            }
            None => (*control).last_pool = back,
        }
    }
}

/// Brings the bounds and the hash up to date after the list of pools changed.
pub(crate) unsafe fn refresh(control: *mut Control) {
    // SAFETY: a live instance whose list of pools is sound (caller).
    unsafe {
        let this = &mut *control;
        let (low, high) = this.outer_bounds();
        this.set_bounds(low, high);
        this.check = this.checksum();
    }
}

unsafe fn overlaps_control(control: *mut Control, start: usize, end: usize) -> bool {
    // SAFETY: live (caller).
    let bytes = unsafe { (*control).bytes() };
    start < control.addr() + bytes && control.addr() < end
}
