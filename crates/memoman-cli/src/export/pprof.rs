//! pprof's profile.proto, compressed: bytes and blocks of each stack, allocated and live.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use memoman_trace::Trace;
use prost::Message;

use crate::error::Error;
use crate::output::Output;
use crate::symbols::{Frame, Symbols};
use crate::totals;

// The messages of github.com/google/pprof/proto/profile.proto, by its field numbers.

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(int64, tag = "6")]
    build_id: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// Strings by number; the first is empty.
#[derive(Default)]
struct Strings {
    numbers: HashMap<String, i64>,
    table: Vec<String>,
}

impl Strings {
    fn number(&mut self, text: &str) -> i64 {
        if let Some(&known) = self.numbers.get(text) {
            return known;
        }
        let number = self.table.len() as i64;
        self.table.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

pub(super) fn write(trace: &Trace, path: &Path) -> Result<(), Error> {
    let profile = profile(trace)?;
    let mut out = Output::create(path)?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let packed = packed
        .write_all(&profile.encode_to_vec())
        .and_then(|()| packed.finish())
        .map_err(Error::failed)?;
    out.bytes(&packed)?;
    out.finish()
}

fn profile(trace: &Trace) -> Result<Profile, Error> {
    let totals = totals::of(trace, "export")?;
    let header = trace.header();
    let mut symbols = Symbols::new(trace);
    let mut strings = Strings::default();
    strings.number("");
    let mut value = |kind: &str, unit: &str| ValueType {
        kind: strings.number(kind),
        unit: strings.number(unit),
    };
    let mut profile = Profile {
        sample_type: vec![
            value("alloc_objects", "count"),
            value("alloc_space", "bytes"),
            value("inuse_objects", "count"),
            value("inuse_space", "bytes"),
        ],
        period_type: Some(value("space", "bytes")),
        period: header.sample.max(1) as i64,
        time_nanos: header.started as i64,
        duration_nanos: totals.end as i64,
        default_sample_type: strings.number("inuse_space"),
        ..Profile::default()
    };
    for (index, module) in trace.modules().iter().enumerate() {
        let id: String = module
            .build_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        profile.mapping.push(Mapping {
            id: index as u64 + 1,
            memory_start: module.start,
            memory_limit: module.end,
            filename: strings.number(&module.path),
            build_id: strings.number(&id),
            has_functions: true,
        });
    }
    let mut locations = HashMap::<u64, u64>::new();
    let mut functions = HashMap::<Frame, u64>::new();
    for (stack, sums) in totals.stacks.iter().enumerate() {
        if sums.blocks == 0.0 {
            continue;
        }
        let mut sample = Sample {
            location_id: Vec::new(),
            value: [sums.blocks, sums.bytes, sums.live_blocks, sums.live_bytes]
                .map(|value| value.round() as i64)
                .to_vec(),
        };
        for &address in trace.stack(stack as u32) {
            let id = match locations.get(&address) {
                Some(&known) => known,
                None => {
                    let module = symbols.module(address);
                    let mapping = module
                        .and_then(|module| trace.modules().iter().position(|one| one == module))
                        .map_or(0, |index| index as u64 + 1);
                    let id = locations.len() as u64 + 1;
                    let mut location = Location {
                        id,
                        mapping_id: mapping,
                        // pprof takes the address of the call.
                        address: address.wrapping_sub(1),
                        line: Vec::new(),
                    };
                    for frame in symbols.frames(address) {
                        // A function has one number, whatever the line.
                        let key = Frame {
                            line: 0,
                            ..frame.clone()
                        };
                        let next = functions.len() as u64 + 1;
                        let function = *functions.entry(key).or_insert_with(|| {
                            profile.function.push(Function {
                                id: next,
                                name: strings.number(&frame.function),
                                system_name: strings.number(&frame.function),
                                filename: strings.number(&frame.file),
                            });
                            next
                        });
                        location.line.push(Line {
                            function_id: function,
                            line: i64::from(frame.line),
                        });
                    }
                    profile.location.push(location);
                    locations.insert(address, id);
                    id
                }
            };
            sample.location_id.push(id);
        }
        profile.sample.push(sample);
    }
    for lack in crate::input::lacks(trace) {
        profile.comment.push(strings.number(&lack));
    }
    profile.string_table = strings.table;
    Ok(profile)
}
