//! mimalloc 3, from the crate `libmimalloc-sys`, under the C library's names: to be preloaded.
#![no_std]

use libmimalloc_sys as _;

unsafe extern "C" {
    #[link_name = "mi_malloc"]
    fn peer_malloc(bytes: usize) -> *mut c_void;
    #[link_name = "mi_calloc"]
    fn peer_calloc(count: usize, bytes: usize) -> *mut c_void;
    #[link_name = "mi_realloc"]
    fn peer_realloc(block: *mut c_void, bytes: usize) -> *mut c_void;
    #[link_name = "mi_free"]
    fn peer_free(block: *mut c_void);
    #[link_name = "mi_usable_size"]
    fn peer_usable_size(block: *const c_void) -> usize;
    #[link_name = "mi_memalign"]
    fn peer_aligned(align: usize, bytes: usize) -> *mut c_void;
}

include!("../../family.rs");
