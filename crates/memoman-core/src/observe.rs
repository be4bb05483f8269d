//! Observers: the functions that a program has called after each call on an instance, and on a
//! request that the instance has no memory for.
//!
//! The core stores them and calls them; the layer above decides when. It intercepts an instance
//! that has one ([`crate::intercept`]), so that an instance without one pays nothing. Their words
//! end the control structure's fixed part, under a hash of their own. They mean nothing
//! while no function is set: a layer that reads them only under interception clears them before it
//! sets one ([`Tlsf::clear_hooks`]). The small build has none.

use core::ffi::c_void;
use core::ptr;

use crate::hooks::{Access, Event, ExhaustedHandler, Hooks, Observer, Running};
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::stats::Stats;

impl Tlsf {
    /// # Safety
    /// The instance is live.
    unsafe fn hooks(self) -> *mut Hooks {
        // SAFETY: live (caller), so the control structure's fixed part is there.
        unsafe { &raw mut (*self.control()).hooks }
    }

    /// Sets neither function, whatever the words were.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn clear_hooks(self) {
        // SAFETY: live (caller); all-zero is a valid `Hooks`.
        unsafe { self.hooks().write_bytes(0, 1) }
    }

    /// Whether a function is set; the error is that their words have been overwritten.
    ///
    /// # Safety
    /// The instance is live, and its words have been cleared.
    pub unsafe fn has_hooks(self) -> Result<bool, Misuse> {
        // SAFETY: live (caller).
        let hooks = unsafe { &*self.hooks() };
        if !hooks.are_set() {
            Ok(false)
        } else if hooks.running() <= Running::Exhausted as usize {
            Ok(true)
        } else {
            Err(Misuse::SmashedHooks)
        }
    }

    /// Tests a call on an instance that may have functions set: they may not be running, unless
    /// `access` allows it. Returns whether one is set.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn enter_hooks(self, access: Access) -> Result<bool, Misuse> {
        // SAFETY: live (caller).
        unsafe {
            let set = self.has_hooks()?;
            let running = (*self.hooks()).running();
            let allowed = running == Running::No as usize
                || running == Running::Exhausted as usize && access == Access::Release;
            if set && !allowed {
                return Err(Misuse::Reentered);
            }
            Ok(set)
        }
    }

    /// Makes validation report the control structure as overwritten.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn spoil_check(self) {
        // SAFETY: live (caller).
        unsafe { (*self.control()).check = !(*self.control()).checksum() }
    }

    /// Sets the observer, None for none. An observer ends the cache. The error, with the observer
    /// and the cache as they were, is what [`Tlsf::flush_cache`] finds.
    ///
    /// # Safety
    /// The instance is live, [`Tlsf::enter_hooks`] has allowed it, and it is not intercepted.
    pub unsafe fn set_observer(
        self,
        observer: Option<Observer>,
        user: *mut c_void,
    ) -> Result<(), Refusal> {
        // SAFETY: live (caller).
        unsafe {
            if observer.is_some() {
                // It sees each call.
                self.flush_cache()?;
                (*self.hooks()).cache = ptr::null_mut();
            }
            let hooks = &mut *self.hooks();
            (hooks.observer, hooks.observer_user) = (observer, user);
            hooks.check = hooks.checksum();
        }
        Ok(())
    }

    /// Sets the function for exhausted requests, None for none.
    ///
    /// # Safety
    /// The instance is live, and [`Tlsf::enter_hooks`] has allowed it.
    pub unsafe fn set_exhausted_handler(
        self,
        handler: Option<ExhaustedHandler>,
        user: *mut c_void,
    ) {
        // SAFETY: live (caller).
        unsafe {
            let hooks = &mut *self.hooks();
            (hooks.exhausted, hooks.exhausted_user) = (handler, user);
            hooks.check = hooks.checksum();
        }
    }

    /// Calls the observer, if one is set, with `event`.
    ///
    /// # Safety
    /// The instance is live and intercepted, or the layer above tests each call
    /// ([`Tlsf::enter_hooks`]). The observer is the function that the program has registered.
    pub unsafe fn notify(self, event: &Event) {
        // SAFETY: live (caller). No reference into the control structure is held in the call.
        unsafe {
            let hooks = self.hooks();
            let (Some(observer), user) = ((*hooks).observer, (*hooks).observer_user) else {
                return;
            };
            let change = (*hooks).running() ^ Running::Observer as usize;
            (*hooks).check ^= change;
            observer(event, user);
            (*hooks).check ^= change;
        }
    }

    /// Calls the function for exhausted requests, if one is set. True requests another search. The
    /// instance has no cache meanwhile, so that no hit serves a call of the function; its cache,
    /// which the request has emptied, is there again afterwards.
    ///
    /// # Safety
    /// The duties of [`Tlsf::notify`].
    pub unsafe fn ask_for_memory(
        self,
        allocator: *mut c_void,
        bytes: usize,
        align: usize,
        stats: &Stats,
    ) -> bool {
        // SAFETY: live (caller). No reference into the control structure is held in the call.
        unsafe {
            let hooks = self.hooks();
            let (Some(handler), user) = ((*hooks).exhausted, (*hooks).exhausted_user) else {
                return false;
            };
            let cache = (*hooks).cache;
            if !cache.is_null() {
                self.name_cache(ptr::null_mut());
            }
            (*hooks).check ^= Running::Exhausted as usize;
            let again = handler(allocator, bytes, align, stats, user) != 0;
            (*hooks).check ^= Running::Exhausted as usize;
            if !cache.is_null() && self.has_hooks().is_ok() {
                self.name_cache(cache);
                // The function may have added pools.
                self.intercept();
            }
            again
        }
    }
}
