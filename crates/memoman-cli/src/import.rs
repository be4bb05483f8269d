//! `memoman import`: the fixed records that firmware sends (`docs/book/firmware-records.md`) as a
//! trace.

use std::io::Read;
use std::path::{Path, PathBuf};

use memoman_trace::firmware::{self, Found};
use memoman_trace::{Builder, Cut, Ended, Header, Origin};

use crate::error::Error;
use crate::output::Output;

/// Makes a trace of the records that firmware has sent: the stream of memoman/record.h.
#[derive(clap::Args)]
#[command(after_help = "Example: memoman import uart.bin -o firmware.mmt")]
pub(crate) struct Args {
    /// The records; - is the standard input.
    records: PathBuf,
    /// The trace to write.
    #[arg(short, long)]
    output: PathBuf,
    /// The firmware's name, for the trace's header.
    #[arg(long, default_value = "firmware")]
    name: String,
    /// Print what was read as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let bytes = read(&args.records)?;
    let found = firmware::decode(&bytes)
        .map_err(|why| Error::failed(format_args!("{}: {why}", args.records.display())))?;
    let part = args.output.with_extension("mmt.part");
    let written = write(&found, args, &part);
    if let Err(error) = written {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::rename(&part, &args.output).map_err(|error| {
        Error::failed(format_args!(
            "cannot write {}: {error}",
            args.output.display()
        ))
    })?;
    let mut out = Output::create(Path::new("-"))?;
    if args.json {
        let summary = serde_json::json!({
            "trace": args.output, "events": found.events.len(), "lost": found.lost,
            "heaps": found.heaps, "skipped_bytes": found.skipped, "cut": found.cut,
        });
        out.line(format_args!("{summary}"))?;
    } else {
        out.line(format_args!(
            "{}: {} events of {} heap(s)",
            args.output.display(),
            found.events.len(),
            found.heaps
        ))?;
    }
    out.finish()?;
    if found.lost > 0 || found.skipped > 0 {
        eprintln!(
            "memoman: at least {} records were lost on the way, {} bytes make no sense",
            found.lost, found.skipped
        );
    }
    if found.cut {
        eprintln!("memoman: the last record is cut");
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    result
        .map_err(|error| Error::failed(format_args!("cannot read {}: {error}", path.display())))?;
    Ok(bytes)
}

fn write(found: &Found, args: &Args, part: &Path) -> Result<(), Error> {
    let header = Header {
        program: args.name.clone(),
        args: vec![args.name.clone()],
        origin: Origin::Imported,
        pointer: found.pointer,
        ..Header::default()
    };
    let mut builder = Builder::create(part, &header)?;
    for event in &found.events {
        builder.push(event)?;
    }
    let ended = if found.cut {
        Ended::Cut(Cut::Import)
    } else {
        Ended::Complete
    };
    builder.finish(ended, found.lost)?;
    Ok(())
}
