/work/wt/i17/benches/target/release/deps/const_default-a339ce611a43ed29.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/const-default-1.0.0/src/lib.rs

/work/wt/i17/benches/target/release/deps/libconst_default-a339ce611a43ed29.rlib: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/const-default-1.0.0/src/lib.rs

/work/wt/i17/benches/target/release/deps/libconst_default-a339ce611a43ed29.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/const-default-1.0.0/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/const-default-1.0.0/src/lib.rs:
