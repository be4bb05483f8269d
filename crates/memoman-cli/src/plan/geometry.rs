//! The arithmetic of memoman's blocks, for a word size that need not be this machine's. A test
//! compares it with the core's own functions, and with the tables of `docs/book/sizes.md`.

/// Binary logarithm of the bins of a power of two.
const SL_LOG2: u32 = 5;

/// The sizes of a target: those of a machine with words of `word` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Bytes of a word, and of a block's header.
    pub(crate) word: u64,
}

impl Geometry {
    pub(crate) const fn new(bits: u32) -> Geometry {
        Geometry {
            word: bits as u64 / 8,
        }
    }

    /// Alignment of every payload and step of every block size.
    pub(crate) const fn quantum(self) -> u64 {
        2 * self.word
    }

    /// The smallest block: a remainder of one quantum stays with its block.
    pub(crate) const fn block_min(self) -> u64 {
        2 * self.quantum()
    }

    /// Bytes of a pool that belong to no block.
    pub(crate) const fn pool_cost(self) -> u64 {
        6 * self.word
    }

    /// Blocks below this have one bin a size.
    const fn linear_below(self) -> u64 {
        self.quantum() << (SL_LOG2 + 1)
    }

    /// The largest request that the tool plans for: no sum of these wraps.
    pub(crate) const fn max_request(self) -> u64 {
        if self.word == 8 { 1 << 46 } else { 1 << 30 }
    }

    /// Bytes of a block for a request, header included.
    pub(crate) fn block_size_for(self, request: u64) -> u64 {
        (request + self.word)
            .next_multiple_of(self.quantum())
            .max(self.block_min())
    }

    /// Width of the bin of this size.
    fn step(self, size: u64) -> u64 {
        if size < self.linear_below() {
            self.quantum()
        } else {
            (1 << size.ilog2()) >> SL_LOG2
        }
    }

    /// Where a block for `size` bytes is cut: at the size, or from two bin rows above the linear
    /// ones on, at the upper edge of its bin.
    pub(crate) fn cut(self, size: u64) -> u64 {
        if size < 2 * self.linear_below() {
            size
        } else {
            size.next_multiple_of(self.step(size))
        }
    }

    /// The block that serves a request, header included, when there is room to cut it.
    pub(crate) fn block(self, request: u64) -> u64 {
        self.cut(self.block_size_for(request))
    }

    /// The lowest size of the bin of `size`, and the lowest of the next bin.
    pub(crate) fn bin(self, size: u64) -> (u64, u64) {
        let step = self.step(size);
        let low = size - size % step;
        (low, low + step)
    }

    /// The largest free block, a multiple of `divisor`, that a refused search for `size` bytes can
    /// have left where every block is a multiple of `divisor`: each larger one would have been
    /// found. The search reads the head of the own bin, which may be too small while another block
    /// of that bin is large enough.
    pub(crate) fn largest_missed(self, size: u64, divisor: u64) -> u64 {
        let (low, high) = self.bin(size);
        let too_small = low.next_multiple_of(divisor) < size;
        let below = if too_small { high } else { size };
        (below - 1) / divisor * divisor
    }

    /// Bytes to search for an aligned block: the gap before it is at most `align` and a quantum.
    pub(crate) fn padded(self, request: u64, align: u64) -> u64 {
        let size = self.block_size_for(request);
        if align <= self.quantum() {
            size
        } else {
            size + align + self.quantum()
        }
    }

    /// Bytes of the control structure for requests up to `max_block`: the fixed words, the bitmap,
    /// a head for each bin; in whole quanta.
    pub(crate) fn control(self, max_block: u64) -> u64 {
        let (size_bits, quantum_log2) = if self.word == 8 { (48, 4) } else { (32, 3) };
        let linear_log2 = quantum_log2 + SL_LOG2 + 1;
        let bitmap = u64::from((size_bits - linear_log2 + 2) << SL_LOG2).div_ceil(8 * self.word);
        let size = self.block_size_for(max_block);
        let bin = self.floor_bin(size + self.step(size) - 1);
        let bins = (bin + 1).max(self.linear_below() / self.quantum() + 1);
        ((29 + bitmap + bins) * self.word).next_multiple_of(self.quantum())
    }

    fn floor_bin(self, size: u64) -> u64 {
        if size < self.linear_below() {
            return size / self.quantum();
        }
        let row = size.ilog2() - self.linear_below().ilog2();
        let in_row = (size >> (size.ilog2() - SL_LOG2)) - (1 << SL_LOG2);
        (u64::from(row + 2) << SL_LOG2) + in_row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memoman_core::{Tlsf, size_class};

    #[test]
    fn equals_the_core() {
        let geometry = Geometry::new(64);
        let sizes = (1..200_000u64).chain((0..4000).map(|n| 200_000 + n * n * 37));
        for request in sizes {
            let size = size_class::block_size_for(request as usize);
            assert_eq!(geometry.block_size_for(request), size as u64, "{request}");
            assert_eq!(
                geometry.cut(size as u64),
                size_class::cut_size(size) as u64,
                "{request}"
            );
            let bin = size_class::floor_bin(size);
            let edges = (
                size_class::bin_floor_size(bin) as u64,
                size_class::bin_floor_size(bin + 1) as u64,
            );
            assert_eq!(geometry.bin(size as u64), edges, "{request}");
            let control = Tlsf::control_size(request as usize) as u64;
            assert_eq!(geometry.control(request), control, "{request}");
        }
        let cost = (Tlsf::POOL_OVERHEAD - Tlsf::ALLOC_OVERHEAD) as u64;
        assert_eq!(geometry.pool_cost(), cost);
    }

    /// The book's tables are measured on the libraries of both word sizes.
    #[test]
    fn equals_the_measured_tables() {
        let page = include_str!("../../../../docs/book/sizes.md");
        for bits in [64, 32] {
            let geometry = Geometry::new(bits);
            let (_, rest) = page.split_once(&format!("<!-- tables {bits} -->")).unwrap();
            let (tables, _) = rest.split_once("<!-- end -->").unwrap();
            let mut rows = 0;
            for line in tables.lines() {
                let cells: Vec<u64> = line
                    .split('|')
                    .filter_map(|cell| {
                        let (number, scale) = match cell.trim() {
                            cell if cell.ends_with(" KiB") => (&cell[..cell.len() - 4], 1 << 10),
                            cell if cell.ends_with(" MiB") => (&cell[..cell.len() - 4], 1 << 20),
                            cell => (cell, 1),
                        };
                        number.parse::<u64>().ok().map(|number| number * scale)
                    })
                    .collect();
                match cells[..] {
                    [largest, control] => assert_eq!(geometry.control(largest), control),
                    [request, block, pool] => {
                        assert_eq!(geometry.block(request), block, "{request}");
                        // The table's figure for blocks cut at a bin's edge is below n blocks: the
                        // last one may be short.
                        assert!(geometry.pool_cost() + 100 * block >= pool, "{request}");
                    }
                    _ => continue,
                }
                rows += 1;
            }
            assert_eq!(rows, 15);
        }
    }

    /// Below 1 KiB a bin has one size; above, a free block of a size that would do can be missed.
    #[test]
    fn the_largest_missed_block() {
        let geometry = Geometry::new(64);
        assert_eq!(geometry.largest_missed(112, 16), 96);
        assert_eq!(geometry.largest_missed(1024, 16), 1008);
        assert_eq!(geometry.largest_missed(1040, 16), 1040);
        assert_eq!(geometry.largest_missed(2064, 16), 2096);
        assert_eq!(geometry.largest_missed(2112, 16), 2096);
        assert_eq!(geometry.largest_missed(1040, 208), 832);
        assert_eq!(geometry.largest_missed(96, 32), 64);
    }
}
