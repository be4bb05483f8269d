//! snmalloc, from the crate `snmalloc-sys`, under the C library's names: to be preloaded.
#![no_std]

use snmalloc_sys as _;

unsafe extern "C" {
    #[link_name = "sn_malloc"]
    fn peer_malloc(bytes: usize) -> *mut c_void;
    #[link_name = "sn_calloc"]
    fn peer_calloc(count: usize, bytes: usize) -> *mut c_void;
    #[link_name = "sn_realloc"]
    fn peer_realloc(block: *mut c_void, bytes: usize) -> *mut c_void;
    #[link_name = "sn_free"]
    fn peer_free(block: *mut c_void);
    #[link_name = "sn_malloc_usable_size"]
    fn peer_usable_size(block: *const c_void) -> usize;
    #[link_name = "sn_rust_alloc"]
    fn peer_aligned(align: usize, bytes: usize) -> *mut c_void;
}

include!("../../family.rs");
