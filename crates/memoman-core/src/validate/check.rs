//! Validation in one call: each invariant in turn, on a heap that may have been overwritten
//! anywhere.

use core::ptr;

use super::links::{self, check_links};
use super::violation::{Checked, Invariant, Violation, broken};
use super::walk::{turn, walk_pool};
use crate::config::{BINS_MAX, QUANTUM, SIZE_LIMIT};
use crate::control::Control;
use crate::instance::Tlsf;
use crate::pool::{POOL_COST, POOL_MIN, Pool};

impl Tlsf {
    /// The first broken invariant, None when the heap is sound; O(blocks). Changes nothing.
    ///
    /// # Safety
    /// The memory of the control structure and the pools may be read; its contents may be anything.
    #[inline(never)]
    pub unsafe fn diagnose(self) -> Option<Violation> {
        // SAFETY: the instance's memory may be read (caller).
        unsafe { diagnose(self.control()).err() }
    }

    /// [`Tlsf::diagnose`] limited to one pool's blocks and their links; O(blocks of the pool ·
    /// pools).
    ///
    /// # Safety
    /// The memory of the pool and its instance may be read; its contents may be anything.
    pub unsafe fn diagnose_pool(pool: Pool) -> Option<Violation> {
        // SAFETY: the pool's memory may be read (caller); its header is tested before its instance
        // is followed.
        unsafe {
            let control = pool.control();
            let result = if control.is_null() || !pool.is_sound(control) {
                broken(Invariant::Placement, pool.as_raw().cast(), Some(pool))
            } else {
                diagnose_links(control, pool)
            };
            result.err()
        }
    }
}

/// [`Tlsf::diagnose`].
///
/// # Safety
/// The memory of the control structure and the pools may be read.
#[inline(never)]
pub(crate) unsafe fn diagnose(control: *mut Control) -> Checked {
    // SAFETY: readable memory (caller); each step validates what the next one follows.
    unsafe {
        check_control(control)?;
        check_pools(control)?;
        check_bitmaps(control)?;
        let sums = links::check(control)?;
        check_counters(&*control, sums.used, sums.live_blocks)
    }
}

unsafe fn diagnose_links(control: *mut Control, pool: Pool) -> Checked {
    // SAFETY: readable memory (caller); each step validates what the next one follows.
    unsafe {
        check_control(control)?;
        check_pools(control)?;
        check_bitmaps(control)?;
        walk_pool(control, pool, |block, header| {
            if header.is_free() {
                check_links(control, pool, block, header)
            } else {
                Ok(())
            }
        })
    }
}

/// I7 of the control structure: the words that only control-plane calls change pass their hash.
#[inline(never)]
pub(crate) unsafe fn check_control(control: *mut Control) -> Checked {
    // SAFETY: the fixed part of the control structure may be read (caller).
    let this = unsafe { &*control };
    if this.check == this.checksum() && this.top_bin < BINS_MAX {
        Ok(())
    } else {
        broken(Invariant::Placement, control.cast_const().cast(), None)
    }
}

/// I7 of one pool, which comes after `last` in address order.
///
/// # Safety
/// The control structure and `last` are validated; `pool` is the next pool of either.
pub(crate) unsafe fn follows(control: *mut Control, last: Option<Pool>, pool: Pool) -> Checked {
    // SAFETY: a pool that a validated word names (caller); its hash is tested first.
    unsafe {
        let (low, high) = (control.addr(), control.addr() + (*control).bytes());
        if !pool.is_sound(control)
            || !(POOL_MIN..=SIZE_LIMIT).contains(&pool.end().saturating_sub(pool.start()))
            || pool.prev() != last
            || last.is_some_and(|last| last.end() > pool.start())
            || pool.start() < high && low < pool.end()
        {
            return broken(Invariant::Placement, pool.as_raw().cast(), Some(pool));
        }
    }
    Ok(())
}

/// I7 of the pools: headers are sound, pools lie in address order and apart, their sums match.
#[inline(never)]
pub(crate) unsafe fn check_pools(control: *mut Control) -> Checked {
    // SAFETY: the control structure is validated; each pool is validated before it is followed.
    unsafe {
        let at_control = || broken(Invariant::Placement, control.cast_const().cast(), None);
        let mut bytes = 0usize;
        let mut count = 0usize;
        let mut last: Option<Pool> = None;
        let mut pool = Pool::new((*control).first_pool);
        while let Some(this) = pool {
            turn();
            follows(control, last, this)?;
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

/// I1 in both levels: the bits follow from the heads.
#[inline(never)]
pub(crate) unsafe fn check_bitmaps(control: *mut Control) -> Checked {
    // SAFETY: the control structure is validated, so `top_bin` bounds the heads.
    unsafe {
        let this = &*control;
        let mut words = 0usize;
        let mut heads = 0..=this.top_bin;
        for (word, bits) in this.sl_bitmap.iter().enumerate() {
            let mut filled = 0usize;
            for (bit, bin) in (0..usize::BITS).zip(&mut heads) {
                turn();
                let empty = Control::head(control, bin).read() == Control::list_end(control);
                filled |= usize::from(!empty) << bit;
            }
            if *bits != filled {
                return broken(Invariant::Bitmap, ptr::from_ref(bits).cast(), None);
            }
            words |= usize::from(filled != 0) << word;
        }
        if this.fl_bitmap != words {
            return broken(
                Invariant::Bitmap,
                ptr::from_ref(&this.fl_bitmap).cast(),
                None,
            );
        }
        Ok(())
    }
}

/// I8. The free bytes follow from those in use, since blocks tile the pools (I6).
fn check_counters(this: &Control, used: usize, live_blocks: usize) -> Checked {
    let fail = |counter: &usize| broken(Invariant::Counters, ptr::from_ref(counter).cast(), None);
    if this.used != used {
        return fail(&this.used);
    }
    if this.live_blocks != live_blocks {
        return fail(&this.live_blocks);
    }
    // A walk cannot find the peak; it is at least the present `used`, in whole quanta.
    if this.peak < used || !this.peak.is_multiple_of(QUANTUM) {
        return fail(&this.peak);
    }
    Ok(())
}
