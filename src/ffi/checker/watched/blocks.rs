//! The calls for one block of an intercepted allocator.

use core::ptr::{self, NonNull};

use memoman_core::{EventKind, Misuse, Refusal, Tlsf};

use super::super::marks::{self, Quiet};
use super::Session;
use crate::ffi::observe::Call;

/// Makes a call that the core has refused as intercepted, and marks its bytes for a checker. Null
/// is the result of a `free`.
///
/// # Safety
/// The instance is live and intercepted. On success `call.old` is given up.
#[cold]
#[inline(never)]
pub(crate) unsafe fn perform(tlsf: Tlsf, call: &Call) -> Result<*mut u8, Refusal> {
    let Call { bytes, .. } = *call;
    let align = match call.kind {
        EventKind::Memalign => call.align,
        _ => call.align.max(Tlsf::ALIGN),
    };
    // SAFETY: live instance, old block given up (caller); a new block has `bytes` bytes.
    unsafe {
        let session = Session::open(tlsf);
        match (call.kind, NonNull::new(call.old)) {
            (EventKind::Free, Some(block)) => give_back(&session, block)
                .map(|()| ptr::null_mut())
                .map_err(|what| Refusal::Misuse(what, call.old)),
            (EventKind::Realloc, _) if bytes == 0 => Err(Refusal::Invalid),
            (EventKind::Realloc, Some(block)) if marks::has_checker() => {
                resize(&session, block, align, bytes).map(NonNull::as_ptr)
            }
            (EventKind::Realloc, Some(block)) => session
                .realloc_aligned(block, align, bytes)
                .map(NonNull::as_ptr),
            _ => {
                let block = session.memalign(align, bytes)?;
                marks::taken(session.name(), block, bytes);
                Ok(block.as_ptr())
            }
        }
    }
}

/// Usable bytes of a block in use of an intercepted instance; 0 for any other pointer.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
pub(crate) unsafe fn usable(tlsf: Tlsf, ptr: *mut u8) -> usize {
    // SAFETY: live instance, readable bounds (caller).
    unsafe {
        let session = Session::open(tlsf);
        NonNull::new(ptr).map_or(0, |block| session.usable_size(block).unwrap_or(0))
    }
}

/// Frees a block and forbids its bytes.
///
/// # Safety
/// The contents of the block are given up.
unsafe fn give_back(session: &Session, block: NonNull<u8>) -> Result<(), Misuse> {
    // SAFETY: the session's instance is live; contents given up (caller). `reach` tests the block,
    // so that its size may be trusted.
    unsafe {
        session.reach(block)?;
        let usable = Tlsf::block_size(block.as_ptr());
        session.free_outlined(block)?;
        marks::given_up(session.name(), block, usable);
        Ok(())
    }
}

/// Resizes a block and marks its bytes.
///
/// # Safety
/// On success the old block is given up.
unsafe fn resize(
    session: &Session,
    block: NonNull<u8>,
    align: usize,
    bytes: usize,
) -> Result<NonNull<u8>, Refusal> {
    let here = block.as_ptr();
    // SAFETY: the session's instance is live; old block given up on success (caller). `reach` tests
    // the block and its neighbours; in place, the core writes nowhere else.
    unsafe {
        let reach = session
            .reach(block)
            .map_err(|what| Refusal::Misuse(what, here))?;
        let usable = Tlsf::block_size(here);
        let requested = marks::allowed(here, usable);
        let kept = requested.min(bytes);
        // The C library's memmove may be the checker's own.
        marks::allow_for_copy(reach.start, reach.bytes);
        let in_place = session.realloc_in_place(block, align, bytes);
        marks::forbid_after_copy(reach.start, reach.bytes);
        match in_place {
            Ok(Some(new)) if new == block => {
                if bytes > requested {
                    marks::allow(here.wrapping_add(requested), bytes - requested, false);
                } else {
                    marks::forbid(here.wrapping_add(bytes), usable.saturating_sub(bytes));
                }
                marks::allow_again(here, kept);
                marks::resized(session.name(), block, bytes);
                Ok(new)
            }
            Ok(Some(new)) => {
                marks::given_up(session.name(), block, usable);
                marks::taken(session.name(), new, bytes);
                marks::allow(new.as_ptr(), kept, true);
                Ok(new)
            }
            Ok(None) => {
                marks::allow_again(here, requested);
                let new = session.memalign(align, bytes)?;
                marks::taken(session.name(), new, bytes);
                ptr::copy_nonoverlapping(here, new.as_ptr(), kept);
                if let Err(what) = give_back(session, block) {
                    let _ = give_back(session, new);
                    return Err(Refusal::Misuse(what, here));
                }
                Ok(new)
            }
            Err(refusal) => {
                marks::allow_again(here, requested);
                Err(refusal)
            }
        }
    }
}

/// Usable bytes of a block. A checker allows all of them from here on.
///
/// # Safety
/// `block` is NULL or a block of a live instance.
#[inline(always)]
pub(crate) unsafe fn block_size(block: *const u8) -> usize {
    // SAFETY: NULL or a block of a live instance (caller).
    unsafe {
        if marks::is_watched() {
            watched_block_size(block)
        } else {
            Tlsf::block_size(block)
        }
    }
}

/// [`block_size`] under a checker.
///
/// # Safety
/// `block` is NULL or a block of a live instance.
#[cold]
#[inline(never)]
unsafe fn watched_block_size(block: *const u8) -> usize {
    // SAFETY: NULL or a block of a live instance (caller).
    unsafe {
        let _quiet = Quiet::new();
        let usable = Tlsf::block_size(block);
        let requested = marks::allowed(block, usable);
        marks::allow(
            block.wrapping_add(requested),
            usable.saturating_sub(requested),
            false,
        );
        usable
    }
}
