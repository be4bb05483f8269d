/work/wt/i17/benches/target/release/deps/colorchoice-3abba9435d0ab2cf.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/colorchoice-1.0.5/src/lib.rs

/work/wt/i17/benches/target/release/deps/libcolorchoice-3abba9435d0ab2cf.rlib: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/colorchoice-1.0.5/src/lib.rs

/work/wt/i17/benches/target/release/deps/libcolorchoice-3abba9435d0ab2cf.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/colorchoice-1.0.5/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/colorchoice-1.0.5/src/lib.rs:
