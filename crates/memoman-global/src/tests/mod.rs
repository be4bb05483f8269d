//! The unit tests, one file for each module that has some.

mod env;
mod fork;
mod stderr;

#[cfg(not(memoman_debug))]
mod cache;
#[cfg(not(any(loom, memoman_debug)))]
mod chains;
#[cfg(not(any(loom, memoman_debug)))]
mod gate;
#[cfg(not(memoman_debug))]
mod inbox;
#[cfg(not(loom))]
mod lock;
// (It counts pages of 4 KiB, in 64-bit addresses.)
#[cfg(all(not(memoman_debug), target_arch = "x86_64"))]
mod map;
#[cfg(not(memoman_debug))]
mod mapping;
#[cfg(not(memoman_debug))]
mod regions;
#[cfg(not(memoman_debug))]
mod scenarios;
#[cfg(not(memoman_debug))]
mod segments;
#[cfg(memoman_debug)]
mod settings;
#[cfg(not(memoman_debug))]
mod thread_heap;

// Each in a process of its own, like the tests of the interface.
#[cfg(not(memoman_debug))]
#[path = "../../tests/support/mod.rs"]
mod support;
