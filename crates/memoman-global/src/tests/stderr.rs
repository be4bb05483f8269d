//! Text for stderr.

use crate::system::stderr::Line;

#[test]
fn numbers_and_addresses() {
    let mut line = Line::new();
    line.text(b"[")
        .number(0, 0)
        .text(b"|")
        .number(1234, 8)
        .text(b"|")
        .number(usize::MAX, 3)
        .text(b"|")
        .address(0xdead_beef)
        .text(b"]");
    let expected = std::format!("[0|    1234|{}|0xdeadbeef]", usize::MAX);
    assert_eq!(line.as_bytes(), expected.as_bytes());
}

#[test]
fn what_does_not_fit_is_dropped() {
    let mut line = Line::new();
    line.text(&[b'x'; 3000]);
    assert_eq!(line.as_bytes().len(), 1024);
}
