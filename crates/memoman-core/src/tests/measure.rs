//! The arithmetic of fragmentation.

use crate::measure::fragmentation;

fn exact(sizes: &[usize]) -> f64 {
    let sum: f64 = sizes.iter().map(|&size| size as f64).sum();
    let squares: f64 = sizes.iter().map(|&size| (size as f64).powi(2)).sum();
    1e6 * (1.0 - squares / (sum * sum))
}

#[test]
fn fragmentation_is_right_to_two_millionths_for_sums_up_to_2_to_the_62() {
    let top = usize::BITS - 6;
    for exponent in 4..top {
        for count in [1usize, 2, 3, 7, 32] {
            let sizes: std::vec::Vec<usize> = (0..count)
                .map(|index| (1usize << exponent) + 16 * index * index)
                .collect();
            let sum = sizes.iter().sum();
            let squares = sizes.iter().map(|&size| (size as u128).pow(2)).sum();
            let found = fragmentation(sum, squares) as f64;
            assert!(
                (found - exact(&sizes)).abs() <= 2.0,
                "{count} of 2^{exponent}: {found} against {}",
                exact(&sizes)
            );
        }
    }
}

#[test]
fn one_block_or_none_is_not_fragmented() {
    assert_eq!(fragmentation(0, 0), 0);
    for size in [32, 4096, usize::MAX / 2, usize::MAX] {
        assert_eq!(fragmentation(size, (size as u128).pow(2)), 0);
    }
    assert_eq!(fragmentation(64, 2 * 32 * 32), 500_000);
}
