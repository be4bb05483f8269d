//! Operations on pools: the present pools decide whether a range can be one.

use crate::arena;
use crate::ops::ARENA;
use crate::shadow::{Given, POOL_MIN, Shadow};
use memoman_core::config::{BLOCK_MIN, QUANTUM};

impl Shadow {
    fn overlaps_control(&self, start: usize, end: usize) -> bool {
        start < self.control.1 && self.control.0 < end
    }

    pub(crate) fn add_pool(&mut self, at: usize, bytes: usize) {
        let mem = self.arena.at(at);
        let given = Given {
            mem: mem.addr(),
            end: mem.addr() + bytes,
        };
        let (start, end) = given.bounds();
        let room = end.checked_sub(start).is_some_and(|room| room >= POOL_MIN);
        // No memory is given twice: a pool has its bytes up to its unrounded end.
        let overlaps = self.pools.values().any(|other| {
            let below = other.start() < start;
            if below {
                other.end > given.mem
            } else {
                other.start() < given.end
            }
        });
        let expected = room && !overlaps && !self.overlaps_control(given.mem, given.end);
        // SAFETY: the instance is live, the range lies in the arena.
        let pool = unsafe { self.tlsf.add_pool(mem, bytes) };
        assert_eq!(
            pool.is_some(),
            expected,
            "add_pool of {bytes} bytes at {at}"
        );
        match pool {
            Some(pool) => {
                assert_eq!(pool.as_raw().addr(), start);
                self.pools.insert(start, given);
            }
            None => self.assert_unchanged(0),
        }
    }

    pub(crate) fn extend_pool(&mut self, pool: usize, more: usize) {
        let Some(given) = self.nth_pool(pool) else {
            return;
        };
        // Memory beyond the arena cannot be given, except ranges that every call must refuse.
        let room = self.arena.at(ARENA).addr() - given.end;
        let more = if given.end.checked_add(more).is_none() {
            more
        } else {
            more.min(room)
        };
        let (start, end) = given.bounds();
        let expected = given.end.checked_add(more).is_some_and(|new_end| {
            let next = self.pools.range(start + 1..).next();
            let grown = (new_end & !(QUANTUM - 1)) - end;
            let blocks = arena::walk(self.tlsf);
            let last = blocks.iter().rfind(|block| block.addr < end).unwrap();
            let least = if last.used { BLOCK_MIN } else { QUANTUM };
            next.is_none_or(|(&next, _)| next >= new_end)
                && !self.overlaps_control(given.end, new_end)
                && grown >= least
        });
        // SAFETY: the instance and its pool are live, and the bytes after it lie in the arena.
        let extended = unsafe {
            let pool = self.tlsf.pool_of(self.arena.at(self.arena.offset(start)));
            self.tlsf.extend_pool(pool.unwrap(), more)
        };
        assert_eq!(extended, expected, "extend_pool by {more}");
        if extended {
            self.pools.get_mut(&start).unwrap().end += more;
        } else {
            self.assert_unchanged(0);
        }
    }

    pub(crate) fn remove_pool(&mut self, pool: usize, off: usize) {
        let Some(given) = self.nth_pool(pool) else {
            return;
        };
        let address = given.mem + off;
        let (start, end) = given.bounds();
        let named = address.next_multiple_of(QUANTUM) == start;
        let used = self.live.range(start..end).next().is_some();
        // Another pool may begin at the pointer.
        if !named && self.pools.contains_key(&address.next_multiple_of(QUANTUM)) {
            return;
        }
        // SAFETY: the instance is live, all memory between its pools lies in the arena.
        let removed = unsafe { self.tlsf.remove_pool(self.arena.at(0).with_addr(address)) };
        assert_eq!(removed, named && !used, "remove_pool");
        if removed {
            self.pools.remove(&start);
            // SAFETY: the instance is live, and the memory, no pool any more, lies in the arena.
            assert!(!unsafe { self.tlsf.remove_pool(self.arena.at(0).with_addr(address)) });
        } else {
            self.assert_unchanged(0);
        }
    }
}
