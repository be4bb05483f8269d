//! The names in the csv files, in words.

/// A name of a csv file, and what a plot writes for it.
type Words = (&'static str, &'static str);

/// Workloads of `make bench`, patterns of `make latency`.
pub(crate) static WORKLOADS: [Words; 9] = [
    ("W1", "random sizes, 8–1,024 B, 10,000 live"),
    ("W2", "random sizes, 8 B–64 KiB, 1,000 live"),
    ("W3", "malloc(64) and free in pairs"),
    ("W4", "first in, first out, 16–512 B"),
    ("W5", "vectors grown by realloc, 16 B–64 KiB"),
    ("W6", "48-byte blocks, 100,000 live"),
    ("W7", "memalign to 64–4,096 bytes"),
    ("W8", "sessions: bursts over long-lived blocks"),
    ("adversarial", "worst case of search and merge"),
];

/// Measures of `make fit`.
pub(crate) static MEASURES: [Words; 7] = [
    ("blocks-24", "blocks of 24 B in 1 MiB"),
    ("blocks-64", "blocks of 64 B in 1 MiB"),
    ("blocks-1024", "blocks of 1,024 B in 1 MiB"),
    ("fresh", "share held at the first failure, new heap"),
    ("churn", "share held at the first failure, aged heap"),
    ("pressure", "share held under pressure, random sizes"),
    ("recurring", "share held under pressure, ten sizes"),
];

/// Loads of `make bench-global`.
pub(crate) static LOADS: [Words; 22] = [
    ("random", "random sizes, 1 thread"),
    ("batch", "batches freed in random order, 1 thread"),
    ("tight", "malloc(64) and free in pairs, 1 thread"),
    ("realloc", "vectors grown by realloc, 1 thread"),
    ("drift", "sizes that drift up and down, 1 thread"),
    ("churn", "short-lived threads in turn"),
    ("large", "buffers of 64–576 KiB, 1 thread"),
    ("fill-and-empty", "N blocks of a size, all freed, 1 thread"),
    ("survivors", "four fifths of the blocks freed and made anew"),
    ("append", "buffers that grow to 4 MiB, 1 thread"),
    ("huge", "buffers of 5–25 MiB, 1 thread"),
    ("random-2", "random sizes, 2 threads"),
    ("batch-2", "batches freed in random order, 2 threads"),
    ("tight-2", "malloc(64) and free in pairs, 2 threads"),
    ("handed-over", "half is freed by the other thread"),
    ("produce-consume", "one allocates, the other frees"),
    ("large-2", "buffers of 64–576 KiB, 2 threads"),
    ("neighbours", "counters of two threads side by side"),
    ("batches-over", "one allocates batches, the other frees"),
    ("batches-deep", "the same, the newest batch first"),
    ("server", "new threads go on with old objects"),
    ("generations", "threads of mixed sizes that end"),
];

/// Calls that are timed.
pub(crate) static CALLS: [Words; 3] = [
    ("malloc", "malloc"),
    ("free", "free"),
    ("nothing", "no call: the machine alone"),
];

/// The words for `name`; an error when `list` has none.
pub(crate) fn of(list: &[Words], name: &str) -> Result<&'static str, String> {
    list.iter()
        .find(|(known, _)| *known == name)
        .map(|(_, words)| *words)
        .ok_or(format!("{name} has no name in words"))
}

/// The words for `name`, and the name itself, which tables use.
pub(crate) fn title(list: &[Words], name: &str) -> Result<String, String> {
    Ok(format!("{} ({name})", of(list, name)?))
}
