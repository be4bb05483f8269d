//! An instance's pools: finding, adding, extending and removing them, and the reset of all.

use core::hint::assert_unchecked;
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
        // SAFETY: live instance (caller).
        Pool::new(unsafe { (*self.control()).first_pool })
    }

    /// [`Pool::walk`].
    ///
    /// # Safety
    /// The pool is live; its contents may be anything. `f` makes no call on its instance.
    #[inline(always)]
    pub unsafe fn walk_pool(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: live pool, no call of `f` on its instance (caller).
        unsafe { pool.walk(f) }
    }

    /// The pool after `pool` in address order; O(1). None at the end, or when `pool` is not of this
    /// instance.
    ///
    /// # Safety
    /// The instance is live; `pool` is a pool of it.
    pub unsafe fn next_pool(self, pool: Pool) -> Option<Pool> {
        // SAFETY: live instance (caller); the pool's header is tested before it is followed.
        unsafe {
            if pool.is_sound(self.control()) {
                pool.next()
            } else {
                None
            }
        }
    }

    /// The pool that `ptr` points into, its headers included; O(pools). The memory at `ptr` is not
    /// read.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn pool_of(self, ptr: *const u8) -> Option<Pool> {
        // SAFETY: live instance (caller); `next_pool` tests each header before it follows it.
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

    /// Adds a region to the instance as a pool; O(pools), for the overlap check. The region is
    /// rounded inward to the quantum. None, and nothing changed, when `mem` is null, when the
    /// rounded region cannot hold one block of the smallest size or is larger than [`SIZE_LIMIT`],
    /// when the region overlaps a pool or the control structure or ends beyond the address space,
    /// or when a header that it tests is overwritten.
    ///
    /// # Safety
    /// The instance is live. The region may be read and written, and belongs to the instance until
    /// the pool is removed or the instance is destroyed.
    pub unsafe fn add_pool(self, mem: *mut u8, bytes: usize) -> Option<Pool> {
        let control = self.control();
        let end = mem.addr().checked_add(bytes)?;
        let skip = mem.addr().wrapping_neg() & (QUANTUM - 1);
        if mem.is_null() || bytes < skip + POOL_MIN {
            return None;
        }
        // For `Block::returned`.
        let _ = mem.expose_provenance();
        let start = mem.wrapping_add(skip);
        let region = (end & !(QUANTUM - 1)) - start.addr();
        if !(POOL_MIN..=SIZE_LIMIT).contains(&region) {
            return None;
        }
        // SAFETY: live instance (caller). (A destroyed instance, with `max_size` 0, is refused
        // here.)
        if unsafe { (*control).max_size == 0 || overlaps_control(control, mem.addr(), end) } {
            return None;
        }

        // The neighbours in address order.
        let mut prev: Option<Pool> = None;
        // SAFETY: live instance (caller); a pool is followed only when its header is sound.
        let mut next = unsafe { self.first_pool() };
        while let Some(pool) = next {
            // SAFETY: a pool from the instance's list, so its header may be read.
            if unsafe { !pool.is_sound(control) } {
                return None;
            }
            if pool.start() >= start.addr() {
                break;
            }
            prev = next;
            // SAFETY: live instance (caller), sound pool of it (tested).
            next = unsafe { self.next_pool(pool) };
        }
        // SAFETY: `prev` is a sound pool of this instance.
        if prev.is_some_and(|pool| unsafe { (*pool.header()).end } > mem.addr())
            || next.is_some_and(|pool| pool.start() < end)
        {
            return None;
        }

        // The highest pool ends with the wilderness: the present one becomes an ordinary block.
        // SAFETY: live instance (caller); the wilderness is tested before it is moved.
        if next.is_none() && unsafe { !give_up_wilderness(control) } {
            return None;
        }
        let header: *mut PoolHeader = start.cast();
        // SAFETY: `mem` is not null, and `start` is at most `mem + bytes`, which does not wrap
        // (both tested).
        unsafe { assert_unchecked(!header.is_null()) };
        let pool = Pool::new(header)?;
        // SAFETY: the region may be written (caller), is aligned and large enough, and overlaps no
        // pool and not the control structure (tested); its neighbours in the list are sound pools.
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
            free_list::push_outlined(control, first, size);
            // The small build's `push` does so.
            if cfg!(not(memoman_small)) {
                (*control).absorber = 0;
            }
        }
        Some(pool)
    }

    /// Extends a pool by the `more` bytes directly after its region; O(1). Returns false and
    /// changes nothing when they complete no further quantum; when the pool ends with a block in
    /// use and they complete less than a smallest block; when they overlap the next pool or the
    /// control structure or end beyond the address space; when the pool would be larger than
    /// [`SIZE_LIMIT`]; when it is not of this instance; or when a header that it tests is
    /// overwritten.
    ///
    /// # Safety
    /// The instance is live; `pool` is a pool of it; the `more` bytes may be read and written, and
    /// belong to the instance until the pool is removed or the instance is destroyed.
    pub unsafe fn extend_pool(self, pool: Pool, more: usize) -> bool {
        let control = self.control();
        // SAFETY: live instance, pool and bytes of it (caller); the pool is tested before anything
        // in it is trusted.
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
            // Sealed: the pool is one of this life.
            if !old.is_sealed() || !old.is_sentinel() {
                return false;
            }
            // The free block that will end the pool: the grown free tail, or a new one at the old
            // sentinel.
            let mut block = sentinel;
            let mut size = grown;
            if old.is_prev_free() {
                let Some((tail, tail_size, _)) = prev_free_block(control, sentinel) else {
                    return false;
                };
                free_list::unlink_outlined(control, tail);
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
            free_list::push_outlined(control, block, size);
            (*control).absorber = 0;
        }
        true
    }

    /// Removes a pool from the instance; O(1). `mem_or_pool` is the pool or the address that it was
    /// added with. False, and nothing changed, while a block of it is in use, when it is no pool of
    /// this instance, or when a header or link that it tests is overwritten.
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
        // SAFETY: live instance (caller); nothing is read outside its bounds, and nothing of the
        // pool is trusted before its hash is tested.
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
            // Without the highest pool, a free block that ends the pool below becomes the
            // wilderness.
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
            free_list::unlink_outlined(control, first);
            (*control).pool_bytes -= pool.end() - pool.start();
            (*control).overhead -= POOL_COST;
            let (next_ptr, prev_ptr) = ((*header).next, (*header).prev);
            link_neighbours(control, prev, next, next_ptr, prev_ptr);
            refresh(control);
            if let Some((tail, size, _)) = tail {
                free_list::unlink_outlined(control, tail);
                // It ends the highest pool now.
                free_list::push_outlined(control, tail, size);
                (*control).absorber = 0;
            }
            // With a wrong hash, a second removal finds no pool here.
            (*header).check = !(*header).check;
        }
        true
    }

    /// The pool that a coalesced block fills alone; O(1).
    ///
    /// # Safety
    /// The instance is live, and `block` is the result of the last [`Tlsf::free`] of it.
    pub unsafe fn emptied_pool(self, block: FreeBlock) -> Option<Pool> {
        // SAFETY: a free block of a live instance (caller): a header follows it, and a sentinel's
        // size field leads back to its pool.
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

    /// Frees all blocks: every pool becomes one free block, and the counters restart at 0;
    /// O(pools). False, and nothing changed, when the list of pools has been overwritten.
    ///
    /// # Safety
    /// The instance is live. Every block is given up: no pointer into the pools is used again.
    pub unsafe fn reset(self) -> bool {
        let control = self.control();
        // SAFETY: live instance, blocks given up (caller); each pool is followed only when its
        // header is sound.
        unsafe {
            let mut pool = self.first_pool();
            while let Some(this) = pool {
                if !this.is_sound(control) {
                    return false;
                }
                pool = self.next_pool(this);
            }
            // The old blocks' headers stay in memory; in the next life they are not headers.
            (*control).reseal();
            (*control).used = 0;
            (*control).peak = 0;
            (*control).live_blocks = 0;
            (*control).failed_requests = 0;
            Control::empty_bins(control);
            let mut pool = self.first_pool();
            while let Some(this) = pool {
                let (first, size) = this.format((*control).cookie);
                free_list::push_outlined(control, first, size);
                pool = self.next_pool(this);
            }
            (*control).absorber = 0;
        }
        true
    }
}

/// Moves the wilderness to an ordinary bin, since another pool becomes the highest. False, and
/// nothing changed, when it has been overwritten.
///
/// # Safety
/// The instance is live.
unsafe fn give_up_wilderness(control: *mut Control) -> bool {
    // SAFETY: live instance (caller); the block is tested before anything is written.
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
        free_list::unlink_outlined(control, block);
        free_list::push(control, (*control).bin_of(size), block);
    }
    true
}

/// Sets the list pointers around a place: `forward` in the pool before it, `back` in the pool after
/// it.
///
/// # Safety
/// The instance is live; `prev` and `next` are sound pools of it; `forward` and `back` are pools of
/// it or null.
unsafe fn link_neighbours(
    control: *mut Control,
    prev: Option<Pool>,
    next: Option<Pool>,
    forward: *mut PoolHeader,
    back: *mut PoolHeader,
) {
    // SAFETY: sound pools of a live instance (caller), whose headers may be written.
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

/// Updates the bounds and the hash after a change of the list of pools.
///
/// # Safety
/// The instance is live and its list of pools is sound.
pub(crate) unsafe fn refresh(control: *mut Control) {
    // SAFETY: live instance, sound list of pools (caller).
    unsafe {
        let this = &mut *control;
        let (low, high) = this.outer_bounds();
        this.set_bounds(low, high);
        // It may be an address in a removed pool.
        this.absorber = 0;
        this.check = this.checksum();
    }
}

/// Whether the bytes from `start` to `end` overlap the control structure.
///
/// # Safety
/// The instance is live.
unsafe fn overlaps_control(control: *mut Control, start: usize, end: usize) -> bool {
    // SAFETY: live instance (caller).
    let bytes = unsafe { (*control).bytes() };
    start < control.addr() + bytes && control.addr() < end
}
