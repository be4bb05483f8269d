//! One style for all plots: colours, dashes, markers, text sizes.
//!
//! The colours are eight of the ten of M. A. Petroff, "Accessible Color Sequences for Data
//! Visualization" (arXiv 2107.02270), which keep apart for readers with any of the three kinds of
//! colour blindness; the two that contrast least with the background are left out. Dashes and
//! markers tell the same curves apart without colour.

const BLUE: &str = "#3f90da";
const RED: &str = "#bd1f01";
const SILVER: &str = "#94a4a2";
const PURPLE: &str = "#832db6";
const BROWN: &str = "#a96b59";
const ORANGE: &str = "#e76300";
const KHAKI: &str = "#b9ac70";
const GREY: &str = "#717581";

pub(crate) const BACKGROUND: &str = "#fcfcfa";
pub(crate) const TEXT: &str = "#24292f";
/// Captions and axis labels.
pub(crate) const MUTED: &str = "#57606a";
pub(crate) const GRID: &str = "#dfe2e6";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Marker {
    Disc,
    Ring,
    Square,
    Diamond,
    Up,
    Down,
    Plus,
    Cross,
    Bar,
}

/// How an allocator is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    pub(crate) colour: &'static str,
    /// `stroke-dasharray`; empty for a solid line.
    pub(crate) dash: &'static str,
    pub(crate) marker: Marker,
    pub(crate) width: u8,
}

const fn look(colour: &'static str, dash: &'static str, marker: Marker) -> Look {
    Look {
        colour,
        dash,
        marker,
        width: 2,
    }
}

const MEMOMAN: Look = Look {
    width: 3,
    ..look(ORANGE, "", Marker::Disc)
};

/// Allocators of one plot have colours, dashes and markers of their own; a colour serves several
/// allocators that no plot shows together.
static LOOKS: [(&str, Look); 14] = [
    ("memoman", MEMOMAN),
    ("memoman-cached", look(TEXT, "6 2", Marker::Bar)),
    ("memoman, real-time", look(RED, "9 3", Marker::Ring)),
    ("glibc", look(GREY, "2 2", Marker::Square)),
    ("mimalloc", look(KHAKI, "12 3 2 3", Marker::Plus)),
    ("rlsf", look(BLUE, "7 3", Marker::Diamond)),
    ("talc", look(PURPLE, "4 2", Marker::Up)),
    ("o1heap", look(BROWN, "10 3 2 3 2 3", Marker::Down)),
    (
        "buddy_system_allocator",
        look(SILVER, "14 4", Marker::Cross),
    ),
    ("linked_list_allocator", look(RED, "9 3", Marker::Ring)),
    ("jemalloc", look(BLUE, "7 3", Marker::Diamond)),
    ("tcmalloc", look(PURPLE, "4 2", Marker::Up)),
    ("mimalloc-3", look(BROWN, "10 3 2 3 2 3", Marker::Down)),
    ("snmalloc", look(SILVER, "14 4", Marker::Cross)),
];

/// The look of an allocator; an error when it has none.
pub(crate) fn of(allocator: &str) -> Result<Look, String> {
    LOOKS
        .iter()
        .find(|(name, _)| *name == allocator)
        .map(|(_, look)| *look)
        .ok_or(format!("{allocator} has no colour"))
}
