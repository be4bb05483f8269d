//! Observers and the handler of exhausted requests.
//!
//! An allocator with one is intercepted in the core (release library), so its calls end in the cold
//! paths of `hot/fast.rs`; the debug library tests every call. Both come to [`made`], which makes
//! the call, retries it once if the handler says so, and notifies the observer. The small library
//! has no observers.

use core::ffi::{c_int, c_void};

use super::types::{mm_allocator_t, mm_exhausted_handler, mm_observer};

#[cfg(not(memoman_small))]
pub(crate) use imp::{Call, Hook, changed, made, may_change, set};

/// Sets the function that is called after each call that has changed the
/// allocator, and after each request that found no memory; `user` is passed to
/// it. NULL removes it. The observer must not change the allocator: such a call
/// is reported to the error handler and has no effect. It may read it, with
/// mm_stats, mm_measure, mm_dump, mm_walk_pool and the functions that validate.
/// While it is set, calls take longer, in constant time; without one they take
/// what they take without this function. Returns 1; 0, with nothing changed, if
/// the handle is NULL or that of mm_default(), in the small library, and when
/// called from an observer or handler of the same allocator. O(1); with a cache
/// (mm_set_cache), which an observer ends, O(cached blocks), and 0, with the
/// cache kept, if damage of it is found, which is reported to the error handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_set_observer(
    allocator: *mut mm_allocator_t,
    observer: mm_observer,
    user: *mut c_void,
) -> c_int {
    // SAFETY: boundary rules; the observer is the caller's C function (documented).
    unsafe { imp::set_observer(allocator, observer, user) }
}

/// Sets the function that is called when a request finds no memory, before it
/// is refused; `user` is passed to it. NULL removes it. The handler may add or
/// extend a pool, or free blocks of the allocator, but not the block that a
/// realloc is about; it returns nonzero to have the request tried once more. Any
/// other call that changes the allocator is reported to the error handler and
/// has no effect. A request that is served in the end is not counted in
/// `failed_requests`. While a handler is set, calls take longer, in constant
/// time. Returns 1; 0, with nothing changed, if the handle is NULL or that of
/// mm_default(), in the small library, and when called from an observer or
/// handler of the same allocator. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_set_exhausted_handler(
    allocator: *mut mm_allocator_t,
    handler: mm_exhausted_handler,
    user: *mut c_void,
) -> c_int {
    // SAFETY: boundary rules; the handler is the caller's C function (documented).
    unsafe { imp::set_exhausted_handler(allocator, handler, user) }
}

#[cfg(memoman_small)]
mod imp {
    //! The small library: neither function is ever set.

    use core::ffi::{c_int, c_void};

    use crate::ffi::types::{mm_allocator_t, mm_exhausted_handler, mm_observer};

    /// `mm_set_observer`.
    ///
    /// # Safety
    /// None: unsafe as that of the other builds.
    pub(super) unsafe fn set_observer(
        _: *mut mm_allocator_t,
        _: mm_observer,
        _: *mut c_void,
    ) -> c_int {
        0
    }

    /// `mm_set_exhausted_handler`.
    ///
    /// # Safety
    /// None: unsafe as that of the other builds.
    pub(super) unsafe fn set_exhausted_handler(
        _: *mut mm_allocator_t,
        _: mm_exhausted_handler,
        _: *mut c_void,
    ) -> c_int {
        0
    }
}

#[cfg(not(memoman_small))]
mod imp {
    use core::ffi::{c_int, c_void};
    use core::mem::transmute;
    use core::ptr;

    use memoman_core::{Access, Event, EventKind, ExhaustedHandler, Observer};

    use crate::ffi::allocator::{Refusal, Stats, Tlsf};
    use crate::ffi::misuse::{answer, misuse};
    use crate::ffi::types::{
        self, mm_allocator_t, mm_event_t, mm_exhausted_handler, mm_observer, mm_stats_t,
    };
    use crate::ffi::{checker, instance};

    // The header's structs and numbers are the core's.
    const _: () = {
        assert!(size_of::<mm_event_t>() == size_of::<Event>());
        assert!(align_of::<mm_event_t>() == align_of::<Event>());
        assert!(size_of::<mm_stats_t>() == size_of::<Stats>());
        assert!(types::MM_EVENT_MALLOC == EventKind::Malloc as c_int);
        assert!(types::MM_EVENT_CALLOC == EventKind::Calloc as c_int);
        assert!(types::MM_EVENT_MEMALIGN == EventKind::Memalign as c_int);
        assert!(types::MM_EVENT_REALLOC == EventKind::Realloc as c_int);
        assert!(types::MM_EVENT_FREE == EventKind::Free as c_int);
        assert!(types::MM_EVENT_FAILED == EventKind::Failed as c_int);
        assert!(types::MM_EVENT_POOL_ADDED == EventKind::PoolAdded as c_int);
        assert!(types::MM_EVENT_POOL_EXTENDED == EventKind::PoolExtended as c_int);
        assert!(types::MM_EVENT_POOL_REMOVED == EventKind::PoolRemoved as c_int);
        assert!(types::MM_EVENT_RESET == EventKind::Reset as c_int);
    };

    /// `mm_set_observer`.
    ///
    /// # Safety
    /// `allocator` is NULL or that of a live instance.
    pub(super) unsafe fn set_observer(
        allocator: *mut mm_allocator_t,
        observer: mm_observer,
        user: *mut c_void,
    ) -> c_int {
        // SAFETY: NULL or a live instance (caller); the function pointers differ in the struct
        // pointed to only, which has one layout (asserted above). `set` has tested that none runs.
        unsafe {
            let observer = transmute::<mm_observer, Option<Observer>>(observer);
            set(allocator, Hook::Observer(observer, user))
        }
    }

    /// `mm_set_exhausted_handler`.
    ///
    /// # Safety
    /// `allocator` is NULL or that of a live instance.
    pub(super) unsafe fn set_exhausted_handler(
        allocator: *mut mm_allocator_t,
        handler: mm_exhausted_handler,
        user: *mut c_void,
    ) -> c_int {
        // SAFETY: NULL or a live instance (caller); the function pointers differ in the types
        // pointed to only, which have one layout (asserted above). `set` has tested that none runs.
        unsafe {
            let handler = transmute::<mm_exhausted_handler, Option<ExhaustedHandler>>(handler);
            set(allocator, Hook::Exhausted(handler, user))
        }
    }

    /// A function to set, None for none, and its user's pointer; or a cache.
    pub(crate) enum Hook {
        Observer(Option<Observer>, *mut c_void),
        Exhausted(Option<ExhaustedHandler>, *mut c_void),
        /// The memory of a cache's table, null for none; its bytes; the blocks of a class.
        Cache(*mut u8, usize, usize),
    }

    impl Hook {
        /// # Safety
        /// The instance is live and not intercepted, and none of its functions runs. The memory is
        /// the caller's to give.
        pub(crate) unsafe fn set(self, tlsf: Tlsf) -> Result<bool, Refusal> {
            // SAFETY: the duties of the caller.
            unsafe {
                match self {
                    Hook::Observer(observer, user) => tlsf.set_observer(observer, user)?,
                    Hook::Exhausted(handler, user) => tlsf.set_exhausted_handler(handler, user),
                    Hook::Cache(mem, bytes, blocks) => {
                        let done = tlsf.set_cache(mem, bytes, blocks);
                        // A checker would not see that a cached block is free.
                        #[cfg(not(memoman_debug))]
                        if checker::has_checker() {
                            let _ = tlsf.set_cache(ptr::null_mut(), 0, 0);
                        }
                        return done;
                    }
                }
            }
            Ok(true)
        }
    }

    /// Sets a function, unless one is running; intercepts the allocator, or ends that.
    ///
    /// # Safety
    /// `allocator` is NULL or that of a live instance.
    pub(crate) unsafe fn set(allocator: *mut mm_allocator_t, hook: Hook) -> c_int {
        // SAFETY: NULL or a live instance (caller).
        unsafe {
            let Some(tlsf) = instance(allocator) else {
                return 0;
            };
            #[cfg(any(target_os = "linux", windows))]
            if memoman_global::is_handle(tlsf.as_raw()) {
                return 0;
            }
            #[cfg(not(memoman_debug))]
            if !tlsf.is_intercepted() {
                tlsf.clear_hooks();
            }
            if !may_change(tlsf, Access::Allocate) {
                return 0;
            }
            match checker::hook(tlsf, hook) {
                Ok(done) => c_int::from(done),
                Err(refusal) => {
                    answer(tlsf, Err(refusal));
                    0
                }
            }
        }
    }

    /// Whether a call may change the allocator: no function of it runs, or `access` allows the
    /// call. Else it is reported.
    ///
    /// # Safety
    /// The instance is live.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn may_change(tlsf: Tlsf, access: Access) -> bool {
        // SAFETY: live instance (caller).
        unsafe {
            #[cfg(not(memoman_debug))]
            if !tlsf.is_intercepted() {
                return true;
            }
            if let Err(what) = tlsf.enter_hooks(access) {
                misuse(tlsf, what, tlsf.as_raw().cast_const().cast());
                return false;
            }
        }
        true
    }

    /// Notifies the observer, if there is one, of a change that is no call for a block.
    ///
    /// # Safety
    /// The instance is live and, in the release library, intercepted.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn changed(tlsf: Tlsf, kind: EventKind, pointer: *mut u8, bytes: usize) {
        // SAFETY: live instance (caller).
        unsafe {
            if matches!(tlsf.has_hooks(), Ok(true)) {
                tlsf.notify(&Event {
                    allocator: tlsf.as_raw(),
                    kind,
                    pointer: pointer.cast(),
                    old: ptr::null_mut(),
                    requested: bytes,
                    block: 0,
                    align: 0,
                });
            }
        }
    }

    /// A call for a block.
    #[derive(Clone, Copy)]
    pub(crate) struct Call {
        pub(crate) kind: EventKind,
        /// The block to resize or free; null in other calls.
        pub(crate) old: *mut u8,
        /// 0: the quantum.
        pub(crate) align: usize,
        pub(crate) bytes: usize,
    }

    /// Makes a call on an allocator that may have functions set.
    ///
    /// # Safety
    /// The instance is live. On success, `old` is given up.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn made(
        tlsf: Tlsf,
        kind: EventKind,
        old: *mut u8,
        align: usize,
        bytes: usize,
    ) -> *mut c_void {
        // `mm_realloc` has no alignment but the quantum.
        let align = match kind {
            EventKind::Realloc if align <= Tlsf::ALIGN => 0,
            _ => align,
        };
        #[rustfmt::skip]
        let call = &Call { kind, old, align, bytes };
        // SAFETY: live instance, old block given up on success (caller).
        unsafe {
            let access = match call.kind {
                EventKind::Free => Access::Release,
                _ => Access::Allocate,
            };
            let hooked = match tlsf.enter_hooks(access) {
                Ok(hooked) => hooked,
                Err(what) => {
                    let place = if call.old.is_null() {
                        tlsf.as_raw().cast()
                    } else {
                        call.old
                    };
                    return misuse(tlsf, what, place);
                }
            };
            if !hooked {
                return answer_call(tlsf, checker::perform(tlsf, call));
            }
            let freed = match call.kind {
                EventKind::Free => checker::usable(tlsf, call.old),
                _ => 0,
            };
            let mut result = checker::perform(tlsf, call);
            if matches!(result, Err(Refusal::Exhausted)) {
                let stats = checker::stats(tlsf);
                if tlsf.ask_for_memory(tlsf.as_raw(), call.bytes, call.align, &stats) {
                    tlsf.withdraw_refusal();
                    result = checker::perform(tlsf, call);
                }
            }
            let (kind, pointer, old) = match (result, call.kind) {
                (Ok(_), EventKind::Free) => (call.kind, call.old, ptr::null_mut()),
                (Ok(block), kind) => (kind, block, call.old),
                (Err(Refusal::Exhausted), _) => (EventKind::Failed, ptr::null_mut(), call.old),
                (Err(_), _) => return answer_call(tlsf, result),
            };
            let block = match kind {
                EventKind::Free => freed,
                _ => checker::usable(tlsf, pointer),
            };
            tlsf.notify(&Event {
                allocator: tlsf.as_raw(),
                kind,
                pointer: pointer.cast(),
                old: old.cast(),
                requested: call.bytes,
                block,
                align: call.align,
            });
            answer_call(tlsf, result)
        }
    }

    /// The result of a call as C sees it; null is the result of a `free`.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn answer_call(tlsf: Tlsf, result: Result<*mut u8, Refusal>) -> *mut c_void {
        match result {
            Ok(block) => block.cast(),
            // SAFETY: live instance (caller).
            Err(refusal) => unsafe { answer(tlsf, Err(refusal)) },
        }
    }
}
