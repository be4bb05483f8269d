//! The addresses that a heap ever touched, laid end to end and cut into cells.
//!
//! Pages that were never touched are left out; what lies far apart, such as the program's break and
//! its mappings, are separate regions. Memory is bounded: pages grow as they become many.

use rustc_hash::FxHashSet;
use serde::Serialize;

/// Most touched pages that are kept apart.
const PAGES: usize = 1 << 20;
/// Most regions.
const REGIONS: usize = 256;
/// The smallest cell.
const CELL_MIN: u64 = 16;

/// The pages that are touched while a trace is read.
pub(super) struct Touched {
    pages: FxHashSet<u64>,
    /// Binary logarithm of a page's bytes.
    shift: u32,
    last: u64,
}

impl Touched {
    pub(super) fn new() -> Touched {
        Touched {
            pages: FxHashSet::default(),
            shift: 12,
            last: u64::MAX,
        }
    }

    /// Notes a block.
    pub(super) fn add(&mut self, pointer: u64, size: u64) {
        let end = pointer.saturating_add(size.max(1) - 1);
        if pointer >> self.shift == self.last && end >> self.shift == self.last {
            return;
        }
        while (end >> self.shift) - (pointer >> self.shift) >= PAGES as u64 / 2
            || self.pages.len() >= PAGES
        {
            self.coarsen();
        }
        self.pages.extend(pointer >> self.shift..=end >> self.shift);
        self.last = end >> self.shift;
    }

    fn coarsen(&mut self) {
        self.shift += 1;
        self.pages = self.pages.iter().map(|page| page >> 1).collect();
        self.last = u64::MAX;
    }
}

/// A run of addresses, in cells of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Region {
    #[serde(serialize_with = "hexadecimal")]
    pub(super) start: u64,
    pub(super) bytes: u64,
    /// Its first cell, and how many it has.
    pub(super) cell: u64,
    pub(super) cells: u64,
    /// Its first page, counted over all regions.
    #[serde(skip)]
    page: u64,
}

/// JavaScript's numbers do not hold every address.
fn hexadecimal<S: serde::Serializer>(address: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{address:#x}"))
}

/// All regions.
pub(super) struct Space {
    pub(super) regions: Vec<Region>,
    /// Bytes of a cell.
    pub(super) cell_bytes: u64,
    pub(super) cells: usize,
    pub(super) page_shift: u32,
    pub(super) pages: usize,
}

impl Space {
    /// The space of the touched pages in about `cells` cells.
    pub(super) fn new(touched: Touched, cells: u64) -> Space {
        let shift = touched.shift;
        let mut pages: Vec<u64> = touched.pages.into_iter().collect();
        pages.sort_unstable();
        let mut gap = 64 << 10 >> shift.min(16);
        let mut runs: Vec<(u64, u64)>;
        loop {
            runs = Vec::new();
            for &page in &pages {
                match runs.last_mut() {
                    Some((_, end)) if page - *end <= gap => *end = page + 1,
                    _ => runs.push((page, page + 1)),
                }
            }
            if runs.len() <= REGIONS {
                break;
            }
            gap = gap * 2 + 1;
        }
        let bytes = |&(start, end): &(u64, u64)| (end - start) << shift;
        let total = |cell: u64| {
            runs.iter()
                .map(|run| bytes(run).div_ceil(cell))
                .sum::<u64>()
        };
        let all: u64 = runs.iter().map(bytes).sum();
        let mut cell_bytes = all
            .div_ceil(cells.max(1))
            .next_multiple_of(CELL_MIN)
            .max(CELL_MIN);
        while total(cell_bytes) > cells + REGIONS as u64 {
            cell_bytes += CELL_MIN;
        }
        let mut regions = Vec::with_capacity(runs.len());
        let (mut cell, mut page) = (0, 0);
        for run in &runs {
            let cells = bytes(run).div_ceil(cell_bytes);
            regions.push(Region {
                start: run.0 << shift,
                bytes: bytes(run),
                cell,
                cells,
                page,
            });
            cell += cells;
            page += run.1 - run.0;
        }
        Space {
            regions,
            cell_bytes,
            cells: cell as usize,
            page_shift: shift,
            pages: page as usize,
        }
    }

    fn region(&self, address: u64) -> Option<&Region> {
        let behind = self
            .regions
            .partition_point(|region| region.start <= address);
        let region = &self.regions[behind.checked_sub(1)?];
        (address - region.start < region.bytes).then_some(region)
    }

    /// Calls `f` with each cell that the bytes lie in, and how many of them do.
    pub(super) fn for_cells(&self, pointer: u64, size: u64, f: &mut impl FnMut(usize, u64)) {
        let Some(region) = self.region(pointer) else {
            return;
        };
        let mut at = pointer - region.start;
        let end = at.saturating_add(size).min(region.bytes);
        while at < end {
            let cell = at / self.cell_bytes;
            let next = ((cell + 1) * self.cell_bytes).min(end);
            f((region.cell + cell) as usize, next - at);
            at = next;
        }
    }

    /// The first and the last page of a block, counted over all regions.
    pub(super) fn pages_of(&self, pointer: u64, size: u64) -> Option<(usize, usize)> {
        let region = self.region(pointer)?;
        let at = pointer - region.start;
        let end = at.saturating_add(size.max(1) - 1).min(region.bytes - 1);
        let page = |offset: u64| (region.page + (offset >> self.page_shift)) as usize;
        Some((page(at), page(end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(blocks: &[(u64, u64)], cells: u64) -> Space {
        let mut touched = Touched::new();
        for &(pointer, size) in blocks {
            touched.add(pointer, size);
        }
        Space::new(touched, cells)
    }

    #[test]
    fn far_addresses_are_regions_of_their_own() {
        let space = space(&[(0x10_0000, 5000), (0x7f00_0000_0000, 100)], 64);
        assert_eq!(space.regions.len(), 2);
        assert_eq!(
            (space.regions[0].bytes, space.regions[1].bytes),
            (8192, 4096)
        );
        let mut cells = Vec::new();
        space.for_cells(0x10_0000 + 4000, 400, &mut |cell, bytes| {
            cells.push((cell, bytes))
        });
        assert_eq!(cells.iter().map(|&(_, bytes)| bytes).sum::<u64>(), 400);
        assert!(cells.len() >= 2 && cells.windows(2).all(|two| two[0].0 + 1 == two[1].0));
        assert_eq!(space.pages_of(0x10_0000 + 4000, 400), Some((0, 1)));
        assert_eq!(space.pages_of(0x7f00_0000_0000, 100), Some((2, 2)));
        space.for_cells(0x20_0000, 100, &mut |_, _| panic!("never touched"));
    }

    #[test]
    fn memory_is_bounded_whatever_the_addresses() {
        let mut touched = Touched::new();
        for n in 0..100_000u64 {
            touched.add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1 << (n % 46));
        }
        assert!(touched.pages.len() <= PAGES * 2);
        let space = Space::new(touched, 8192);
        assert!(space.regions.len() <= REGIONS && space.cells <= 8192 + REGIONS);
        space.for_cells(u64::MAX - 3, u64::MAX, &mut |cell, _| {
            assert!(cell < space.cells)
        });
    }
}
