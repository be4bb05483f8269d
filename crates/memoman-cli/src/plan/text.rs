//! The plan as text: what `memoman plan` prints.

use std::fmt::Write;

use super::bound::{Argument, Single};
use super::input::{Class, Lifetime, Order};
use super::{Advice, Game, Plan};
use crate::units::{bytes, grouped};

pub(super) fn report(plan: &Plan) -> String {
    let mut out = String::new();
    let promise = &plan.promise;
    let geometry = promise.geometry();
    let _ = writeln!(
        out,
        "{}: {} classes, {} blocks at most, {}-bit target{}\n",
        plan.file,
        promise.classes.len(),
        grouped(promise.blocks()),
        promise.bits,
        if promise.order == Order::Stack {
            ", stack order"
        } else {
            ""
        }
    );
    let _ = writeln!(
        out,
        "{:<20} {:>10} {:>7} {:>6} {:>10}  note",
        "class", "size", "count", "align", "block"
    );
    for class in &promise.classes {
        let _ = writeln!(
            out,
            "{:<20} {:>10} {:>7} {:>6} {:>10}  {}",
            class.name,
            grouped(class.size),
            grouped(class.count),
            class.align,
            grouped(geometry.block(class.size)),
            note(class)
        );
    }
    let _ = writeln!(out, "\nOne pool for all: {}", bytes(plan.single_total));
    let _ = writeln!(
        out,
        "  pool {} + control structure {}",
        grouped(plan.single.pool),
        grouped(plan.single.control)
    );
    for line in formula(plan) {
        let _ = writeln!(out, "  {line}");
    }
    for line in shown(plan) {
        let _ = writeln!(out, "  {line}");
    }
    let count = plan.parts.len();
    let pools = if count == 1 {
        "One pool of one size".into()
    } else {
        format!("{count} pools, each of one size")
    };
    let _ = writeln!(out, "\n{pools}: {}", bytes(plan.parts_total));
    for part in &plan.parts {
        let names: Vec<&str> = part
            .classes
            .iter()
            .map(|&i| &*promise.classes[i].name)
            .collect();
        let _ = writeln!(
            out,
            "  pool {} = {} + {} x {}, control structure {}: {}",
            grouped(part.pool),
            geometry.pool_cost(),
            grouped(part.count),
            grouped(part.block),
            grouped(part.control),
            names.join(", ")
        );
    }
    out.push_str("  A request in each has the size of the pool's blocks: they cannot fragment.\n");
    let _ = writeln!(
        out,
        "\nSmaller, and guaranteed for {}: {}, {} bytes.",
        if promise.order == Order::Stack {
            "stack order"
        } else {
            "every order of calls"
        },
        match plan.advice {
            Advice::Parts if count == 1 => "the pool of one size",
            Advice::Parts => "the pools of one size each",
            Advice::Single => "the one pool",
        },
        grouped(plan.parts_total.min(plan.single_total))
    );
    for line in covered(plan) {
        let _ = writeln!(out, "{line}");
    }
    out
}

fn note(class: &Class) -> String {
    let mut notes = Vec::new();
    if class.varies {
        notes.push("sizes vary up to this");
    }
    if class.lifetime == Lifetime::Permanent {
        notes.push("permanent");
    }
    notes.join(", ")
}

/// The size by formula, with its numbers.
pub(super) fn formula(plan: &Plan) -> Vec<String> {
    let Single {
        argument,
        usable,
        terms,
        ..
    } = &plan.single;
    let name = |index: usize| &plan.promise.classes[index].name;
    let front = if terms.permanent > 0 {
        format!("{} permanent + ", grouped(terms.permanent))
    } else {
        String::new()
    };
    let with = |sum: String| {
        format!(
            "by formula, bytes for blocks: {front}{sum} = {}",
            grouped(*usable)
        )
    };
    match argument {
        Argument::Permanent => vec![format!(
            "by formula, bytes for blocks: {} permanent, which lie without gaps",
            grouped(terms.permanent)
        )],
        Argument::Stack => vec![
            with(grouped(terms.blocks)),
            "stack order: the live blocks lie without gaps".into(),
        ],
        Argument::Gaps | Argument::Divisor => {
            let mut lines = vec![with(format!(
                "{} live + {} x {} gaps + {} requested",
                grouped(terms.live_bytes),
                grouped(terms.live),
                grouped(terms.missed),
                grouped(terms.searched)
            ))];
            lines.push(format!(
                "worst request: `{}`; a free block it can miss has at most {} bytes",
                name(terms.worst),
                grouped(terms.missed)
            ));
            lines.push(if *argument == Argument::Divisor {
                format!(
                    "every block, and so every gap, is a multiple of {}",
                    terms.divisor
                )
            } else {
                format!(
                    "a block may keep {} bytes too few for another block",
                    terms.slack
                )
            });
            lines
        }
    }
}

/// What game and search have shown.
pub(super) fn shown(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    match &plan.game {
        Game::Exact {
            usable,
            states,
            one_quantum_less_is_refused,
        } => {
            lines.push(format!(
                "by the game: {} bytes for blocks serve every order ({} states, all visited)",
                grouped(*usable),
                grouped(*states as u64)
            ));
            if *one_quantum_less_is_refused {
                let quantum = plan.promise.geometry().quantum();
                lines.push(format!(
                    "exact: with {quantum} bytes less some order is refused"
                ));
            }
        }
        Game::Unfinished { states, worst } => lines.push(format!(
            "the game stopped after {} states: the worst order took {} bytes, none was refused",
            grouped(*states as u64),
            grouped(*worst)
        )),
        Game::None { why } => lines.push(format!("no game: {why}")),
    }
    if let Some(searched) = &plan.searched {
        lines.push(format!(
            "adversarial search: {} sequences took {} bytes for blocks at most, none was refused",
            grouped(searched.sequences as u64),
            grouped(searched.worst)
        ));
    }
    lines
}

/// What the guarantee covers, and what it does not.
pub(super) fn covered(plan: &Plan) -> Vec<String> {
    let promise = &plan.promise;
    let aligned = promise
        .classes
        .iter()
        .any(|c| c.align > promise.geometry().quantum());
    let mut lines = vec!["Covered: mm_malloc, mm_calloc and mm_free.".to_string()];
    lines.push(if aligned {
        "Covered: mm_memalign in the one pool; the pools of one size return aligned blocks anyway."
            .into()
    } else {
        "Not covered: mm_memalign; give a class `align` to plan for it.".into()
    });
    lines.push(if promise.realloc {
        "Covered: mm_realloc (aligned blocks: mm_realloc_aligned), from one class of the same pool \
         to another."
            .into()
    } else {
        "Not covered: mm_realloc; `realloc = true` plans for it.".into()
    });
    lines.push("Not covered: further pools of the same allocator, calls beyond the counts.".into());
    lines
}
