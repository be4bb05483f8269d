//! One line an event.

use std::path::Path;

use memoman_trace::{Kind, Trace};

use crate::error::Error;
use crate::output::Output;
use crate::progress::Progress;

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Malloc => "malloc",
        Kind::Calloc => "calloc",
        Kind::Memalign => "memalign",
        Kind::Realloc => "realloc",
        Kind::Free => "free",
        Kind::Failed => "failed",
        Kind::PoolAdded => "pool_added",
        Kind::PoolExtended => "pool_extended",
        Kind::PoolRemoved => "pool_removed",
        Kind::Reset => "reset",
    }
}

pub(super) fn write(trace: &Trace, path: &Path) -> Result<(), Error> {
    let mut out = Output::create(path)?;
    let mut progress = Progress::new("export", trace.bytes());
    let mut events = trace.events();
    out.line(format_args!(
        "time,thread,heap,kind,pointer,old,size,block,align,stack"
    ))?;
    let mut count = 0u64;
    while let Some(event) = events.next() {
        let e = event?;
        out.line(format_args!(
            "{},{},{},{},{:#x},{:#x},{},{},{},{}",
            e.time,
            e.thread,
            e.heap,
            name(e.kind),
            e.pointer,
            e.old,
            e.size,
            e.block,
            e.align,
            e.stack
        ))?;
        count += 1;
        if count.is_multiple_of(65536) {
            progress.at(events.position());
        }
    }
    out.finish()
}
