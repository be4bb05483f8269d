//! A Rust program whose every allocation is memoman's: `cargo run -p memoman-global --example
//! global`

use std::collections::HashMap;

use memoman_global::Memoman;

#[global_allocator]
static ALLOCATOR: Memoman = Memoman;

fn main() {
    let text = include_str!("global.rs");
    let mut count: HashMap<String, usize> = HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        *count.entry(word.to_lowercase()).or_default() += 1;
    }
    let during = ALLOCATOR.stats();
    assert!(during.live_blocks > count.len() / 2);
    println!("{} different words; {during:?}", count.len());

    let words: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| text.split_whitespace().map(String::from).count()))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(words, 4 * text.split_whitespace().count());
    assert!(ALLOCATOR.validate());
    println!("four threads counted {words} words; the heap is sound");
}
