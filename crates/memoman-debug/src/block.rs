//! The surroundings of a block in the debug library.
//!
//! ```text
//!   ┌ a block of the core ───────────────────────────────────────────────────────────────────┐
//!   │ record: next, number, state, size, lead, sites, check │ guard ││ data │ guard │ stacks │ │
//!   ▲ base                                                          ▲ payload
//!   └──────────────────────── lead: PREFIX, or more ────────────────┘
//! ```
//!
//! The record lies right before the payload. For an alignment beyond the quantum, a gap lies
//! between base and record; its first two words lead a walk to the record.
//!
//! `check` is a hash of the record and its address; a record is used only after the hash matches.
//! The hash leaves out the first two words, where the core's links lie once the block has left
//! quarantine. The rest survives until the memory is reused, so a late second free finds both
//! sites.

use core::ffi::CStr;
use core::ptr::{self, NonNull};

use memoman_core::config::{QUANTUM, WORD};

use crate::fault::{Fault, Kind, Known};
use crate::ledger::QUARANTINE_ONE;
use crate::site::STACK_MAX;

/// Bytes of guard on each side.
pub const GUARD: usize = 2 * WORD;
/// Every byte of a guard.
pub const GUARD_FILL: u8 = 0xFD;
/// Every byte of an allocated block before the first write.
pub const FRESH: u8 = 0xAA;
/// Every byte of a freed block.
pub const FREED: u8 = 0xDF;
/// Most bytes of a block that are filled, so that a huge block does not become resident. A block in
/// quarantine is not larger.
pub const FILL_MAX: usize = QUARANTINE_ONE;

/// Where an operation comes from: the return address of the exported function, and further ones
/// from its callers.
pub(crate) struct Calls {
    pub(crate) site: usize,
    pub(crate) frames: usize,
    pub(crate) stack: [usize; STACK_MAX - 1],
}

/// Bytes of a block's two stacks.
pub(crate) const fn stack_bytes(frames: usize) -> usize {
    2 * WORD * frames
}

/// The record before a payload.
#[repr(C)]
struct Record {
    /// In quarantine: the next block's payload in the order of frees.
    next: *mut u8,
    /// The allocation's number in the instance.
    number: usize,
    state: usize,
    size: usize,
    lead: usize,
    allocated: usize,
    freed: usize,
    check: usize,
    guard: [u8; GUARD],
}

/// Bytes from the record's start to the payload.
pub(crate) const PREFIX: usize = size_of::<Record>();
/// Bytes of a block beyond the request and the core's header.
pub(crate) const EXTRA: usize = PREFIX + GUARD;

const _: () = {
    assert!(PREFIX.is_multiple_of(QUANTUM) && GUARD.is_multiple_of(QUANTUM));
    // A gap holds the two words that lead to the record.
    assert!(PREFIX >= 2 * WORD);
};

/// The state of a block, by its record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    Quarantined,
    /// Free in the core; the rest of the record still names the freeing call.
    Released,
}

const LIVE: usize = 0x4C49_0000;
const QUARANTINED: usize = 0x5155_0000;
const RELEASED: usize = 0x474F_0000;
/// The state's low byte: the family of the function that allocated the block.
const FAMILY: usize = 0xFF;
/// The byte above: the number of return addresses in each of the block's two stacks.
const FRAMES: usize = 0xFF00;
const FRAMES_SHIFT: u32 = FRAMES.trailing_zeros();

/// The functions that belong together: what one of them allocates, another one frees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    /// `malloc`, `free` and their relatives, and every function whose family is not known.
    Malloc = b'E',
    /// `new` and `delete`.
    New = b'N',
    /// `new[]` and `delete[]`.
    NewArray = b'A',
}

impl Family {
    /// The message when a function of this family frees a block of the other family `allocated`, a
    /// record's byte.
    const fn wrong_for(self, allocated: usize) -> &'static CStr {
        const NEW: usize = Family::New as usize;
        const NEW_ARRAY: usize = Family::NewArray as usize;
        match (allocated, self) {
            (NEW, Family::NewArray) => c"freed by the wrong function: delete[] of a block from new",
            (NEW, _) => c"freed by the wrong function: free or realloc of a block from new",
            (NEW_ARRAY, Family::New) => {
                c"freed by the wrong function: delete of a block from new[]"
            }
            (NEW_ARRAY, _) => c"freed by the wrong function: free or realloc of a block from new[]",
            (_, Family::New) => c"freed by the wrong function: delete of a block from malloc",
            (_, _) => c"freed by the wrong function: delete[] of a block from malloc",
        }
    }
}

/// A function that frees or resizes a block, as its caller has named it: what is given must be as
/// at the allocation.
#[derive(Clone, Copy, Debug, Default)]
pub struct By {
    /// The function's family.
    pub family: Option<Family>,
    /// The requested size.
    pub size: Option<usize>,
    /// The requested alignment. Those that lead to the same place of the record are one.
    pub align: Option<usize>,
}

impl By {
    /// A function of this family.
    pub const fn family(family: Family) -> By {
        By {
            family: Some(family),
            size: None,
            align: None,
        }
    }
}

/// The site of a free that has not been: no address, and not 0, which an overwriting may leave.
const NOT_FREED: usize = !0xDEB6;
/// First word of a gap, XORed with the base's address.
const GAP: usize = 0xF1A6_5EED_DEB6_6A90_u64 as usize;

/// Bytes before the payload of a block with this alignment (a power of two, at least the quantum).
pub(crate) fn lead_for(align: usize) -> Option<usize> {
    PREFIX.checked_next_multiple_of(align)
}

fn mix(words: [usize; 7]) -> usize {
    let mut hash: u64 = 0x51AB_1E5E_ED0D_DBA1;
    for word in words {
        hash = (hash ^ word as u64).wrapping_mul(0x9FB2_1C65_1E98_DF25);
        hash ^= hash >> 29;
    }
    hash as usize
}

/// A block of the debug library: its payload address.
///
/// # Safety of the methods
/// The [`PREFIX`] bytes before the payload may be read. For methods that use size or lead, the
/// record is sealed, and a block of the core holds record, contents and guard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block(*mut u8);

impl Block {
    pub(crate) fn at(payload: *mut u8) -> Block {
        Block(payload)
    }

    pub(crate) fn payload(self) -> *mut u8 {
        self.0
    }

    fn record(self) -> *mut Record {
        self.0.wrapping_sub(PREFIX).cast()
    }

    /// Lays the record, guards and stacks of a live block of `size` bytes into a block of the core.
    pub(crate) unsafe fn lay(
        base: *mut u8,
        lead: usize,
        size: usize,
        number: usize,
        calls: &Calls,
    ) -> Block {
        let block = Block(base.wrapping_add(lead));
        // SAFETY: the core's block holds lead, size, a guard and the stacks (caller).
        unsafe {
            if lead > PREFIX {
                let gap: *mut usize = base.cast();
                gap.write(GAP ^ base.addr());
                gap.add(1).write(lead);
            }
            block.record().write(Record {
                next: ptr::null_mut(),
                number,
                state: LIVE | calls.frames << FRAMES_SHIFT | Family::Malloc as usize,
                size,
                lead,
                allocated: calls.site,
                freed: NOT_FREED,
                check: 0,
                guard: [GUARD_FILL; GUARD],
            });
            block.guard_after();
            block.write_stack(false, calls);
            block.seal();
        }
        block
    }

    /// The block in a block of the core; its record may be anything.
    pub(crate) unsafe fn inside(base: *mut u8, usable: usize) -> Block {
        // SAFETY: a used block of the core (caller) has at least three words.
        unsafe {
            let gap: *const usize = base.cast();
            let lead = gap.add(1).read();
            let leads = gap.read() == GAP ^ base.addr()
                && lead.is_multiple_of(QUANTUM)
                && (PREFIX..usable).contains(&lead);
            Block(base.wrapping_add(if leads { lead } else { PREFIX }))
        }
    }

    /// This block of the core holds record, contents and guard.
    pub(crate) unsafe fn fits(self, base: *mut u8, usable: usize) -> bool {
        // SAFETY: the record may be read (see `Block`).
        unsafe {
            let (lead, size) = (self.lead(), self.size());
            base.wrapping_add(lead) == self.0
                && lead <= usable
                && size <= usable - lead
                && usable - lead - size >= GUARD + stack_bytes(self.frames())
        }
    }

    unsafe fn hash(self) -> usize {
        // SAFETY: the record may be read (see `Block`).
        unsafe {
            let record = &*self.record();
            let next = if record.state & !(FAMILY | FRAMES) == QUARANTINED {
                record.next.addr()
            } else {
                0
            };
            mix([
                self.0.addr(),
                record.state,
                record.size,
                record.lead,
                record.allocated,
                record.freed,
                next,
            ])
        }
    }

    unsafe fn seal(self) {
        // SAFETY: the record may be written (caller).
        unsafe { (*self.record()).check = self.hash() }
    }

    /// The state; None when the record does not match its hash.
    pub(crate) unsafe fn state(self) -> Option<State> {
        // SAFETY: the record may be read (see `Block`).
        unsafe {
            let state = match (*self.record()).state & !(FAMILY | FRAMES) {
                LIVE => State::Live,
                QUARANTINED => State::Quarantined,
                RELEASED => State::Released,
                _ => return None,
            };
            ((*self.record()).check == self.hash()).then_some(state)
        }
    }

    pub(crate) unsafe fn size(self) -> usize {
        // SAFETY: the record may be read (see `Block`).
        unsafe { (*self.record()).size }
    }

    pub(crate) unsafe fn lead(self) -> usize {
        // SAFETY: the record may be read (see `Block`).
        unsafe { (*self.record()).lead }
    }

    pub(crate) unsafe fn base(self) -> *mut u8 {
        // SAFETY: the record is sealed (see `Block`).
        self.0.wrapping_sub(unsafe { self.lead() })
    }

    pub(crate) unsafe fn next(self) -> *mut u8 {
        // SAFETY: the record may be read (see `Block`).
        unsafe { (*self.record()).next }
    }

    pub(crate) unsafe fn set_next(self, next: *mut u8) {
        // SAFETY: the record may be written (caller).
        unsafe {
            (*self.record()).next = next;
            self.seal();
        }
    }

    /// Sets the requested size, and writes guard and stack after it.
    pub(crate) unsafe fn resize(self, size: usize, calls: &Calls) {
        // SAFETY: the core's block holds size, guard and stacks (caller).
        unsafe {
            (*self.record()).size = size;
            (*self.record()).allocated = calls.site;
            self.guard_after();
            self.write_stack(false, calls);
            self.seal();
        }
    }

    /// Inverts a live record's hash while the core may move it, so that no copy passes for a block;
    /// a second call restores it.
    pub(crate) unsafe fn unseal(self) {
        // SAFETY: the record may be written (caller).
        unsafe { (*self.record()).check = !(*self.record()).check }
    }

    /// What differs between the block's allocation and the function that frees it.
    pub(crate) unsafe fn mismatch(self, by: By) -> Option<Kind> {
        // SAFETY: the record may be read (see `Block`).
        unsafe {
            let family = (*self.record()).state & FAMILY;
            if let Some(by) = by.family.filter(|&by| by as usize != family) {
                Some(Kind::Family(by.wrong_for(family)))
            } else if by.size.is_some_and(|size| size != self.size()) {
                Some(Kind::Size)
            } else if by
                .align
                .is_some_and(|align| lead_for(align.max(QUANTUM)) != Some(self.lead()))
            {
                Some(Kind::Alignment)
            } else {
                None
            }
        }
    }

    pub(crate) unsafe fn set_family(self, family: Family) {
        // SAFETY: the record may be written (caller).
        unsafe {
            (*self.record()).state = (*self.record()).state & !FAMILY | family as usize;
            self.seal();
        }
    }

    /// The allocation's number.
    pub(crate) unsafe fn number(self) -> usize {
        // SAFETY: the record may be read (see `Block`).
        unsafe { (*self.record()).number }
    }

    /// Sets the state of a freed block; `calls` as at its first free.
    pub(crate) unsafe fn set_freed(self, state: State, calls: Option<&Calls>) {
        // SAFETY: the record may be written (caller).
        unsafe {
            let rest = (*self.record()).state & (FAMILY | FRAMES);
            (*self.record()).state = rest
                | if state == State::Quarantined {
                    QUARANTINED
                } else {
                    RELEASED
                };
            if let Some(calls) = calls {
                (*self.record()).freed = calls.site;
                // A released block is the core's: its boundary tag may lie over the stacks.
                if state == State::Quarantined {
                    self.write_stack(true, calls);
                }
            }
            self.seal();
        }
    }

    pub(crate) unsafe fn frames(self) -> usize {
        // SAFETY: the record may be read (see `Block`).
        unsafe { ((*self.record()).state & FRAMES) >> FRAMES_SHIFT }
    }

    /// The stacks, after the guard: of the allocation, then of the free. Not aligned.
    unsafe fn stack(self) -> *mut usize {
        // SAFETY: the record may be read (see `Block`).
        let size = unsafe { self.size() };
        self.0.wrapping_add(size + GUARD).cast()
    }

    /// Writes the stack of the allocation or of the free.
    unsafe fn write_stack(self, freed: bool, calls: &Calls) {
        // SAFETY: the core's block holds both stacks, of the number of frames in the record (see
        // `Block`).
        unsafe {
            let frames = self.frames();
            let stack = self.stack().wrapping_add(if freed { frames } else { 0 });
            for (index, address) in calls.stack.iter().take(frames).enumerate() {
                stack.wrapping_add(index).write_unaligned(*address);
            }
        }
    }

    unsafe fn guard_after(self) {
        // SAFETY: the core's block holds size and guard (see `Block`).
        unsafe {
            self.0
                .wrapping_add(self.size())
                .write_bytes(GUARD_FILL, GUARD)
        }
    }

    /// Fills the contents, at most [`FILL_MAX`] bytes.
    pub(crate) unsafe fn fill(self, byte: u8) {
        // SAFETY: the contents may be written (caller).
        unsafe { self.0.write_bytes(byte, self.size().min(FILL_MAX)) }
    }

    /// The contents of a sealed record.
    pub(crate) unsafe fn known(self) -> Option<Known> {
        // SAFETY: the record may be read (see `Block`).
        unsafe {
            let state = self.state()?;
            let record = &*self.record();
            Some(Known {
                payload: self.0,
                size: record.size,
                number: if state == State::Released {
                    0
                } else {
                    record.number
                },
                allocated: record.allocated,
                freed: if record.freed == NOT_FREED {
                    0
                } else {
                    record.freed
                },
                is_freed: state != State::Live,
                // Of a released block, the free block's last word may lie over them.
                frames: if state == State::Released {
                    0
                } else {
                    self.frames()
                },
                stacks: self.stack(),
            })
        }
    }

    pub(crate) unsafe fn fault(self, kind: Kind, place: *const u8) -> Fault {
        // SAFETY: the record may be read (see `Block`).
        let block = unsafe { self.known() };
        Fault {
            kind,
            address: self.0,
            place,
            block,
        }
    }
}

/// A payload as the core's pointer type.
pub(crate) fn non_null(payload: *mut u8) -> Option<NonNull<u8>> {
    NonNull::new(payload)
}
