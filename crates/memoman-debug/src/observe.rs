//! Observers: the core's words and calls.

use core::ffi::c_void;
use core::ptr;

use memoman_core::{Access, Event, ExhaustedHandler, Misuse, Observer, Stats};

use crate::fault::{Fault, Kind, Refusal};
use crate::heap::DebugTlsf;

fn fault(misuse: Misuse) -> Fault {
    Fault::new(Kind::Core(misuse), ptr::null(), None)
}

impl DebugTlsf {
    /// `Tlsf::has_hooks`.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn has_hooks(self) -> Result<bool, Fault> {
        // SAFETY: live (caller).
        unsafe { self.inner().has_hooks().map_err(fault) }
    }

    /// `Tlsf::enter_hooks`.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn enter_hooks(self, access: Access) -> Result<bool, Fault> {
        // SAFETY: live (caller).
        unsafe { self.inner().enter_hooks(access).map_err(fault) }
    }

    /// `Tlsf::set_observer`.
    ///
    /// # Safety
    /// The duties of `Tlsf::set_observer`.
    pub unsafe fn set_observer(
        self,
        observer: Option<Observer>,
        user: *mut c_void,
    ) -> Result<(), Refusal> {
        // SAFETY: live, allowed (caller). The error is that of a cache, which the instance lacks.
        let _ = unsafe { self.inner().set_observer(observer, user) };
        Ok(())
    }

    /// The result of `Tlsf::set_cache`. The cache ends at once: the quarantine keeps freed blocks.
    ///
    /// # Safety
    /// The duties of `Tlsf::set_cache`.
    pub unsafe fn set_cache(
        self,
        mem: *mut u8,
        bytes: usize,
        blocks: usize,
    ) -> Result<bool, Refusal> {
        // SAFETY: live, memory that may be written (caller). No error: nothing has been cached.
        unsafe {
            let done = self.inner().set_cache(mem, bytes, blocks);
            let _ = self.inner().set_cache(ptr::null_mut(), 0, 0);
            Ok(done == Ok(true))
        }
    }

    /// `Tlsf::set_exhausted_handler`.
    ///
    /// # Safety
    /// The duties of `Tlsf::set_exhausted_handler`.
    pub unsafe fn set_exhausted_handler(
        self,
        handler: Option<ExhaustedHandler>,
        user: *mut c_void,
    ) {
        // SAFETY: live, allowed (caller).
        unsafe { self.inner().set_exhausted_handler(handler, user) }
    }

    /// `Tlsf::notify`.
    ///
    /// # Safety
    /// The duties of `Tlsf::notify`.
    pub unsafe fn notify(self, event: &Event) {
        // SAFETY: live; the layer above tests each call (caller).
        unsafe { self.inner().notify(event) }
    }

    /// `Tlsf::ask_for_memory`.
    ///
    /// # Safety
    /// The duties of `Tlsf::ask_for_memory`.
    pub unsafe fn ask_for_memory(
        self,
        allocator: *mut c_void,
        bytes: usize,
        align: usize,
        stats: &Stats,
    ) -> bool {
        // SAFETY: live; the layer above tests each call (caller).
        unsafe { self.inner().ask_for_memory(allocator, bytes, align, stats) }
    }
}
