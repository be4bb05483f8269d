//! What the debug layer finds, and what it knows about the block.

use core::ffi::CStr;

use memoman_core::{Misuse, Pool};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the release library finds as well.
    Core(Misuse),
    /// The guard before a block is overwritten.
    Underflow,
    /// The guard behind a block is overwritten.
    Overflow,
    /// A block in quarantine has lost its fill.
    WriteAfterFree,
    /// The record before a block is overwritten: a far underflow, or a stray write.
    Record,
    /// Validation met a broken invariant of the core.
    Broken(memoman_core::Invariant),
}

/// What is known about a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What the program was given.
    pub payload: *const u8,
    /// Requested size.
    pub size: usize,
    /// Which allocation of the instance it was, from 1.
    pub number: usize,
    /// Return address of the allocating call; 0: unknown.
    pub allocated: usize,
    /// Return address of the freeing call; 0: unknown, or not freed.
    pub freed: usize,
    /// It has been freed.
    pub is_freed: bool,
}

/// Misuse, as far as the records show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: Kind,
    /// The pointer at which it shows; the block's, when a block is at fault.
    pub address: *const u8,
    /// The first overwritten byte; null when no byte can be named.
    pub place: *const u8,
    /// The block.
    pub block: Option<Known>,
}

impl Fault {
    pub(crate) fn new(kind: Kind, address: *const u8, block: Option<Known>) -> Fault {
        Fault {
            kind,
            address,
            place: core::ptr::null(),
            block,
        }
    }

    /// Where it shows; `other` when that is not known.
    pub fn address_or(self, other: *const u8) -> *const u8 {
        if self.address.is_null() {
            other
        } else {
            self.address
        }
    }

    /// The fixed message that the error handler is given.
    pub const fn message(self) -> &'static CStr {
        match self.kind {
            Kind::Core(misuse) => misuse.message(),
            Kind::Underflow => c"write before the block (underflow)",
            Kind::Overflow => c"write behind the block (overflow)",
            Kind::WriteAfterFree => c"write after free",
            Kind::Record => c"debug record before the block overwritten",
            Kind::Broken(invariant) => invariant.name(),
        }
    }
}

/// Why an allocating call gives no block: the core's reasons, with more about misuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No block is large enough.
    Exhausted,
    /// A size of zero or an alignment that is no power of two.
    Invalid,
    /// The call found misuse; the address is that of the fault.
    Misuse(Fault, *const u8),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Misuse(fault, fault.address)
    }
}

/// The invariants by number: the core's, and the debug layer's own from 9 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// 1 to 8.
    Core(memoman_core::Invariant),
    /// The guards of a block hold.
    Guard,
    /// A block in quarantine has its fill.
    Fill,
    /// A block's record is as it was written.
    Record,
}

impl Invariant {
    /// 1 to 8 as in the release library; 9 to 11.
    pub const fn number(self) -> u8 {
        match self {
            Invariant::Core(invariant) => invariant.number(),
            Invariant::Guard => 9,
            Invariant::Fill => 10,
            Invariant::Record => 11,
        }
    }

    /// What is broken, in a few words.
    pub const fn name(self) -> &'static CStr {
        match self {
            Invariant::Core(invariant) => invariant.name(),
            Invariant::Guard => c"D1: guard of a block overwritten",
            Invariant::Fill => c"D2: freed block written to",
            Invariant::Record => c"D3: debug record of a block overwritten",
        }
    }
}

/// The first broken invariant that validation met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: Invariant,
    /// Where it shows.
    pub address: *const u8,
    /// The pool in which it shows, if it does in one.
    pub pool: Option<Pool>,
    /// The same as misuse.
    pub fault: Fault,
}

impl From<memoman_core::Violation> for Violation {
    fn from(found: memoman_core::Violation) -> Violation {
        Violation {
            invariant: Invariant::Core(found.invariant),
            address: found.address,
            pool: found.pool,
            fault: Fault::new(Kind::Broken(found.invariant), found.address, None),
        }
    }
}

impl Violation {
    pub(crate) fn of(fault: Fault, pool: Pool) -> Violation {
        Violation {
            invariant: match fault.kind {
                Kind::Underflow | Kind::Overflow => Invariant::Guard,
                Kind::WriteAfterFree => Invariant::Fill,
                _ => Invariant::Record,
            },
            address: fault.address,
            pool: Some(pool),
            fault,
        }
    }
}

/// What one step of validation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sound so far.
    More,
    /// Sound, and all has been seen.
    Sound,
    /// Broken.
    Broken(Violation),
}
