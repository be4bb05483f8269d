/work/wt/i17/benches/target/release/deps/is_terminal_polyfill-a027950cd2372bf7.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/is_terminal_polyfill-1.70.2/src/lib.rs

/work/wt/i17/benches/target/release/deps/libis_terminal_polyfill-a027950cd2372bf7.rlib: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/is_terminal_polyfill-1.70.2/src/lib.rs

/work/wt/i17/benches/target/release/deps/libis_terminal_polyfill-a027950cd2372bf7.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/is_terminal_polyfill-1.70.2/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/is_terminal_polyfill-1.70.2/src/lib.rs:
