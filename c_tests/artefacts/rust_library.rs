//! A static library of Rust's, with a standard library of its own, to link beside memoman's.
use std::collections::HashMap;
#[unsafe(no_mangle)]
pub extern "C" fn other_sum(n: u32) -> u32 {
    let map: HashMap<u32, String> = (0..n).map(|i| (i, i.to_string())).collect();
    map.values().map(|text| text.parse::<u32>().unwrap()).sum()
}
