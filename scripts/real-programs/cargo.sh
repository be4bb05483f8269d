# cargo build of this project's core
cd "$ROOT"
RUSTFLAGS="--remap-path-prefix=$OLDPWD=/target" cargo build --quiet --offline -p memoman-core --release --target-dir "$OLDPWD/target" 2>/dev/null
nm --defined-only "$OLDPWD"/target/release/libmemoman_core.rlib 2>/dev/null | awk 'NF == 3 { print $2, $3 }' | sort | sha256sum
