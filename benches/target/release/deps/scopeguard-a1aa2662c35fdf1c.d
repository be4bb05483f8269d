/work/wt/i17/benches/target/release/deps/scopeguard-a1aa2662c35fdf1c.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/scopeguard-1.2.0/src/lib.rs

/work/wt/i17/benches/target/release/deps/libscopeguard-a1aa2662c35fdf1c.rlib: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/scopeguard-1.2.0/src/lib.rs

/work/wt/i17/benches/target/release/deps/libscopeguard-a1aa2662c35fdf1c.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/scopeguard-1.2.0/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/scopeguard-1.2.0/src/lib.rs:
