//! Every sequence of operations up to a length, on a pool that a few blocks fill (group L).

mod support;

use memoman_core::Tlsf;
use std::ptr::NonNull;
use support::{Instance, Region, assert_sound};

const SIZES: [usize; 4] = [16, 24, 32, 48];
const LENGTH: usize = 6;

struct Search<'a> {
    tlsf: Tlsf,
    pool: &'a Region,
    control_bytes: usize,
    live: Vec<NonNull<u8>>,
    states: usize,
}

impl Search<'_> {
    fn image(&self) -> (Vec<u8>, Vec<u8>) {
        // SAFETY: the control structure's bytes are initialised.
        let control = unsafe {
            std::slice::from_raw_parts(self.tlsf.as_raw().cast::<u8>(), self.control_bytes)
        };
        (control.to_vec(), self.pool.image())
    }

    fn restore(&self, (control, pool): &(Vec<u8>, Vec<u8>)) {
        // SAFETY: both images have the lengths of what they are written to.
        unsafe {
            self.tlsf
                .as_raw()
                .cast::<u8>()
                .copy_from(control.as_ptr(), control.len());
            self.pool.start().copy_from(pool.as_ptr(), pool.len());
        }
    }

    /// Visits all that can follow, each from the same state.
    fn visit(&mut self, depth: usize) {
        self.states += 1;
        assert_sound(self.tlsf);
        let image = self.image();
        self.ends_as_one_block();
        self.restore(&image);
        if depth == 0 {
            return;
        }
        // SAFETY: the instance is live; what is given back is live.
        unsafe {
            for size in SIZES {
                if let Ok(ptr) = self.tlsf.malloc(size) {
                    ptr.as_ptr()
                        .write_bytes(0xFF, Tlsf::block_size(ptr.as_ptr()));
                    self.live.push(ptr);
                    self.visit(depth - 1);
                    self.live.pop();
                }
                self.restore(&image);
            }
            for index in 0..self.live.len() {
                let ptr = self.live.remove(index);
                self.tlsf.free(ptr).unwrap();
                self.visit(depth - 1);
                self.restore(&image);
                // Shrinking and growing from each state, to the extremes only: the middle is covered by the model.
                for bytes in [SIZES[0], SIZES[3]] {
                    if let Ok(moved) = self.tlsf.realloc(ptr, bytes) {
                        self.live.insert(index, moved);
                        self.visit(depth - 1);
                        self.live.remove(index);
                    }
                    self.restore(&image);
                }
                self.live.insert(index, ptr);
            }
        }
    }

    fn ends_as_one_block(&self) {
        // SAFETY: each is live and freed once; the state is restored afterwards.
        unsafe {
            for &ptr in &self.live {
                self.tlsf.free(ptr).unwrap();
            }
            assert!(self.tlsf.first_pool().unwrap().is_empty());
        }
        assert_sound(self.tlsf);
    }
}

#[test]
fn group_l_every_short_sequence_keeps_the_invariants() {
    let instance = Instance::new(256);
    let region = Region::new(256, 0, 0xFF);
    // SAFETY: the region outlives the instance's use.
    unsafe { instance.tlsf.add_pool(region.start(), region.bytes()) }.unwrap();
    let mut search = Search {
        tlsf: instance.tlsf,
        pool: &region,
        control_bytes: Tlsf::control_size(256),
        live: Vec::new(),
        states: 0,
    };
    search.visit(LENGTH);
    println!("{} states", search.states);
    assert!(search.states > 10_000);
}
