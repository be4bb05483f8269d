//! How a frame leads to its caller's, by the tables that compilers write for exceptions
//! (`.eh_frame`): looked up once for each return address, then remembered. No lock is taken:
//! `_dl_find_object` (glibc 2.35) has none.

use core::ffi::{c_int, c_void};
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, NativeEndian, Pointer, Register,
    RegisterRule, UnwindContext, UnwindContextStorage, UnwindSection, UnwindTableRow, X86_64,
};

/// What stands between a frame and its caller's.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Rule {
    pc: usize,
    /// From the stack pointer to the caller's; from the frame pointer with [`BY_FRAME`] set.
    /// [`END`] or [`OTHER`] for no rule: a real one is not below 8.
    distance: i32,
    /// From the caller's stack pointer to the saved frame pointer; 0 when it is not saved.
    saved: i32,
}

const BY_FRAME: i32 = 1;
const END: i32 = 0;
const OTHER: i32 = 2;

/// Where a rule leads.
pub(crate) enum Step {
    /// The distance from the frame pointer, or else from the stack pointer, to the caller's stack
    /// pointer; and from there to the saved frame pointer, if it is saved.
    Caller(bool, usize, Option<isize>),
    /// There is no caller.
    End,
    /// The rule is of another kind: a signal handler's, or code without tables.
    Unknown,
}

impl Rule {
    #[inline(always)]
    pub(crate) fn step(self) -> Step {
        match self.distance {
            END => Step::End,
            OTHER => Step::Unknown,
            distance => Step::Caller(
                distance & BY_FRAME != 0,
                (distance & !BY_FRAME) as usize,
                (self.saved != 0).then_some(self.saved as isize),
            ),
        }
    }
}

/// The rules that were looked up: pairs of places, by a hash of the return address.
pub(crate) struct Rules {
    table: *mut [Rule; 2],
    /// [`UNLOADED`] and [`CLOSED`] together when they were learnt.
    unloaded: u64,
}

const PAIRS: usize = 1 << 12;
/// The least page of the system.
const PAGE: usize = 4096;

/// How many files the dynamic linker had unloaded when a thread last looked: rules of what has lain
/// at their addresses mean nothing any more.
pub(crate) static UNLOADED: AtomicU64 = AtomicU64::new(0);
/// How often the program has called `dlclose`, which no look finds too late.
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// The program may have unloaded a file.
pub(crate) fn closed() {
    CLOSED.fetch_add(1, Ordering::Release);
}

impl Rules {
    /// Forgets the rules if files were unloaded since they were learnt; true if so.
    #[inline(always)]
    pub(crate) fn refresh(&mut self) -> bool {
        let closed = CLOSED.load(Ordering::Relaxed);
        let unloaded = UNLOADED.load(Ordering::Relaxed).wrapping_add(closed);
        let stale = unloaded != self.unloaded;
        if stale {
            self.unloaded = unloaded;
            self.clear();
        }
        stale
    }

    #[cold]
    fn clear(&mut self) {
        if !self.table.is_null() {
            // SAFETY: this stream's own table, of PAIRS pairs; zeros are one without rules.
            unsafe { self.table.write_bytes(0, PAIRS) };
        }
    }

    /// The rule of a return address.
    #[inline(always)]
    pub(crate) fn find(&mut self, pc: usize) -> Rule {
        if self.table.is_null() && !self.create() {
            return Rule::none(pc, OTHER);
        }
        let hash = (pc as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (hash >> (64 - PAIRS.trailing_zeros())) as usize;
        // SAFETY: `at` is below PAIRS, and the table is this stream's own.
        let pair = unsafe { &mut *self.table.add(at) };
        if pair[0].pc == pc {
            return pair[0];
        }
        if pair[1].pc == pc {
            return pair[1];
        }
        pair[1] = pair[0];
        pair[0] = look_up(pc);
        pair[0]
    }

    #[cold]
    #[inline(never)]
    fn create(&mut self) -> bool {
        // SAFETY: a new mapping; zeros are the rules of no address.
        let mapped = unsafe {
            libc::mmap(
                ptr::null_mut(),
                PAIRS * size_of::<[Rule; 2]>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if mapped == libc::MAP_FAILED {
            return false;
        }
        self.table = mapped.cast();
        true
    }
}

/// glibc's `struct dl_find_object`.
#[repr(C)]
struct Object {
    flags: u64,
    start: usize,
    end: usize,
    link_map: *const usize,
    eh_frame_hdr: usize,
    reserved: [u64; 8],
}

type FindObject = unsafe extern "C" fn(*mut c_void, *mut Object) -> c_int;

static FIND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Once in a program: glibc's `_dl_find_object`, or null.
pub(crate) fn prepare(find: *mut c_void) {
    FIND.store(find, Ordering::Relaxed);
}

/// Whether rules can be looked up.
#[inline(always)]
pub(crate) fn are_there() -> bool {
    !FIND.load(Ordering::Relaxed).is_null()
}

/// Room for the rules of a row: gimli's own would take 18 KiB of the stack, more than a signal
/// handler's may have. What does not fit is unknown.
struct Small;

impl UnwindContextStorage<usize> for Small {
    type Rules = [(Register, RegisterRule<usize>); 20];
    type Stack = [UnwindTableRow<usize, Small>; 2];
}

impl Rule {
    const fn none(pc: usize, distance: i32) -> Rule {
        Rule {
            pc,
            distance,
            saved: 0,
        }
    }
}

#[cold]
#[inline(never)]
fn look_up(pc: usize) -> Rule {
    let (distance, saved) = read(pc).unwrap_or((OTHER, 0));
    Rule {
        pc,
        distance,
        saved,
    }
}

/// Distance and place of the rule for a return address: the call lies before it.
fn read(pc: usize) -> Option<(i32, i32)> {
    let address = pc.checked_sub(1)?;
    // SAFETY: zeros are valid; the function's type is glibc's, and it writes to the object.
    let object = unsafe {
        let find = FIND.load(Ordering::Relaxed);
        let mut object: Object = mem::zeroed();
        if find.is_null() {
            return None;
        }
        let find: FindObject = mem::transmute(find);
        if find(ptr::without_provenance_mut(address), &mut object) != 0 {
            return None;
        }
        object
    };
    if object.eh_frame_hdr == 0 {
        return None;
    }
    let section = |start: usize| {
        let end = segment_end(&object, start)?;
        // SAFETY: the bytes lie in one segment, which is mapped while its code runs.
        let bytes = unsafe {
            core::slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(start), end - start)
        };
        Some(EndianSlice::new(bytes, NativeEndian))
    };
    let bases = BaseAddresses::default().set_eh_frame_hdr(object.eh_frame_hdr as u64);
    let header = EhFrameHdr::from(section(object.eh_frame_hdr)?);
    let header = header.parse(&bases, size_of::<usize>() as u8).ok()?;
    let Pointer::Direct(start) = header.eh_frame_ptr() else {
        return None;
    };
    let bases = bases.set_eh_frame(start);
    let frames = EhFrame::from(section(start as usize)?);
    let entry = header
        .table()?
        .fde_for_address(&frames, &bases, address as u64, EhFrame::cie_from_offset)
        .ok()?;
    if entry.is_signal_trampoline() {
        return None;
    }
    let mut context = UnwindContext::<usize, Small>::new_in();
    let row = entry
        .unwind_info_for_address(&frames, &bases, &mut context, address as u64)
        .ok()?;
    match row.register(X86_64::RA) {
        RegisterRule::Offset(-8) => {}
        RegisterRule::Undefined => return Some((END, 0)),
        _ => return None,
    }
    let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
        return None;
    };
    let by_frame = match register {
        X86_64::RSP => 0,
        X86_64::RBP => BY_FRAME,
        _ => return None,
    };
    let saved = match row.register(X86_64::RBP) {
        RegisterRule::Undefined | RegisterRule::SameValue => 0,
        RegisterRule::Offset(offset) => i32::try_from(offset).ok().filter(|&at| at < -8)?,
        _ => return None,
    };
    let distance = i32::try_from(offset).ok()?;
    (distance >= 8 && distance % 8 == 0 && saved % 8 == 0).then_some((distance | by_frame, saved))
}

/// The end of the object's segment that an address lies in.
fn segment_end(object: &Object, address: usize) -> Option<usize> {
    if address < object.start || object.end <= address {
        return None;
    }
    // SAFETY: an object begins with its ELF header, and the program headers lie in the same
    // segment; the link map begins with the object's bias.
    unsafe {
        let header = &*ptr::with_exposed_provenance::<libc::Elf64_Ehdr>(object.start);
        if header.e_ident[..4] != *b"\x7fELF" {
            return None;
        }
        // The dynamic linker takes the headers from the file, wherever they lie: only a table in
        // the first page is in memory for certain.
        let table = usize::from(header.e_phnum) * size_of::<libc::Elf64_Phdr>();
        if (header.e_phoff as usize).checked_add(table)? > PAGE {
            return None;
        }
        let bias = *object.link_map;
        let first = object.start + header.e_phoff as usize;
        let segments = core::slice::from_raw_parts(
            ptr::with_exposed_provenance::<libc::Elf64_Phdr>(first),
            usize::from(header.e_phnum),
        );
        segments
            .iter()
            .filter(|part| part.p_type == libc::PT_LOAD)
            .map(|part| bias.wrapping_add(part.p_vaddr as usize)..part.p_filesz as usize)
            .map(|part| part.start..part.start.saturating_add(part.end))
            .find(|part| part.contains(&address))
            .map(|part| part.end)
    }
}
