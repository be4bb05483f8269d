//! The hash: every bit of every word changes bits all over it.

use crate::hash::mix;

#[test]
fn group_i_every_bit_of_every_word_changes_bits_all_over_the_hash() {
    let words = [0x1234_5678, usize::MAX, 0, 1 << 20, 42];
    let hash = mix(&words);
    let mut changed = 0;
    for word in 0..words.len() {
        for bit in 0..usize::BITS {
            let mut other = words;
            other[word] ^= 1 << bit;
            let difference = hash ^ mix(&other);
            // The lower half changes too: multiplication alone carries a bit only upwards.
            assert_ne!(
                difference & (usize::MAX >> (usize::BITS / 2)),
                0,
                "{word} {bit}"
            );
            changed += difference.count_ones() as usize;
        }
    }
    let all = words.len() * (usize::BITS * usize::BITS) as usize;
    assert!(
        (all * 2 / 5..all * 3 / 5).contains(&changed),
        "{changed} of {all}"
    );
    let ones: u32 = (0..1_000).map(|word| mix(&[word]).count_ones()).sum();
    assert!((450..550).contains(&(ones / usize::BITS)), "{ones}");
}
