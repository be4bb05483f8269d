//! Setting an instance's cache, its figures, its validation.

use core::ptr;

use super::{Cache, Cached, Entry, guard_of};
use crate::block::{Block, SENTINEL};
use crate::config::{BINS_MAX, BLOCK_MIN, HEADER, QUANTUM, QUANTUM_LOG2, WORD};
use crate::control::Control;
use crate::hash;
use crate::instance::Tlsf;
use crate::misuse::Refusal;
use crate::size_class::{any_bin, bin_floor_size};
use crate::validate::walk::turn;
use crate::validate::{Checked, Invariant, broken, pool_of};

/// Words of the table that `check` covers.
const HASHED: usize = 8;

/// The header of the list's end: no seal, so that no guard fits it.
const END_HEADER: usize = 1 << (usize::BITS - 1);

impl Cache {
    /// The value that `check` must have.
    ///
    /// # Safety
    /// The table's fixed part may be read.
    pub(super) unsafe fn checksum(this: *const Cache) -> usize {
        // SAFETY: its words may be read (caller).
        unsafe { hash::mix_at(this.addr(), (&raw const (*this).most).cast(), HASHED) }
    }

    /// The value of an empty class's entry.
    ///
    /// # Safety
    /// The table's fixed part may be read.
    unsafe fn empty(this: *mut Cache) -> Entry {
        // SAFETY: its words may be read (caller).
        unsafe { Entry(this.cast::<u8>().wrapping_add(END + (*this).room)) }
    }

    /// Empties the cache.
    ///
    /// # Safety
    /// The table may be written.
    unsafe fn forget(this: *mut Cache) {
        // SAFETY: the table may be written (caller); `classes` are its classes.
        unsafe {
            for class in 0..(*this).classes {
                *Cache::entry(this, class) = Cache::empty(this);
            }
        }
    }
}

/// Where the list's end lies in the table.
const END: usize = core::mem::offset_of!(Cache, end);
const _: () = assert!(END.is_multiple_of(QUANTUM) || WORD == 4);

impl Cached {
    /// The end of every list.
    #[inline(always)]
    pub(super) fn end(self) -> Block {
        Block::at(self.cache.cast::<u8>().wrapping_add(END))
    }

    /// The number of cached blocks, and their bytes; the error is the address of a block or entry
    /// that has been overwritten.
    ///
    /// # Safety
    /// See [`Cached`]; the pools are sound.
    #[inline(never)]
    unsafe fn survey(self) -> (usize, usize, *const u8) {
        let Cached { control, cache } = self;
        let (mut count, mut bytes) = (0, 0);
        // SAFETY: the table of a live instance (caller), whose classes are trusted after the test;
        // a block is read only inside a pool.
        unsafe {
            let Some(classes) = self.classes_for(0) else {
                return (0, 0, cache.cast());
            };
            for class in 0..classes {
                let entry = Cache::entry(cache, class);
                let mut head = *entry;
                for room in head.room()..(*cache).room {
                    turn();
                    let block = head.block();
                    let header = match pool_of(control, block.addr()) {
                        Some(_) => block.header((*control).cookie),
                        None => return (count, bytes, block.payload()),
                    };
                    let (next, guard) = (block.cached_next(), block.cached_guard());
                    let is_one = header.is_cached() && any_bin(header.size()) == class;
                    let is_whole = guard_of(entry, block, block.word(), next) == guard;
                    if !is_one || !is_whole || next.room() != room + 1 {
                        return (count, bytes, block.payload());
                    }
                    count += 1;
                    bytes += header.size();
                    head = next;
                }
                if head != Cache::empty(cache) {
                    return (count, bytes, entry.cast());
                }
            }
        }
        (count, bytes, ptr::null())
    }
}

impl Tlsf {
    /// Sets a cache of up to `blocks` blocks of each size, with its table in `bytes` bytes at
    /// `mem`; null ends the cache. The cache before is emptied. Not done when the table has no
    /// room for a class, ends beyond the address space or overlaps the control structure or a
    /// pool, when `blocks` is 0 or at least the quantum, with an observer, and on 32-bit targets:
    /// false. The error is damage that was found in the cache before, which stays. O(pools + cached
    /// blocks + classes).
    ///
    /// # Safety
    /// The instance is live and not intercepted, and its hooks' words have been cleared.
    /// The memory may be read and written, and belongs to the instance until another cache is set
    /// or the instance is destroyed.
    #[inline(never)]
    pub unsafe fn set_cache(
        self,
        mem: *mut u8,
        bytes: usize,
        blocks: usize,
    ) -> Result<bool, Refusal> {
        let control = self.control();
        // SAFETY: live instance, memory that may be written (caller).
        unsafe {
            let mut cache: *mut Cache = ptr::null_mut();
            let mut classes = 0;
            if !mem.is_null() {
                let skip = mem.addr().wrapping_neg() & (QUANTUM - 1);
                cache = mem.wrapping_add(skip).cast();
                classes = (bytes.saturating_sub(skip + size_of::<Cache>()) / WORD).min(BINS_MAX);
                if WORD != 8
                    || classes <= BLOCK_MIN >> QUANTUM_LOG2
                    || !(1..QUANTUM).contains(&blocks)
                    || !self.is_apart(mem, bytes)
                    || (*control).hooks.observer.is_some()
                {
                    return Ok(false);
                }
            }
            self.flush_cache()?;
            if !cache.is_null() {
                cache.write(Cache {
                    inside: 0,
                    most: bin_floor_size(classes - 1) - HEADER,
                    below: bin_floor_size(classes) >> QUANTUM_LOG2,
                    end_header: END_HEADER,
                    end: [0; 3],
                    classes,
                    room: blocks,
                    check: 0,
                });
                (*cache).check = Cache::checksum(cache);
                Cache::forget(cache);
            }
            self.name_cache(cache);
        }
        Ok(true)
    }

    /// Sets the words that name the cache, null for none.
    ///
    /// # Safety
    /// The instance is live; the table is one, and it is the instance's.
    #[inline(never)]
    pub(crate) unsafe fn name_cache(self, cache: *mut Cache) {
        // SAFETY: live (caller).
        unsafe {
            let hooks = &mut (*self.control()).hooks;
            hooks.cache = cache;
            hooks.check = hooks.checksum();
        }
    }

    /// `bytes` bytes at `mem` overlap neither the control structure nor a pool; O(pools).
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn is_apart(self, mem: *mut u8, bytes: usize) -> bool {
        let control = self.control();
        let Some(end) = mem.addr().checked_add(bytes) else {
            return false;
        };
        let apart = |start: usize, other_end: usize| end <= start || other_end <= mem.addr();
        // SAFETY: live (caller), so its pools are.
        unsafe {
            let mut is_apart = apart(control.addr(), control.addr() + (*control).bytes());
            let mut next = self.first_pool();
            while let Some(pool) = next {
                is_apart &= apart(pool.start(), pool.end());
                next = self.next_pool(pool);
            }
            is_apart
        }
    }

    /// The instance's cache; none when the words that name it have been overwritten.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn its_cache(self) -> Option<Cached> {
        // SAFETY: live (caller).
        unsafe { self.cached().filter(|_| self.has_hooks() == Ok(true)) }
    }

    /// Frees all cached blocks, up to the first damage, which is the error: what is left stays in
    /// the cache. O(cached blocks).
    ///
    /// # Safety
    /// The instance is live and not intercepted.
    #[inline(never)]
    pub unsafe fn flush_cache(self) -> Result<(), Refusal> {
        // SAFETY: live, not intercepted (caller).
        unsafe {
            self.its_cache()
                .map_or(Ok(()), |cached| cached.flush(self, 0))
        }
    }

    /// Forgets all cached blocks, after a reset. An overwritten table ends the cache.
    ///
    /// # Safety
    /// The instance is live, and none of its blocks is in use.
    pub unsafe fn forget_cached(self) {
        // SAFETY: live (caller).
        unsafe {
            if let Some(cached) = self.its_cache() {
                match cached.classes_for(0) {
                    Some(_) => Cache::forget(cached.cache),
                    None => self.name_cache(ptr::null_mut()),
                }
            }
        }
    }

    /// Bytes of the cached blocks, headers included; O(cached blocks · pools).
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub(crate) unsafe fn cached_bytes(self) -> usize {
        // SAFETY: live (caller).
        unsafe {
            if !(*self.control()).has_cache() {
                return 0;
            }
            self.its_cache().map_or(0, |cached| cached.survey().1)
        }
    }
}

/// I2 of the cache: each class holds blocks of its sizes, as many as it counts, marked and linked.
/// Returns the sum of the marks ([`Header::marked_size`]) of the blocks that it holds.
///
/// # Safety
/// The control structure, the pools and each block's header are validated.
#[inline(always)]
pub(crate) unsafe fn check(control: *mut Control) -> Checked<usize> {
    // SAFETY: validated (caller).
    unsafe {
        if (*control).has_cache() {
            check_cache(control)
        } else {
            Ok(0)
        }
    }
}

/// [`check`] of an instance with a cache.
///
/// # Safety
/// The duties of [`check`].
#[cold]
#[inline(never)]
unsafe fn check_cache(control: *mut Control) -> Checked<usize> {
    // SAFETY: validated (caller), so the cache is that of the instance.
    unsafe {
        let Some(cached) = Tlsf::new(control).and_then(|tlsf| tlsf.its_cache()) else {
            return Ok(0);
        };
        let cache = cached.cache;
        let (count, _, mut fault) = cached.survey();
        if fault.is_null() {
            if (*cache).inside == Control::quanta_between((*control).low, (*control).high) {
                return Ok(count * SENTINEL);
            }
            fault = cache.cast();
        }
        broken(Invariant::List, fault, pool_of(control, fault.addr()))
    }
}
