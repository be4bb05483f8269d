/work/wt/i17/benches/target/release/deps/plots-bb5a523edcc5d211.d: plots/src/lib.rs plots/src/bars.rs plots/src/canvas.rs plots/src/curves.rs plots/src/figures.rs plots/src/page.rs plots/src/style.rs plots/src/table.rs plots/src/words.rs

/work/wt/i17/benches/target/release/deps/libplots-bb5a523edcc5d211.rlib: plots/src/lib.rs plots/src/bars.rs plots/src/canvas.rs plots/src/curves.rs plots/src/figures.rs plots/src/page.rs plots/src/style.rs plots/src/table.rs plots/src/words.rs

/work/wt/i17/benches/target/release/deps/libplots-bb5a523edcc5d211.rmeta: plots/src/lib.rs plots/src/bars.rs plots/src/canvas.rs plots/src/curves.rs plots/src/figures.rs plots/src/page.rs plots/src/style.rs plots/src/table.rs plots/src/words.rs

plots/src/lib.rs:
plots/src/bars.rs:
plots/src/canvas.rs:
plots/src/curves.rs:
plots/src/figures.rs:
plots/src/page.rs:
plots/src/style.rs:
plots/src/table.rs:
plots/src/words.rs:
