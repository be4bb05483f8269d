//! The advice as text.

use std::fmt::Write;

use super::Advice;
use super::perturb::Range;
use crate::text::bytes as short;
use crate::units::{bytes, grouped};

pub(super) fn report(advice: &Advice) -> String {
    let mut out = String::new();
    for line in &advice.lacks {
        let _ = writeln!(out, "{}: {line}", advice.trace);
    }
    let _ = writeln!(
        out,
        "{}: {} of {}, {} thread{}",
        advice.trace,
        if advice.heap == 0 {
            "malloc".to_string()
        } else {
            format!("heap {}", advice.heap)
        },
        advice.program,
        advice.threads,
        if advice.threads == 1 { "" } else { "s" }
    );
    if !advice.other_heaps.is_empty() {
        let heaps: Vec<String> = advice.other_heaps.iter().map(u32::to_string).collect();
        let _ = writeln!(
            out,
            "other heaps in the trace, see --heap: {}",
            heaps.join(", ")
        );
    }
    let _ = writeln!(
        out,
        "{} calls; at most {} live in {} blocks; largest request {}\n",
        grouped(advice.calls),
        bytes(advice.peak_live),
        grouped(advice.peak_blocks),
        grouped(advice.largest)
    );

    let _ = writeln!(
        out,
        "This run is served by a pool of {}",
        bytes(advice.served)
    );
    let part = |of: u64| of as f64 / advice.peak_live.max(1) as f64;
    let _ = writeln!(
        out,
        "  {:.3} of the live bytes: headers and rounding {:.3}, gaps between blocks {:.3}",
        part(advice.served),
        part(advice.peak_used) - 1.0,
        // Rounding down to the quantum may end below it.
        (part(advice.served) - part(advice.peak_used)).max(0.0)
    );
    let _ = write!(
        out,
        "  refused with 16 to {} bytes less; ",
        advice.tried_below * super::size::QUANTUM
    );
    let _ = match advice.refused_above {
        0 => writeln!(
            out,
            "served with 16 to {} more",
            advice.tried_above * super::size::QUANTUM
        ),
        refused => writeln!(
            out,
            "of {} sizes right above, {refused} refused: more is not always better here",
            advice.tried_above
        ),
    };
    moved(advice, &mut out);
    left_out(advice, &mut out);

    let _ = writeln!(out, "\nYour pool: {}", bytes(advice.pool));
    let _ = writeln!(
        out,
        "  {} and a margin of {:.1} %: {}",
        grouped(advice.needed),
        advice.margin * 100.0,
        advice.reason
    );
    let _ = writeln!(
        out,
        "  control structure: {} bytes, mm_create_for({})",
        grouped(advice.control),
        advice.max_block
    );
    if advice.split_pays {
        two_pools(advice, &mut out)
    } else {
        one_pool(advice, &mut out)
    }
    sizes(advice, &mut out);
    out
}

/// What moved in the changed runs, and what moved it.
fn moved(advice: &Advice, out: &mut String) {
    let line = |range: &Range, what: String, out: &mut String| {
        let spread = |(low, high): (u64, u64)| (high - low) as f64 / low.max(1) as f64;
        let cause = if spread(range.footprint) < 0.001 {
            "nothing moved"
        } else if spread(range.peak_live) >= spread(range.footprint) / 2.0 {
            "the peak of live bytes moved"
        } else {
            "fragmentation moved"
        };
        let _ = writeln!(
            out,
            "  {what}, {} runs: {} to {} bytes; {cause}",
            range.runs,
            grouped(range.footprint.0),
            grouped(range.footprint.1)
        );
    };
    if let Some(range) = &advice.starts {
        line(range, "other start addresses of the pool".into(), out);
    }
    for (shift, range) in &advice.interleavings {
        line(
            range,
            format!("threads shifted by {} % of the run", shift * 100.0),
            out,
        );
    }
    if advice.starts.is_none() && advice.interleavings.is_empty() {
        out.push_str(
            "  one thread, no aligned requests: neither interleaving nor addresses can move it\n",
        );
    }
}

/// What the repeated run does not hold.
fn left_out(advice: &Advice, out: &mut String) {
    if advice.failed > 0 {
        let _ = writeln!(
            out,
            "  left out: {} refused requests, of up to {} bytes",
            grouped(advice.failed),
            grouped(advice.largest_failed)
        );
    }
    if advice.unknown_frees > 0 {
        let _ = writeln!(
            out,
            "  left out: {} frees of blocks that the trace does not have",
            grouped(advice.unknown_frees)
        );
    }
    if advice.unseen_frees > 0 {
        let _ = writeln!(
            out,
            "  added: {} frees that the trace lacks, of blocks that it has handed out again",
            grouped(advice.unseen_frees)
        );
    }
}

fn one_pool(advice: &Advice, out: &mut String) {
    let align = advice.align.max(16);
    let _ = write!(
        out,
        "\n    static size_t control[{} / sizeof(size_t)];\n\
         \x20   static _Alignas({align}) unsigned char pool[{}];\n\n\
         \x20   mm_allocator_t *heap = mm_create_for(control, {});\n\
         \x20   mm_add_pool(heap, pool, sizeof pool);\n",
        advice.control, advice.pool, advice.max_block
    );
    if let Some(split) = &advice.split {
        let _ = writeln!(
            out,
            "\nTwo pools do not pay: parted at {} bytes they take {}, one takes {}.",
            split.at,
            short(split.pools()),
            short(advice.served)
        );
    }
}

fn two_pools(advice: &Advice, out: &mut String) {
    let Some(split) = &advice.split else {
        return;
    };
    let _ = writeln!(
        out,
        "\nTwo pools take less: requests of up to {} bytes and larger ones apart, {} + {} = {}\n\
         in place of {}. Apart, short-lived blocks do not leave gaps that the others cannot use.",
        split.at,
        short(split.small),
        short(split.large),
        bytes(split.pools()),
        bytes(advice.served)
    );
    let grown = |bytes: u64| ((bytes as f64 * (1.0 + advice.margin)) as u64).next_multiple_of(16);
    let control = |max: u64| memoman_core::Tlsf::control_size(max as usize);
    let align = advice.align.max(16);
    out.push('\n');
    for (name, bytes, max) in [
        ("small", split.small, split.small_max),
        ("large", split.large, split.large_max),
    ] {
        let _ = write!(
            out,
            "    static size_t {name}_control[{} / sizeof(size_t)];\n\
             \x20   static _Alignas({align}) unsigned char {name}_pool[{}];\n\
             \x20   mm_allocator_t *{name} = mm_create_for({name}_control, {max});\n\
             \x20   mm_add_pool({name}, {name}_pool, sizeof {name}_pool);\n",
            control(max),
            grown(bytes)
        );
    }
    let _ = writeln!(
        out,
        "\n    void *block = mm_malloc(bytes <= {} ? small : large, bytes);",
        split.at
    );
}

/// The requests by size.
fn sizes(advice: &Advice, out: &mut String) {
    let _ = writeln!(
        out,
        "\n{:>14} {:>12} {:>12}  median life, % of the run",
        "requests up to", "blocks", "peak live"
    );
    for row in &advice.rows {
        let _ = writeln!(
            out,
            "{:>14} {:>12} {:>12}  {:.2}",
            short(row.up_to),
            grouped(row.blocks),
            short(row.peak_live),
            row.median_life * 100.0
        );
    }
}
