//! A parser with a memory budget: all nodes of a document live in one heap, which is given back
//! as a whole.
//!
//!     cargo run -p memoman-core --example budget --features allocator-api2

use std::mem::MaybeUninit;

use allocator_api2::vec::Vec;
use memoman_core::Heap;

/// A list of lists of numbers: `(1 2 (3 4) 5)`.
enum Node<'heap> {
    Number(u32),
    List(Vec<Node<'heap>, &'heap Heap<'heap>>),
}

/// Reads what follows an opening parenthesis. None when the memory is used up.
fn list<'heap>(
    text: &mut impl Iterator<Item = char>,
    heap: &'heap Heap<'heap>,
) -> Option<Node<'heap>> {
    let mut nodes = Vec::new_in(heap);
    let mut number = None;
    loop {
        let next = text.next();
        if let Some(digit) = next.and_then(|c| c.to_digit(10)) {
            number = Some(number.unwrap_or(0) * 10 + digit);
            continue;
        }
        nodes.try_reserve(2).ok()?;
        nodes.extend(number.take().map(Node::Number));
        match next {
            Some('(') => nodes.push(list(text, heap)?),
            Some(')') | None => return Some(Node::List(nodes)),
            Some(_) => {}
        }
    }
}

fn sum(node: &Node<'_>) -> u32 {
    match node {
        Node::Number(number) => *number,
        Node::List(nodes) => nodes.iter().map(sum).sum(),
    }
}

fn main() {
    let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    let heap = Heap::with_max_block(&mut memory, 4096).expect("16 KiB hold a heap");

    let document = list(&mut "1 2 (3 4 (5)) 6".chars(), &heap).expect("a short document fits");
    println!("sum {}, {:?}", sum(&document), heap.stats());
    assert_eq!(sum(&document), 21);
    drop(document);
    assert_eq!(heap.stats().live_blocks, 0);

    // A document that is made to eat all memory meets the budget, and nothing else does.
    let bomb = "(".repeat(10_000);
    assert!(list(&mut bomb.chars(), &heap).is_none());
    println!("too large a document was refused; {:?}", heap.stats());
    assert_eq!(heap.stats().live_blocks, 0);
    assert_eq!(heap.validate(), Ok(()));
}
