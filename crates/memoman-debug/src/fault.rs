//! Faults that the debug layer finds, and the data of the block.

use core::ffi::CStr;

use memoman_core::{Misuse, Pool};

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Misuse that the release library finds too.
    Core(Misuse),
    /// The guard before a block is overwritten.
    Underflow,
    /// The guard after a block is overwritten.
    Overflow,
    /// The fill or a guard of a block in quarantine is overwritten.
    WriteAfterFree,
    /// The record before a block is overwritten: a far underflow, or a stray write.
    Record,
    /// A function frees a block that one of another family allocated; its message names both.
    Family(&'static CStr),
    /// The freeing call passes another size than was requested.
    Size,
    /// The freeing call passes another alignment than was requested.
    Alignment,
    /// Validation found a broken invariant of the core.
    Broken(memoman_core::Invariant),
}

/// A block's data, from its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The address that the program has.
    pub payload: *const u8,
    /// Requested size in bytes.
    pub size: usize,
    /// The allocation's number in the instance, from 1; 0: unknown.
    pub number: usize,
    /// Return address of the allocating call; 0: unknown.
    pub allocated: usize,
    /// Return address of the freeing call; 0: unknown, or not freed.
    pub freed: usize,
    /// The block has been freed.
    pub is_freed: bool,
    /// The number of further return addresses of each of the two calls.
    pub frames: usize,
    /// Those of the allocating call, then those of the freeing one; not aligned. They lie in the
    /// block, and are valid as long as it is.
    pub stacks: *const usize,
}

/// Misuse that the records and headers detect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub kind: Kind,
    /// The address of the fault; the block's payload, if a block is at fault.
    pub address: *const u8,
    /// The first overwritten byte; null when none can be named.
    pub place: *const u8,
    /// The block at fault, if known.
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

    /// The address of the fault; `other` when that is not known.
    pub fn address_or(self, other: *const u8) -> *const u8 {
        if self.address.is_null() {
            other
        } else {
            self.address
        }
    }

    /// The fixed message for the error handler.
    pub const fn message(self) -> &'static CStr {
        match self.kind {
            Kind::Core(misuse) => misuse.message(),
            Kind::Underflow => c"write before the block (underflow)",
            Kind::Overflow => c"write past the end of the block (overflow)",
            Kind::WriteAfterFree => c"write after free",
            Kind::Record => c"debug record before the block overwritten",
            Kind::Family(message) => message,
            Kind::Size => c"freed with another size than requested",
            Kind::Alignment => c"freed with another alignment than requested",
            Kind::Broken(invariant) => invariant.name(),
        }
    }
}

/// Why an allocating call returns no block: the core's `Refusal`, with a [`Fault`] as misuse.
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

/// The invariants: the core's, and the debug layer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// I1 to I8.
    Core(memoman_core::Invariant),
    /// D1: both guards of a block are intact.
    Guard,
    /// D2: a block in quarantine has its fill and guards.
    Fill,
    /// D3: a block's record matches its hash.
    Record,
}

impl Invariant {
    /// 1 to 8 for I1 to I8; 9 to 11 for D1 to D3.
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

/// The first broken invariant that validation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The broken invariant.
    pub invariant: Invariant,
    /// The address of the fault.
    pub address: *const u8,
    /// The pool that contains the fault, if any.
    pub pool: Option<Pool>,
    /// The violation as a fault.
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

/// The result of one step of validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sound so far.
    More,
    /// Sound, and the whole heap has been covered.
    Sound,
    /// Broken.
    Broken(Violation),
}
