//! Streams: each thread has one to itself, and the next thread goes on with it.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering, compiler_fence};

use memoman_trace_format::layout::{RECORD_MAX, chunk, op};

use super::lane::Lane;
use super::number::put_number;
use super::stack::Stacks;
use super::thread::Thread;
use super::{clock, file, process, settings};

/// What a thread writes to. Never freed: other threads reuse it.
pub(crate) struct Stream {
    /// Lane 1 takes what interrupts a record in lane 0.
    pub(crate) lanes: [Lane; 2],
    pub(crate) stacks: Stacks,
    number: u32,
    owned: AtomicU32,
    next: *mut Stream,
}

/// All streams, the newest first.
static STREAMS: AtomicPtr<Stream> = AtomicPtr::new(ptr::null_mut());
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Streams without an owner.
static FREE: AtomicU32 = AtomicU32::new(0);

const FIRST: usize = 1 << 14;
/// Near the processor's caches: a thread's records stay in them.
const LARGEST: usize = 1 << 16;
/// A record without a stack, and a change of thread, are shorter.
const SHORT: usize = 128;

/// Gives the thread a stream.
#[cold]
pub(crate) fn acquire(thread: &mut Thread) -> *mut Stream {
    // A handler would find a stream whose records are still those of another thread.
    let signals = process::Signals::block();
    let stream = reuse().unwrap_or_else(create);
    thread.stream = stream;
    if !stream.is_null() {
        // SAFETY: the stream is the thread's own; lanes and stacks are different fields.
        let lanes = unsafe {
            (*stream).stacks.enter();
            &mut (*stream).lanes
        };
        for lane in lanes.iter_mut() {
            // A full lane begins a chunk with its next record, and the chunk with the thread.
            if !lane.base.is_null() && lane.at <= lane.last_start {
                write_thread(lane, thread.number);
            }
        }
    }
    signals.restore();
    if !stream.is_null() {
        process::watch(thread);
    }
    stream
}

/// A stream that a thread has left.
fn reuse() -> Option<*mut Stream> {
    if FREE.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let mut stream = STREAMS.load(Ordering::Acquire);
    while !stream.is_null() {
        // SAFETY: streams are never freed.
        let owned = unsafe { &(*stream).owned };
        if owned.load(Ordering::Relaxed) == 0
            && owned
                .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        {
            FREE.fetch_sub(1, Ordering::Relaxed);
            return Some(stream);
        }
        // SAFETY: as above.
        stream = unsafe { (*stream).next };
    }
    None
}

/// A new stream, null without memory.
fn create() -> *mut Stream {
    // SAFETY: a new mapping; zeros are a valid stream but for its number.
    unsafe {
        let mapped = libc::mmap(
            ptr::null_mut(),
            size_of::<Stream>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if mapped == libc::MAP_FAILED {
            return ptr::null_mut();
        }
        let stream: *mut Stream = mapped.cast();
        (*stream).number = COUNT.fetch_add(1, Ordering::Relaxed);
        (*stream).owned = AtomicU32::new(1);
        let mut first = STREAMS.load(Ordering::Relaxed);
        loop {
            (*stream).next = first;
            match STREAMS.compare_exchange_weak(first, stream, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return stream,
                Err(now) => first = now,
            }
        }
    }
}

/// The thread ends: another one may go on with its stream.
pub(crate) fn release(thread: &mut Thread) {
    let stream = core::mem::replace(&mut thread.stream, ptr::null_mut());
    if stream.is_null() {
        return;
    }
    // SAFETY: the stream was the thread's own.
    unsafe {
        for lane in &mut (*stream).lanes {
            if !lane.base.is_null() {
                // A cancelled thread may have left a part of a record behind.
                let room = lane.base.add(lane.bytes).offset_from(lane.at) as usize;
                lane.at.write_bytes(0, room.min(RECORD_MAX));
            }
        }
        (*stream).owned.store(0, Ordering::Release);
    }
    FREE.fetch_add(1, Ordering::Relaxed);
}

/// In the child of a fork: the chunks are the parent's, the streams are free.
///
/// # Safety
/// No other thread runs.
pub(crate) unsafe fn forget_all() {
    let mut stream = STREAMS.load(Ordering::Acquire);
    let mut count = 0;
    while !stream.is_null() {
        // SAFETY: streams are never freed, and no other thread uses one (the caller's duty).
        unsafe {
            for lane in &mut (*stream).lanes {
                if !lane.base.is_null() {
                    file::unmap(lane.base, lane.bytes);
                }
                *lane = Lane {
                    at: ptr::null_mut(),
                    last_start: ptr::null_mut(),
                    ticks: 0,
                    pointer: 0,
                    base: ptr::null_mut(),
                    bytes: 0,
                    sequence: 0,
                };
            }
            (*stream).stacks.forget();
            (*stream).owned.store(0, Ordering::Relaxed);
            stream = (*stream).next;
        }
        count += 1;
    }
    FREE.store(count, Ordering::Relaxed);
}

/// Makes room for a record in a lane of the thread's stream: the lane, or `None` when the recording
/// is cut.
#[cold]
pub(crate) fn make_room(thread: &mut Thread, number: usize) -> Option<&'static mut Lane> {
    let mut stream = thread.stream;
    if stream.is_null() {
        stream = acquire(thread);
        if stream.is_null() {
            process::cut(memoman_trace_format::layout::cut::NO_MEMORY, libc::ENOMEM);
            return None;
        }
    }
    // SAFETY: the stream is the thread's own; a signal handler uses the other lane.
    let (lane, own) = unsafe { (&mut (*stream).lanes[number], (*stream).number) };
    if lane.at <= lane.last_start && !lane.at.is_null() {
        return Some(lane);
    }
    // A handler that leaves by `siglongjmp` would leave a part of this done.
    let signals = process::Signals::block();
    let begun = begin_chunk(lane, own, number, thread.number);
    signals.restore();
    if let Err((why, error)) = begun {
        process::cut(why, error);
        return None;
    }
    Some(lane)
}

/// Begins the lane's next chunk; or says why not. A lane's mapping grows to [`LARGEST`] bytes and
/// then stays: a full one is copied to the end of the file and used again, since a write costs the
/// kernel a fifth of what new shared pages do.
fn begin_chunk(lane: &mut Lane, stream: u32, number: usize, thread: u32) -> Result<(), (u32, i32)> {
    if lane.bytes == LARGEST {
        // SAFETY: the lane's own mapping, of so many bytes.
        unsafe { file::append(lane.base, lane.bytes)? };
        // SAFETY: as above. The chunk keeps its sequence number, which the copy has too: readers
        // take the copy.
        unsafe {
            lane.base
                .add(chunk::HEAD)
                .write_bytes(0, lane.bytes - chunk::HEAD)
        };
    } else {
        map_chunk(lane)?;
    }
    let reserve = if settings::stacks() > 0 {
        RECORD_MAX + SHORT
    } else {
        2 * SHORT
    };
    let (ticks, ns) = clock::both();
    lane.ticks = ticks;
    lane.pointer = 0;
    let base = lane.base;
    // SAFETY: the lane's own mapping, whose records are zeros. What makes it a chunk, or the next
    // one, comes last.
    unsafe {
        let put = |at: usize, value: u64| base.add(at).cast::<u64>().write_volatile(value);
        let half = |at: usize, value: u32| base.add(at).cast::<u32>().write_volatile(value);
        put(chunk::BYTES, lane.bytes as u64);
        put(chunk::TICKS, ticks);
        put(chunk::NS, ns);
        half(chunk::STREAM, stream);
        half(chunk::LANE, number as u32);
        half(chunk::KIND, chunk::EVENTS);
        put(chunk::SEQUENCE, lane.sequence);
        half(0, chunk::MAGIC);
        lane.at = base.add(chunk::HEAD);
        lane.last_start = base.add(lane.bytes - reserve);
    }
    lane.sequence += 1;
    write_thread(lane, thread);
    Ok(())
}

/// Leaves the lane's mapping, if it has one, for the next larger one.
fn map_chunk(lane: &mut Lane) -> Result<(), (u32, i32)> {
    let bytes = match lane.bytes {
        0 => FIRST,
        before => (before * 4).min(LARGEST),
    };
    if !lane.base.is_null() {
        // SAFETY: the thread's own mapping, which is left here.
        unsafe { file::unmap(lane.base, lane.bytes) };
        (lane.at, lane.base, lane.bytes) = (ptr::null_mut(), ptr::null_mut(), 0);
    }
    lane.base = file::map(bytes)?;
    lane.bytes = bytes;
    Ok(())
}

/// The records that follow are the thread's.
fn write_thread(lane: &mut Lane, thread: u32) {
    // SAFETY: no precondition.
    let system = unsafe { libc::gettid() } as u64;
    // SAFETY: a lane has room for a change of thread behind its last start of a record.
    unsafe {
        let at = put_number(lane.at.add(1), u64::from(thread));
        let at = put_number(at, system);
        compiler_fence(Ordering::Release);
        lane.at.write(op::PRESENT | op::THREAD);
        lane.at = at;
    }
}
