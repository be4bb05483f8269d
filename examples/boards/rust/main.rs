//! A firmware in Rust: `alloc`'s collections from a global allocator in a static array, by
//! `main` of a C start-up. scripts/boards.sh builds and runs it.
#![no_std]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{CStr, c_char, c_int, c_ulong};
use core::mem::MaybeUninit;
use memoman_core::embedded::Heap;

#[global_allocator]
static HEAP: Heap = Heap::empty();

unsafe extern "C" {
    fn host_print(text: *const c_char);
    fn host_print_number(number: c_ulong);
}

fn print(text: &CStr) {
    // SAFETY: the text ends with a zero byte, which is all that semihosting.c needs.
    unsafe { host_print(text.as_ptr()) }
}

/// This firmware has one processor and enables no interrupt: nothing can come between. In yours
/// the chip's support crate masks them.
struct NoInterrupts;
critical_section::set_impl!(NoInterrupts);
// SAFETY: without interrupts and other processors every section is alone.
unsafe impl critical_section::Impl for NoInterrupts {
    unsafe fn acquire() -> bool {
        false
    }
    unsafe fn release(_: bool) {}
}

#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    print(c"panic in line ");
    // SAFETY: any number may be printed.
    unsafe { host_print_number(information.location().map_or(0, |at| at.line().into())) }
    print(c"\n");
    loop {
        // SAFETY: an undefined instruction, which ends in the fault handler and changes no memory.
        unsafe { core::arch::asm!("udf #0") }
    }
}

fn traffic() {
    let mut lists: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for step in 0..2_000 {
        let list = lists.entry(step * 7 % 12).or_default();
        if list.len() == 24 {
            *list = Vec::new();
        }
        list.push(step);
    }
    assert!(HEAP.used() > 0);
    for (key, list) in &lists {
        assert!(list.iter().all(|step| step * 7 % 12 == *key));
    }
}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    const SIZE: usize = 8 * 1024;
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: the only use of MEMORY, once, before the first allocation.
    unsafe { HEAP.init(&raw mut MEMORY as usize, SIZE) }
    let before = (HEAP.used(), HEAP.free());
    traffic();
    assert!((HEAP.used(), HEAP.free()) == before);
    let large = Layout::new::<[u8; 2 * SIZE]>();
    // By the trait: the compiler may take for granted that `alloc::alloc` succeeds.
    // SAFETY: the size is not zero.
    assert!(unsafe { GlobalAlloc::alloc(&HEAP, large) }.is_null());
    print(c"sound\n");
    0
}
