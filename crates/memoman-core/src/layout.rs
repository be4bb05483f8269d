//! The layout of the control structure, of pools and of headers, as numbers: for programs that look
//! at a heap from outside, a debugger or another process.

use core::mem::offset_of;

use crate::block::{FREE, PREV_FREE, SENTINEL};
use crate::config::{BLOCK_MIN, HEADER, QUANTUM, SIZE_BITS, WORD};
use crate::control::Control;
use crate::pool::{FIRST, PoolHeader};

/// Offsets and sizes in bytes. Later versions add members at the end.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Bytes of this structure.
    pub bytes: u32,
    /// Bytes of a word.
    pub word: u32,
    /// Alignment of every payload.
    pub quantum: u32,
    /// Bytes of a block's header.
    pub header: u32,
    /// The smallest block.
    pub block_min: u32,
    /// Bits of a size; those above hold the seal.
    pub size_bits: u32,
    /// Header flags: free, previous block free, sentinel.
    pub flags: [u32; 3],
    /// Bytes of the fixed part; the bins' heads follow.
    pub control: u32,
    /// Offset of the lowest payload address.
    pub low: u32,
    /// Offset of the seal, which a header is XORed with.
    pub cookie: u32,
    /// Offset of the last bin's number.
    pub top_bin: u32,
    /// Offset of the largest block size; 0 after destruction.
    pub max_size: u32,
    /// Offset of the bytes in use.
    pub used: u32,
    /// Offset of the peak.
    pub peak: u32,
    /// Offset of the number of blocks in use.
    pub live_blocks: u32,
    /// Offset of the number of refused requests.
    pub failed_requests: u32,
    /// Offset of the first pool's address.
    pub first_pool: u32,
    /// Offset of the bytes of all pools.
    pub pool_bytes: u32,
    /// Offset of the pools' own bytes.
    pub overhead: u32,
    /// In a pool: the next pool, the previous one, the control structure, the region's end, and the
    /// payload of the first block.
    pub pool: [u32; 5],
}

/// This build's layout.
pub const LAYOUT: Layout = Layout {
    bytes: size_of::<Layout>() as u32,
    word: WORD as u32,
    quantum: QUANTUM as u32,
    header: HEADER as u32,
    block_min: BLOCK_MIN as u32,
    size_bits: SIZE_BITS,
    flags: [FREE as u32, PREV_FREE as u32, SENTINEL as u32],
    control: size_of::<Control>() as u32,
    low: offset_of!(Control, low) as u32,
    cookie: offset_of!(Control, cookie) as u32,
    top_bin: offset_of!(Control, top_bin) as u32,
    max_size: offset_of!(Control, max_size) as u32,
    used: offset_of!(Control, used) as u32,
    peak: offset_of!(Control, peak) as u32,
    live_blocks: offset_of!(Control, live_blocks) as u32,
    failed_requests: offset_of!(Control, failed_requests) as u32,
    first_pool: offset_of!(Control, first_pool) as u32,
    pool_bytes: offset_of!(Control, pool_bytes) as u32,
    overhead: offset_of!(Control, overhead) as u32,
    pool: [
        offset_of!(PoolHeader, next) as u32,
        offset_of!(PoolHeader, prev) as u32,
        offset_of!(PoolHeader, control) as u32,
        offset_of!(PoolHeader, end) as u32,
        FIRST as u32,
    ],
};
