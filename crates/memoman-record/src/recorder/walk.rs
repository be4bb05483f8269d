//! The calling thread's stack, beside the one of its event before: a frame at the same place with
//! the same return address leads to the same callers as long as their return addresses are where
//! they were. So an event looks at each frame's one word, and takes only the new frames apart.

use core::arch::asm;

use super::rules::{Rules, Step};
use super::{mapping, thread, unwind};

/// Frames that are remembered.
const MOST: usize = 512;
/// A stack is walked so many frames beyond those that the event needs, for an event that needs
/// them when its thread has returned from some.
const SPARE: usize = 48;
const FRESH: usize = memoman_trace_format::layout::STACK_MAX + SPARE;

/// A stream's part: zeros are a valid one.
pub(crate) struct Walker {
    rules: Rules,
    /// The mapping that the stack lies in.
    low: usize,
    high: usize,
    /// It is the thread's own stack, which stays mapped as long as the thread runs. Frames of other
    /// stacks, such as a coroutine's, are not remembered: the stack may be gone.
    own: bool,
    lookups: u32,
    /// The outermost remembered frame has no caller.
    ended: bool,
    count: usize,
    /// Where the return addresses stand, and what they are; the outermost first.
    places: [usize; MOST],
    addresses: [usize; MOST],
    fresh: [(usize, usize); FRESH],
}

/// A thread that runs on many stacks in turns is walked by the slow unwinder after so many changes.
const LOOKUPS: u32 = 4096;

impl Walker {
    /// The stream has another thread: the stack is another one.
    pub(crate) fn forget(&mut self) {
        (self.low, self.high, self.count, self.lookups) = (0, 0, 0, 0);
    }

    /// The return addresses, at most so many (255), the outermost first; `None` when a frame has no
    /// rule of the common kind.
    pub(crate) fn walk(&mut self, most: usize) -> Option<&[usize]> {
        let (mut pc, mut stack, mut frame): (usize, usize, usize);
        // SAFETY: reads registers.
        unsafe {
            asm!("lea {0}, [rip]", "mov {1}, rsp", "mov {2}, rbp",
                out(reg) pc, out(reg) stack, out(reg) frame,
                options(nostack, nomem, preserves_flags));
        }
        if self.rules.refresh() {
            self.count = 0;
        }
        if !(self.low..self.high).contains(&stack) {
            self.enter(stack)?;
        }
        let limit = (most + SPARE).min(FRESH);
        let (mut kept, mut fresh) = (if self.own { self.count } else { 0 }, 0);
        self.count = 0;
        loop {
            let (distance, saved) = match self.rules.find(pc).step() {
                Step::Caller(true, distance, saved) => (frame.wrapping_add(distance), saved),
                Step::Caller(false, distance, saved) => (stack.wrapping_add(distance), saved),
                Step::Unknown => return None,
                Step::End => {
                    (kept, self.ended) = (0, true);
                    break;
                }
            };
            let caller = distance;
            if caller <= stack || caller > self.high || caller % size_of::<usize>() != 0 {
                return None;
            }
            let place = caller - size_of::<usize>();
            if let Some(saved) = saved {
                let at = caller.wrapping_add_signed(saved);
                if at < stack || at > place {
                    return None;
                }
                // SAFETY: between the stack pointer and the end of its mapping, and aligned.
                frame = unsafe { word(at) };
            }
            // SAFETY: as above.
            pc = unsafe { word(place) };
            stack = caller;
            if unwind::is_own(pc) {
                continue;
            }
            if pc == 0 {
                (kept, self.ended) = (0, true);
                break;
            }
            while kept > 0 && self.places[kept - 1] < place {
                kept -= 1;
            }
            if kept > 0
                && self.places[kept - 1] == place
                && self.addresses[kept - 1] == pc
                && self.holds(kept, most.saturating_sub(fresh))
            {
                break;
            }
            if fresh == limit {
                (kept, self.ended) = (0, false);
                break;
            }
            self.fresh[fresh] = (place, pc);
            fresh += 1;
        }
        let over = (kept + fresh).saturating_sub(MOST);
        if over > 0 {
            self.places.copy_within(over..kept, 0);
            self.addresses.copy_within(over..kept, 0);
            (kept, self.ended) = (kept - over, false);
        }
        for &(place, address) in self.fresh[..fresh].iter().rev() {
            (self.places[kept], self.addresses[kept]) = (place, address);
            kept += 1;
        }
        self.count = kept;
        Some(&self.addresses[kept.saturating_sub(most)..kept])
    }

    /// Whether the frames from the remembered one inwards of `kept` outwards are those of now, as
    /// many as are needed.
    #[inline(always)]
    fn holds(&self, kept: usize, need: usize) -> bool {
        if kept < need && !self.ended {
            return false;
        }
        let frames = kept.saturating_sub(need)..kept;
        let places = &self.places[frames.clone()];
        // SAFETY: places of frames in the present mapping, above the stack pointer.
        let present = |(&place, &address): (&usize, &usize)| unsafe { word(place) } == address;
        places.iter().zip(&self.addresses[frames]).all(present)
    }

    /// The thread runs on another stack than before, or its stack has grown.
    #[cold]
    #[inline(never)]
    fn enter(&mut self, stack: usize) -> Option<()> {
        self.count = 0;
        if self.lookups == LOOKUPS {
            return None;
        }
        self.lookups += 1;
        (self.low, self.high) = mapping::around(stack)?;
        // SAFETY: no precondition.
        let mark = unsafe {
            if libc::gettid() == libc::getpid() {
                // The kernel puts these bytes onto the stack of a program.
                libc::getauxval(libc::AT_RANDOM) as usize
            } else {
                // The C library puts a thread's words onto its stack.
                thread::current().addr()
            }
        };
        self.own = (self.low..self.high).contains(&mark);
        Some(())
    }
}

/// # Safety
/// `at` is the address of a word in the calling thread's stack.
#[inline(always)]
unsafe fn word(at: usize) -> usize {
    // SAFETY: the caller's duty. Another frame's word: the compiler must not assume anything of it.
    unsafe { core::ptr::with_exposed_provenance::<usize>(at).read_volatile() }
}
