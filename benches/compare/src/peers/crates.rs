//! The Rust crates, each inlined into functions of the C shape.

use std::alloc::Layout;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

use super::{Growth, Kind, Peer};
use crate::region::CONTROL;

/// The alignment that C's `malloc` guarantees.
const ALIGN: usize = 16;

fn layout(bytes: usize, align: usize) -> Layout {
    // SAFETY: the workloads' sizes are far below isize::MAX, their alignments powers of two.
    unsafe { Layout::from_size_align_unchecked(bytes, align) }
}

fn give(block: Option<NonNull<u8>>) -> *mut c_void {
    block.map_or(ptr::null_mut(), |block| block.as_ptr().cast())
}

/// A crate's heap. A block is freed with the layout of its request.
trait Crate: Sized {
    const EMPTY: Self;
    unsafe fn give_pool(&mut self, pool: *mut u8, bytes: usize);
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);
    /// Resizes in place or by moving; the default always moves.
    unsafe fn resize(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: `block` is live and of this heap (caller); the new block is distinct; both have
        // the copied bytes.
        unsafe {
            let moved = self.allocate(layout(new, old.align()))?;
            ptr::copy_nonoverlapping(block.as_ptr(), moved.as_ptr(), old.size().min(new));
            self.deallocate(block, old);
            Some(moved)
        }
    }
}

unsafe fn create<C: Crate>(control: *mut u8, pool: *mut u8, bytes: usize) -> *mut c_void {
    const { assert!(size_of::<C>() <= CONTROL && align_of::<C>() <= 64) };
    // SAFETY: both parts are the region's, which holds no other live heap (caller); the control
    // part is large and aligned enough (asserted).
    unsafe {
        let heap: *mut C = control.cast();
        heap.write(C::EMPTY);
        (*heap).give_pool(pool, bytes);
        heap.cast()
    }
}
unsafe extern "C" fn malloc<C: Crate>(context: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: `create` returned the context; no other call uses it meanwhile (one thread).
    unsafe { give((*context.cast::<C>()).allocate(layout(bytes, ALIGN))) }
}
unsafe extern "C" fn free<C: Crate>(context: *mut c_void, block: *mut c_void, bytes: usize) {
    // SAFETY: `create` returned the context; the block is live and of this heap (caller).
    unsafe {
        (*context.cast::<C>())
            .deallocate(NonNull::new_unchecked(block.cast()), layout(bytes, ALIGN));
    }
}
unsafe extern "C" fn realloc<C: Crate>(
    context: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: `create` returned the context; the block is live and of this heap (caller).
    unsafe {
        let block = NonNull::new_unchecked(block.cast());
        give((*context.cast::<C>()).resize(block, layout(old, ALIGN), new))
    }
}
unsafe extern "C" fn memalign<C: Crate>(
    context: *mut c_void,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: `create` returned the context; no other call uses it meanwhile (one thread).
    unsafe { give((*context.cast::<C>()).allocate(layout(bytes, align))) }
}
unsafe extern "C" fn free_aligned<C: Crate>(
    context: *mut c_void,
    block: *mut c_void,
    bytes: usize,
    align: usize,
) {
    // SAFETY: `create` returned the context; the block is live and of this heap (caller).
    unsafe {
        (*context.cast::<C>())
            .deallocate(NonNull::new_unchecked(block.cast()), layout(bytes, align));
    }
}

const fn peer<C: Crate>(name: &'static str, growth: Growth) -> Peer {
    Peer {
        name,
        kind: Kind::Pool,
        create: create::<C>,
        malloc: malloc::<C>,
        free: free::<C>,
        realloc: realloc::<C>,
        memalign: Some((memalign::<C>, free_aligned::<C>)),
        growth,
    }
}

pub(super) const RLSF: Peer = peer::<Rlsf>("rlsf", Growth::Constant);
pub(super) const TALC: Peer = peer::<Talc>("talc", Growth::Sometimes);
pub(super) const BUDDY: Peer = peer::<Buddy>("buddy_system_allocator", Growth::Sometimes);
pub(super) const LINKED_LIST: Peer = peer::<LinkedList>("linked_list_allocator", Growth::Linear);

/// 25 first levels: blocks of up to 512 MiB, more than every pool here.
type Rlsf = rlsf::Tlsf<'static, u32, u32, 25, 32>;

impl Crate for Rlsf {
    const EMPTY: Rlsf = rlsf::Tlsf::new();
    unsafe fn give_pool(&mut self, pool: *mut u8, bytes: usize) {
        // SAFETY: the pool is the heap's (caller).
        unsafe {
            let pool = NonNull::new_unchecked(ptr::slice_from_raw_parts_mut(pool, bytes));
            assert!(self.insert_free_block_ptr(pool).is_some());
        }
    }
    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        rlsf::Tlsf::allocate(self, layout)
    }
    #[inline(always)]
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block is live, of this heap, with this alignment (caller).
        unsafe { rlsf::Tlsf::deallocate(self, block, layout.align()) }
    }
    #[inline(always)]
    unsafe fn resize(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the block is live, of this heap, with this alignment (caller).
        unsafe { self.reallocate(block, layout(new, old.align())) }
    }
}

type Talc = talc::base::Talc<talc::source::Manual, talc::DefaultBinning>;

impl Crate for Talc {
    const EMPTY: Talc = talc::base::Talc::new(talc::source::Manual);
    unsafe fn give_pool(&mut self, pool: *mut u8, bytes: usize) {
        // SAFETY: the pool is the heap's (caller).
        assert!(unsafe { self.claim(pool, bytes) }.is_some());
    }
    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero (caller).
        unsafe { talc::base::Talc::allocate(self, layout) }
    }
    #[inline(always)]
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block is live, of this heap, with this layout (caller).
        unsafe { talc::base::Talc::deallocate(self, block.as_ptr(), layout) }
    }
    #[inline(always)]
    unsafe fn resize(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the block is live, of this heap, with this layout (caller).
        unsafe {
            if self.try_realloc_in_place(block.as_ptr(), old, new) {
                return Some(block);
            }
            let moved = talc::base::Talc::allocate(self, layout(new, old.align()))?;
            ptr::copy_nonoverlapping(block.as_ptr(), moved.as_ptr(), old.size().min(new));
            talc::base::Talc::deallocate(self, block.as_ptr(), old);
            Some(moved)
        }
    }
}

/// 32 orders: blocks of up to 2 GiB.
type Buddy = buddy_system_allocator::Heap<32>;

impl Crate for Buddy {
    const EMPTY: Buddy = buddy_system_allocator::Heap::new();
    unsafe fn give_pool(&mut self, pool: *mut u8, bytes: usize) {
        // SAFETY: the pool is the heap's (caller).
        unsafe { self.init(pool.expose_provenance(), bytes) }
    }
    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.alloc(layout).ok()
    }
    #[inline(always)]
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block is live, of this heap, with this layout (caller).
        unsafe { self.dealloc(block, layout) }
    }
}

type LinkedList = linked_list_allocator::Heap;

impl Crate for LinkedList {
    const EMPTY: LinkedList = linked_list_allocator::Heap::empty();
    unsafe fn give_pool(&mut self, pool: *mut u8, bytes: usize) {
        // SAFETY: the pool is the heap's (caller).
        unsafe { self.init(pool, bytes) }
    }
    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.allocate_first_fit(layout).ok()
    }
    #[inline(always)]
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block is live, of this heap, with this layout (caller).
        unsafe { linked_list_allocator::Heap::deallocate(self, block, layout) }
    }
}
