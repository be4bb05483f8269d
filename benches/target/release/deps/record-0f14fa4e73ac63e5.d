/work/wt/i17/benches/target/release/deps/record-0f14fa4e73ac63e5.d: record/src/lib.rs

/work/wt/i17/benches/target/release/deps/librecord-0f14fa4e73ac63e5.rlib: record/src/lib.rs

/work/wt/i17/benches/target/release/deps/librecord-0f14fa4e73ac63e5.rmeta: record/src/lib.rs

record/src/lib.rs:

# env-dep:CARGO_MANIFEST_DIR=/work/wt/i17/benches/record
