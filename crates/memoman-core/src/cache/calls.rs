//! The calls that a hit does not serve. The core serves them, without interception meanwhile; a
//! request that finds no memory frees cached blocks class by class until it does.

use core::ptr::{self, NonNull};

use super::{Cache, Cached, Entry, class_for};
use crate::block::Block;
use crate::config::{HEADER, QUANTUM};
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::size_class::bin_floor_size;

/// Cached blocks are being freed.
struct Flush {
    /// The class before the next; `usize::MAX` before the first.
    class: usize,
    /// [`Refusal::Exhausted`], or the damage that was found.
    end: Refusal,
}

impl Flush {
    const START: Flush = Flush {
        class: usize::MAX,
        end: Refusal::Exhausted,
    };
}

impl Cached {
    /// Runs `work` on the instance, which is not intercepted meanwhile.
    ///
    /// # Safety
    /// See [`Cached`].
    #[inline(always)]
    unsafe fn in_core<R>(self, work: impl FnOnce(Tlsf) -> R) -> R {
        // SAFETY: a live instance, so its handle is not null; intercepted (caller).
        unsafe {
            let tlsf = Tlsf::new(self.control).unwrap_unchecked();
            (*self.control).limit = (*self.control).max_size.wrapping_sub(HEADER);
            (*self.control).quanta = (*self.cache).inside;
            let result = work(tlsf);
            (*self.control).limit = 0;
            (*self.control).quanta = 0;
            result
        }
    }

    /// Allocates at least `bytes` bytes, aligned to `align`: an aligned block of the cache, or one
    /// of the core, which has the size of a class where there is room. O(cached blocks), since a
    /// request that finds no memory frees them; else O(1).
    ///
    /// # Safety
    /// See [`Cached`].
    #[inline(never)]
    pub unsafe fn allocate(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        // SAFETY: live instance with this cache (caller); a request up to `most` has a class.
        unsafe {
            let mut wanted = bytes;
            let last = bytes.wrapping_sub(1);
            if last < (*self.cache).most {
                let class = class_for(bytes);
                let entry = Cache::entry(self.cache, class);
                let head = (*entry).block();
                if head != self.end() && head.addr() & (align - 1) == 0 {
                    return self.pop_outlined(entry).ok_or(smashed(head));
                }
                wanted = bin_floor_size(class) - HEADER;
            }
            self.in_core(|tlsf| {
                let mut flush = Flush::START;
                loop {
                    let result = tlsf.memalign(align, wanted);
                    if result != Err(Refusal::Exhausted) {
                        return result;
                    }
                    // A block of exactly the request's size, then what is freed for it.
                    if wanted == bytes && !self.flush_next(tlsf, bytes, &mut flush) {
                        return Err(flush.end);
                    }
                    wanted = bytes;
                    tlsf.withdraw_refusal();
                }
            })
        }
    }

    /// Frees a block that [`Cached::put`] has not taken; O(1).
    ///
    /// # Safety
    /// See [`Cached`]. The contents of the block are given up. Memory between the instance's lowest
    /// and highest pool may be read.
    #[inline(never)]
    pub unsafe fn free(self, ptr: NonNull<u8>) -> Result<(), Misuse> {
        // SAFETY: live instance with this cache, contents given up (caller).
        unsafe { self.in_core(|tlsf| tlsf.free_outlined(ptr).map(|_| ())) }
    }

    /// The figure `peak`, for [`Cached::retract`].
    ///
    /// # Safety
    /// See [`Cached`].
    #[inline(always)]
    pub unsafe fn peak(self) -> usize {
        // SAFETY: live (caller).
        unsafe { (*self.control).peak }
    }

    /// Frees the block that [`Cached::grown`] has returned; `peak` is the figure before that.
    ///
    /// # Safety
    /// See [`Cached`]; a block in use, given up.
    #[inline(always)]
    pub unsafe fn retract(self, new: NonNull<u8>, peak: usize) {
        // SAFETY: live instance with this cache, block given up (caller).
        unsafe {
            let _ = self.free(new);
            (*self.control).peak = peak;
        }
    }

    /// Copies a block to a larger one of a class, of the cache or of the core, which is returned;
    /// the block stays in use. None when the request is not larger, or beyond all classes, or finds
    /// no memory. O(1) and the copying, apart from what [`Cached::allocate`] says.
    ///
    /// # Safety
    /// See [`Cached`]. Memory between the instance's lowest and highest pool may be read.
    #[inline(never)]
    pub unsafe fn grown(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<Option<NonNull<u8>>, Refusal> {
        // SAFETY: live instance with this cache (caller). The new block is not the old one, which
        // is in use, and has at least the bytes that are copied.
        unsafe {
            let kept = self
                .in_core(|tlsf| tlsf.usable_size(ptr))
                .map_err(|misuse| Refusal::Misuse(misuse, ptr.as_ptr()))?;
            if align > QUANTUM || bytes <= kept || bytes > (*self.cache).most {
                return Ok(None);
            }
            match self.allocate(QUANTUM, bytes) {
                Ok(new) => {
                    let old = Block::returned(ptr.as_ptr()).payload();
                    ptr::copy_nonoverlapping(old, new.as_ptr(), kept);
                    Ok(Some(new))
                }
                Err(Refusal::Exhausted) => {
                    (*self.control).failed_requests -= 1;
                    Ok(None)
                }
                Err(refusal) => Err(refusal),
            }
        }
    }

    /// Resizes a block as the core does. A request that finds no memory frees all cached blocks.
    /// O(1) and the copying, then O(cached blocks).
    ///
    /// # Safety
    /// See [`Cached`]. On success the old pointer is given up. Memory between the instance's lowest
    /// and highest pool may be read.
    #[inline(never)]
    pub unsafe fn resize(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance with this cache, old pointer given up on success (caller).
        unsafe {
            self.in_core(|tlsf| {
                let mut result = tlsf.realloc_aligned(ptr, align, bytes);
                if result == Err(Refusal::Exhausted) {
                    self.flush(tlsf, bytes)?;
                    tlsf.withdraw_refusal();
                    result = tlsf.realloc_aligned(ptr, align, bytes);
                }
                result
            })
        }
    }

    /// [`Cached::pop`], compiled once for calls that are not hot.
    ///
    /// # Safety
    /// The duties of [`Cached::pop`].
    #[inline(never)]
    unsafe fn pop_outlined(self, entry: *mut Entry) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duties.
        unsafe { self.pop(entry) }
    }

    /// The number of classes to free for a request: 0 if it is beyond the instance's largest, so
    /// that they cannot help, unless its handler will see the instance. None when the table has
    /// been overwritten.
    ///
    /// # Safety
    /// See [`Cached`].
    #[inline(never)]
    pub(super) unsafe fn classes_for(self, bytes: usize) -> Option<usize> {
        let Cached { control, cache } = self;
        // SAFETY: live instance with this cache (caller).
        unsafe {
            if (*cache).check != Cache::checksum(cache) {
                return None;
            }
            let is_beyond = bytes > (*control).limit && (*control).hooks.exhausted.is_none();
            Some(if is_beyond { 0 } else { (*cache).classes })
        }
    }

    /// Frees the cached blocks of the next class that has any; false when none has, or at the first
    /// damage. An overwritten block, and those after it, stay where they are.
    ///
    /// # Safety
    /// See [`Cached`], but the instance is not intercepted; `flush` is
    /// new, or what this function has left there.
    #[inline(never)]
    unsafe fn flush_next(self, tlsf: Tlsf, bytes: usize, flush: &mut Flush) -> bool {
        // SAFETY: live instance with this cache (caller), a class of its table, which has been
        // tested. A head is a block that was put in, in a pool of the instance; it is freed only
        // when its words are those that were put in.
        unsafe {
            if flush.class == usize::MAX {
                let Some(classes) = self.classes_for(bytes) else {
                    flush.end = Refusal::Misuse(Misuse::SmashedHooks, self.cache.cast());
                    return false;
                };
                flush.class = classes;
            }
            let mut freed = false;
            while !freed && flush.class > 0 {
                flush.class -= 1;
                let entry = Cache::entry(self.cache, flush.class);
                loop {
                    let head = (*entry).block();
                    if head == self.end() {
                        break;
                    }
                    let Some(block) = self.pop_outlined(entry) else {
                        flush.end = smashed(head);
                        return false;
                    };
                    if let Err(misuse) = tlsf.free_outlined(block) {
                        self.push(entry, *entry, head);
                        flush.end = Refusal::Misuse(misuse, head.payload());
                        return false;
                    }
                    freed = true;
                }
            }
            freed
        }
    }

    /// Frees all cached blocks that [`Cached::classes_for`] names, up to the first damage, which is
    /// the error.
    ///
    /// # Safety
    /// See [`Cached`], but the instance is not intercepted.
    pub(super) unsafe fn flush(self, tlsf: Tlsf, bytes: usize) -> Result<(), Refusal> {
        let mut flush = Flush::START;
        // SAFETY: the caller's duties.
        while unsafe { self.flush_next(tlsf, bytes, &mut flush) } {}
        match flush.end {
            Refusal::Exhausted => Ok(()),
            end => Err(end),
        }
    }
}

/// The misuse that has overwritten a cached block.
fn smashed(block: Block) -> Refusal {
    Refusal::Misuse(Misuse::SmashedLink, block.payload())
}
