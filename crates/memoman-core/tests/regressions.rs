//! Defects found by the models and fuzzers, each as the shortest program that shows it.

mod support;

use memoman_core::{Cursor, Step, Tlsf};
use support::{Instance, Region};

/// A header from before a reset passed for a block in use: stepwise validation, which had rested
/// there, reported a sound heap as broken.
#[test]
fn group_i_stepwise_validation_begins_anew_after_a_reset() {
    let instance = Instance::new(1 << 12);
    let region = Region::new(1 << 10, 0, 0xFF);
    let tlsf = instance.tlsf;
    let mut cursor = Cursor::START;
    // SAFETY: the instance and its pool are live.
    unsafe {
        tlsf.add_pool(region.start(), region.bytes()).unwrap();
        let (_, _) = (tlsf.malloc(40).unwrap(), tlsf.malloc(40).unwrap());
        assert_eq!(tlsf.validate_step(&mut cursor, 1), Step::More);
        assert!(tlsf.reset());
        assert_eq!(tlsf.validate_step(&mut cursor, 8), Step::Sound);
    }
}

/// The bounds for links were computed before the number of bins, and so differed between a new
/// instance and one whose pools have been removed.
#[test]
fn group_c_an_instance_without_pools_is_as_new() {
    let control = Region::new(Tlsf::control_size(1 << 12), 0, 0xFF);
    let region = Region::new(1 << 10, 0, 0xFF);
    // SAFETY: both regions belong to the test.
    unsafe {
        let tlsf = Tlsf::create(control.start(), 1 << 12).unwrap();
        let new = control.image();
        tlsf.add_pool(region.start(), region.bytes()).unwrap();
        assert!(tlsf.remove_pool(region.start()));
        assert!(control.image() == new);
    }
}
