//! Creation of an instance: a ledger, and the core's control structure after it.

use core::ptr::NonNull;

use memoman_core::Tlsf;
use memoman_core::config::{MAX_BLOCK_LIMIT, QUANTUM, WORD};

use crate::block::EXTRA;
use crate::heap::DebugTlsf;
use crate::ledger::{LEDGER, Ledger, Queue};
use crate::site::Site;

/// By default, the whole heap is validated every 2^14 operations.
const VALIDATE_SHIFT: u32 = 14;

impl DebugTlsf {
    /// The core's largest request, so that this layer accepts requests of `max_block` bytes.
    const fn inner_max(max_block: usize) -> usize {
        if max_block > MAX_BLOCK_LIMIT - EXTRA {
            // The core's limit; the core refuses what is above it.
            if max_block > MAX_BLOCK_LIMIT {
                max_block
            } else {
                MAX_BLOCK_LIMIT
            }
        } else {
            max_block + EXTRA
        }
    }

    /// Bytes of ledger and control structure; 0 when `max_block` is beyond any instance.
    pub const fn control_size(max_block: usize) -> usize {
        match Tlsf::control_size(Self::inner_max(max_block)) {
            0 => 0,
            bytes => LEDGER + bytes,
        }
    }

    /// `Tlsf::create`.
    ///
    /// # Safety
    /// The duties of `Tlsf::create`, for [`DebugTlsf::control_size`] bytes.
    pub unsafe fn create(mem: *mut u8, max_block: usize) -> Option<DebugTlsf> {
        let create = |inner| {
            // SAFETY: the core's part of the memory is the caller's to give.
            unsafe { Tlsf::create(inner, Self::inner_max(max_block)) }
        };
        // SAFETY: the memory holds ledger and control structure (caller).
        unsafe { Self::create_by(create, mem) }
    }

    /// `Tlsf::create_seeded`.
    ///
    /// # Safety
    /// The duties of `Tlsf::create_seeded`, for [`DebugTlsf::control_size`] bytes.
    pub unsafe fn create_seeded(mem: *mut u8, max_block: usize, seed: usize) -> Option<DebugTlsf> {
        let create = |inner| {
            // SAFETY: the core's part of the memory is the caller's to give.
            unsafe { Tlsf::create_seeded(inner, Self::inner_max(max_block), seed) }
        };
        // SAFETY: the memory holds ledger and control structure (caller).
        unsafe { Self::create_by(create, mem) }
    }

    /// Creates the core's instance behind a new ledger.
    ///
    /// # Safety
    /// `mem` holds ledger and control structure, and may be written.
    unsafe fn create_by(
        create: impl Fn(*mut u8) -> Option<Tlsf>,
        mem: *mut u8,
    ) -> Option<DebugTlsf> {
        let ledger: *mut Ledger = mem.cast();
        if mem.is_null() || !ledger.is_aligned() {
            return None;
        }
        // SAFETY: the memory holds the ledger and may be written (caller).
        unsafe {
            create(mem.wrapping_add(LEDGER))?.clear_hooks();
            ledger.write(Ledger {
                queue: Queue::EMPTY,
                operations: 0,
                mask: (1 << VALIDATE_SHIFT) - 1,
                numbers: 0,
                live: 0,
                used: 0,
                peak: 0,
                grows: 0,
                frames: 0,
                walk: None,
            });
        }
        Some(DebugTlsf {
            ledger: NonNull::new(ledger)?,
            site: Site::default(),
        })
    }

    /// `Tlsf::create_with_pool`.
    ///
    /// # Safety
    /// The duties of `Tlsf::create_with_pool`.
    pub unsafe fn create_with_pool(mem: *mut u8, bytes: usize) -> Option<DebugTlsf> {
        // SAFETY: the memory is the caller's to give.
        unsafe { Self::create_for_with_pool(mem, bytes, Self::max_block_in(bytes)) }
    }

    /// `Tlsf::max_block_in`.
    pub const fn max_block_in(bytes: usize) -> usize {
        Tlsf::max_block_in(bytes)
    }

    /// `Tlsf::create_for_with_pool`.
    ///
    /// # Safety
    /// The duties of `Tlsf::create_for_with_pool`.
    pub unsafe fn create_for_with_pool(
        mem: *mut u8,
        bytes: usize,
        max_block: usize,
    ) -> Option<DebugTlsf> {
        mem.addr().checked_add(bytes)?;
        let control_bytes = Self::control_size(max_block);
        let skip = mem.addr().wrapping_neg() & (WORD - 1);
        let start = mem.wrapping_add(skip);
        let rest = start.wrapping_add(control_bytes);
        let pool_skip = rest.addr().wrapping_neg() & (QUANTUM - 1);
        let least = skip + control_bytes + pool_skip + Self::POOL_OVERHEAD + Self::BLOCK_SIZE_MIN;
        if mem.is_null() || control_bytes == 0 || bytes < least {
            return None;
        }
        // SAFETY: the region holds ledger, control structure and pool (tested), and may be written
        // (caller).
        unsafe {
            let tlsf = Self::create(start, max_block)?;
            tlsf.add_pool(rest, bytes - skip - control_bytes)?;
            Some(tlsf)
        }
    }
}
