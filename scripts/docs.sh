#!/usr/bin/env bash
# The documentation: scripts/docs.sh setup|write|check|build
#
#   setup  installs mdBook from crates.io into target/tools (some minutes; `build` needs it, nothing else does)
#   write  writes what is generated anew: the reference of memoman.h, the tables of docs/book/sizes.md
#   check  generated parts are up to date, every code block compiles and runs, links lead somewhere; needs dist/
#   build  the site, into target/book, checks its links and that it holds nothing else
# check: one line a check, "ok docs …" or "FAIL docs …"; exits with 1 if one failed.
set -uo pipefail
mode=${1:-}
case $mode in
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    setup | write | check | build) ;;
    *) echo "docs.sh: setup, write, check or build; --help explains" >&2; exit 2 ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
dist=$root/dist
mdbook_version=0.5.4
mdbook=$target/tools/bin/mdbook
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

check() { # NAME COMMAND…: its output is shown when it fails.
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok   docs $name"
    else
        echo "FAIL docs $name"
        sed 's/^/       /' "$work/log" | head -30
        failures=$((failures + 1))
    fi
}

pages() { find docs -name '*.md' ! -name SUMMARY.md | sort; }

# tables 64|32: what the library itself says, for docs/book/sizes.md.
tables() {
    local flags=() library=$dist
    if [ "$1" = 32 ]; then
        flags=(-m32)
        library=$target/embedded/i686
    fi
    gcc "${flags[@]}" -std=c11 -O2 -Wall -Wextra -Werror -I "$root/include" docs/tools/calculator.c "$library/libmemoman.a" -lpthread \
        -o "$work/calculator" && "$work/calculator"
}

# between_marks 64|32: what the page holds between its marks.
between_marks() { sed -n "/^<!-- tables $1 -->$/,/^<!-- end -->$/{//!p}" docs/book/sizes.md; }

tables_fresh() { diff <(between_marks "$1") <(tables "$1") || { echo "run: make docs-write"; return 1; }; }
reference_fresh() { diff docs/book/api.md <(python3 docs/tools/api.py include/memoman.h) || { echo "run: make docs-write"; return 1; }; }

# The C program of both front pages is examples/hello.c.
hello_is_shown() {
    local page
    for page in README.md docs/index.md; do
        diff examples/hello.c <(sed -n '/^```c$/,/^```$/{//!p}' "$page") ||
            { echo "in $page"; return 1; }
    done
}

# Every chapter is a file, and every page a chapter.
summary_complete() {
    diff <(grep -oE '\(([^)]+\.md)\)' docs/SUMMARY.md | tr -d '()' | sort) <(pages | sed 's,^docs/,,' | sort)
}

case $mode in
    setup)
        [ "$("$mdbook" --version 2>/dev/null)" = "mdbook v$mdbook_version" ] && exit 0
        echo "setup: building mdBook $mdbook_version: a few minutes, once"
        # Without its server: the site is files.
        exec cargo install mdbook --version "$mdbook_version" --locked --no-default-features --features search --quiet --root "$target/tools"
        ;;
    write)
        python3 docs/tools/api.py include/memoman.h >"$work/api.md" && cp "$work/api.md" docs/book/api.md || exit 1
        for bits in 64 32; do
            # The 32-bit library is there after `make check-embedded`.
            [ $bits = 64 ] || [ -e "$target/embedded/i686/libmemoman.a" ] || continue
            tables $bits >"$work/tables" || exit 1
            sed -i -e "/^<!-- tables $bits -->$/,/^<!-- end -->$/{//!d}" -e "/^<!-- tables $bits -->$/r $work/tables" docs/book/sizes.md
        done
        ;;
    check)
        check reference-is-fresh reference_fresh
        check tables-are-fresh tables_fresh 64
        [ ! -e "$target/embedded/i686/libmemoman.a" ] || check tables-for-32-bit-are-fresh tables_fresh 32
        check hello-is-shown hello_is_shown
        check summary-is-complete summary_complete
        # shellcheck disable=SC2046 # a list of files
        check links python3 docs/tools/links.py README.md CONTRIBUTING.md examples/README.md benches/README.md crates/*/README.md $(pages)
        # The reference is the header's own text, which the compilers see anyway.
        # shellcheck disable=SC2046 # a list of files
        python3 docs/tools/blocks.py "$root" "$dist" README.md $(pages | grep -v '^docs/book/api.md$') || failures=$((failures + 1))
        ;;
    build)
        [ -x "$mdbook" ] || { echo "docs.sh: mdBook is missing: run scripts/docs.sh setup" >&2; exit 1; }
        "$mdbook" build docs || exit 1
        # mdBook copies the whole folder: what makes the site is no part of it.
        rm -rf "$target"/book/{tools,site.css,*.mk,*.toml,*.csv}
        # Measurements lie beside the documentation, and so inside the site.
        mkdir -p "$target/book/benches/results"
        cp benches/README.md "$target/book/benches/"
        cp benches/results/*.csv benches/results/*.svg "$target/book/benches/results/"
        sed -i -e 's|"\.\./benches/README\.html|"benches/README.md|g' -e 's|"\.\./benches/|"benches/|g' "$target"/book/{index,performance,print}.html
        python3 docs/tools/links.py --site "$target/book" && echo "open $target/book/index.html"
        exit
        ;;
esac
[ $failures -eq 0 ]
