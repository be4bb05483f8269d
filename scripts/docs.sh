#!/usr/bin/env bash
# The documentation: scripts/docs.sh write|check|build|look|tables-32
#
#   write  writes the generated parts anew: the reference of memoman.h, the tables of
#          docs/book/sizes.md
#   check  generated parts are up to date, every code block compiles and runs, links lead somewhere;
#          needs dist/
#   build  the site, into target/book, by mdBook (scripts/setup.sh docs), with memoman as
#          WebAssembly for the page to play with; checks its links and that it holds nothing else
#   look   a screenshot of each page of the built site, wide and narrow, light and dark, into
#          target/look; fails if a page scrolls sideways or lacks an image. Uses the page to play
#          with
#   tables-32  the tables for 32-bit targets are those of target/i686 (make check-32)
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=docs
mode=${1:-}
case $mode in
    write | check | build | look | tables-32) ;;
    *) misused "write, check, build, look or tables-32" ;;
esac
cd "$root"
dist=$root/dist
mdbook=$target/tools/bin/mdbook

pages() { find docs -name '*.md' ! -name SUMMARY.md | sort; }

# tables 64|32: the library's own figures, for docs/book/sizes.md.
tables() {
    local flags=() library=$dist
    if [ "$1" = 32 ]; then
        flags=(-m32)
        library=$target/i686
    fi
    gcc "${flags[@]}" -std=c11 -O2 -Wall -Wextra -Werror -I "$root/include" \
        docs/tools/calculator.c "$library/libmemoman.a" -lpthread -o "$work/calculator" &&
        "$work/calculator"
}

# between_marks 64|32: the page's text between its marks.
between_marks() { sed -n "/^<!-- tables $1 -->$/,/^<!-- end -->$/{//!p}" docs/book/sizes.md; }

fresh() { diff "$1" "$2" || { echo "run: make docs-write"; return 1; }; }
tables_fresh() { fresh <(between_marks "$1") <(tables "$1"); }
reference_fresh() { fresh docs/book/api.md <(python3 docs/tools/api.py include/memoman.h); }

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
    diff <(grep -oE '\(([^)]+\.md)\)' docs/SUMMARY.md | tr -d '()' | sort) \
        <(pages | sed 's,^docs/,,' | sort)
}

# play_wasm OUT: the library for the page "Play with a heap", as a script. In base64, since a page
# from a file may not fetch another one.
play_wasm() {
    local out=$1 lib=$target/wasm32 function exports=()
    for function in malloc memalign realloc free validate version align_size alloc_overhead; do
        exports+=(--export=mm_$function)
    done
    scripts/other-targets.sh lib wasm32 "$lib" &&
        clang-22 --target=wasm32 -std=c11 -O2 -Wall -Wextra -Werror -ffreestanding \
            -I "$lib/include" -c docs/play/heap.c -o "$work/heap.o" &&
        wasm-ld-22 --no-entry --gc-sections --strip-all -O2 -z stack-size=16384 "${exports[@]}" \
            "$work/heap.o" "$lib/libmemoman.a" -o "$work/play.wasm" &&
        printf "'use strict';\nwindow.Play = { wasm: '%s' };\n" \
            "$(base64 -w0 "$work/play.wasm")" >"$out"
}

# What pages link of the source tree; `build` copies these kinds of files beside the site, as text.
folders='crates|src|scripts|include|c_tests' kinds='rs|sh|h|txt|ld'
links_to_sources() {
    grep -rhoE "\.\./($folders)/[^\")# ]+\.[a-z]+\>" docs --include '*.md' | sort -u
}
linked_sources_are_copied() { ! links_to_sources | grep -vE "\.($kinds)$"; }

play_parses() {
    local script
    for script in docs/play/*.js; do node --check "$script" || return 1; done
}

case $mode in
    write)
        python3 docs/tools/api.py include/memoman.h >"$work/api.md" || exit 1
        cp "$work/api.md" docs/book/api.md
        for bits in 64 32; do
            # `make check-32` builds the 32-bit library.
            [ $bits = 64 ] || [ -e "$target/i686/libmemoman.a" ] || continue
            tables $bits >"$work/tables" || exit 1
            sed -i -e "/^<!-- tables $bits -->$/,/^<!-- end -->$/{//!d}" \
                -e "/^<!-- tables $bits -->$/r $work/tables" docs/book/sizes.md
        done
        ;;
    check)
        check reference-is-fresh reference_fresh
        check tables-are-fresh tables_fresh 64
        check hello-is-shown hello_is_shown
        check linked-sources-are-copied linked_sources_are_copied
        check play-parses play_parses
        check summary-is-complete summary_complete
        # shellcheck disable=SC2046 # a list of files
        check links python3 docs/tools/links.py README.md CONTRIBUTING.md examples/README.md \
            benches/README.md crates/*/README.md $(pages)
        # Without the reference: the compilers see the header's text anyway.
        # shellcheck disable=SC2046 # a list of files
        python3 docs/tools/blocks.py "$root" "$dist" README.md \
            $(pages | grep -v '^docs/book/api.md$') | relay
        [ "${PIPESTATUS[0]}" -eq 0 ] || grep -q '^FAIL' "$results" || fail blocks
        finish
        ;;
    tables-32)
        check tables-for-32-bit-are-fresh tables_fresh 32
        finish
        ;;
    build)
        [ -x "$mdbook" ] || die "mdBook is missing: run scripts/setup.sh docs"
        "$mdbook" build docs || exit 1
        # mdBook copies the whole folder: the site's tools are no part of it.
        rm -rf "$target"/book/{tools,site.css,*.mk,*.toml,*.csv,play/*.c}
        play_wasm "$target/book/play/wasm.js" || die "the page to play with has no library"
        # The measurements belong to the site, and the sources that pages link, as text.
        mkdir -p "$target/book/benches/results"
        cp benches/README.md "$target/book/benches/"
        cp benches/results/*.csv benches/results/*.svg "$target/book/benches/results/"
        links_to_sources | while read -r file; do
            install -D -m 644 "${file#../}" "$target/book/${file#../}.txt"
        done
        sed -i -E -e 's,((\.\./)+benches/README)\.html,\1.md,g' \
            -e 's,"\.\./((\.\./)?)((benches|'"$folders"')/),"\1\3,g' \
            -e 's,("(\.\./)?('"$folders"')/[^"]+\.('"$kinds"'))",\1.txt",g' \
            "$target"/book/*.html "$target"/book/{adr,book}/*.html
        python3 docs/tools/links.py --site "$target/book" && echo "open $target/book/index.html"
        ;;
    look)
        python3 docs/tools/look.py "$target/book" "$target/look" | relay
        [ "${PIPESTATUS[0]}" -eq 0 ] || grep -q '^FAIL' "$results" || fail look-has-ended-early
        python3 docs/tools/play.py "$target/book/book/play.html" | relay
        [ "${PIPESTATUS[0]}" -eq 0 ] || grep -q '^FAIL' "$results" || fail play-has-ended-early
        # It must be able to fail.
        mkdir "$work/site"
        echo '<div style="width: 2000px">wide</div><img src="none.svg">' >"$work/site/page.html"
        expect look-reports-a-wide-page 1 'pixels wide' \
            python3 docs/tools/look.py "$work/site" "$work/look"
        expect look-reports-a-missing-image 1 'no image' \
            python3 docs/tools/look.py "$work/site" "$work/look"
        finish
        ;;
esac
