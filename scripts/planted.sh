#!/usr/bin/env bash
# The tests must fail on each bug of tests/planted.txt, planted one at a time in a copy of the
# sources.
#
#   scripts/planted.sh [NAME…]    all bugs, or these
#   scripts/planted.sh --places   only whether each place is still in the sources: a second
#   scripts/planted.sh --plant DIR NAME…   only plants these in DIR, a copy of the source tree
#
# Prints one line for each bug; fails if one is not caught, if its place in the sources is gone, or
# if the tests fail without it. The tests are the quick ones among the steps "rust", "core" and
# "32-bit" of `make check`. scripts/setup.sh planted installs the tools.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=planted
cd "$root"

copies=$target/planted
places=0 into=
[ "${1:-}" != --places ] || { places=1; shift; }
[ "${1:-}" != --plant ] || { into=$2; shift 2; }
only=" $* "
planted=0
missed=0
sound=" " # whose tests pass on the sources as they are

# cargo-mutants' copies: one quick test program for each package.
mkdir -p "$copies"
original=$work/original
[ $places -eq 1 ] || [ -n "$into" ] || for package in core global; do
    scripts/mutants.sh prepare $package "$copies/$package"
done
export RUST_BACKTRACE=0

tree_of() { case $1 in memoman-global) echo "$copies/global" ;; *) echo "$copies/core" ;; esac; }

# cargo_test TESTED SECONDS ARGUMENTS…: TESTED's tests, in its copy. TESTED is a package, or
# memoman-core@i686: on 32-bit x86.
cargo_test() {
    local tested=$1 limit=$2 test=(cargo test --quiet --profile mutants -p "${1%@*}")
    shift 2
    case $tested in
        # The core's unit tests take longer than all others.
        memoman-core) test+=(--test quick) ;;
        memoman-core@i686)
            test+=(--test quick --target i686-unknown-linux-gnu -Zbuild-std=std,panic_unwind
                --config 'profile.mutants.panic="unwind"')
            local -x PATH=/usr/bin:/bin:$PATH RUSTC_BOOTSTRAP=1
            local -x CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=gcc
            ;;
        memoman-global) test+=(--test quick --lib) ;;
    esac
    # A build folder of its own: cargo would mix up two copies of one workspace.
    (cd "$(tree_of "$tested")" && CARGO_TARGET_DIR=$copies/build-$tested RUSTFLAGS=-Awarnings \
        timeout "$limit" "${test[@]}" "$@")
}

# plant NAME TESTED FILE OLD NEW: TESTED's tests, with OLD in FILE become NEW.
plant() {
    local name=$1 tested=$2 file=$3 log=$copies/$1.log verdict tree status
    tree=$(tree_of "$tested")
    [ "$only" = "  " ] || [[ $only == *" $name "* ]] || return 0
    planted=$((planted + 1))
    if [ -n "$into" ]; then
        [ "$(swap "$4" "$5" "$into/$file")" = 1 ] || die "$name: its place in $file is gone"
        return 0
    fi
    if [ $places -eq 1 ]; then
        cp "$root/$file" "$original"
        if [ "$(swap "$4" "$5" "$original")" = 1 ]; then
            ok "$name"
        else
            missed=$((missed + 1))
            fail "$name its place in $file is gone"
        fi
        return 0
    fi
    if [[ $sound != *" $tested "* ]]; then
        cargo_test "$tested" 900 >"$copies/$tested.log" 2>&1 ||
            die "$tested's tests fail on the sources as they are: see $copies/$tested.log"
        sound+="$tested "
    fi
    cp "$tree/$file" "$original"
    if [ "$(swap "$4" "$5" "$tree/$file")" != 1 ]; then
        verdict="NOT PLANTED: its place in $file is gone"
    elif ! cargo_test "$tested" 600 --no-run >"$log" 2>&1; then
        verdict="NOT PLANTED: does not compile, see $log"
    else
        cargo_test "$tested" 300 >>"$log" 2>&1
        status=$?
        verdict='^[a-z_:0-9]+ --- FAILED|^test [a-z_:0-9]+ \.\.\. FAILED|signal: [0-9]+, SIG[A-Z]+'
        verdict="caught by $(grep -Eo "$verdict" "$log" | head -n 1 |
            sed -E 's/^test //; s/ (\.\.\.|---) FAILED//')"
        case $status:$verdict in
            0:*) verdict="NOT CAUGHT" ;;
            124:"caught by ") verdict="caught by a test that hangs, see $log" ;;
            *:"caught by ") verdict="NOT CAUGHT: status $status without a failed test, see $log" ;;
        esac
    fi
    case $verdict in caught*) ;; *) missed=$((missed + 1)) ;; esac
    cp "$original" "$tree/$file"
    printf 'planted  %-46s %s\n' "$name" "$verdict"
}

# The list: at a line with a name, the bug above it is complete.
name='' old='' new=''
while IFS= read -r line; do
    case $line in
        '#'* | '') ;;
        '- '*) old+=" ${line#- }" ;;
        '+ '*) new+=" ${line#+ }" ;;
        *)
            [ -z "$name" ] || plant "$name" "$tested" "$file" "$old" "$new" </dev/null
            read -r name tested file <<<"$line"
            old='' new=''
            ;;
    esac
done < <(cat tests/planted.txt && echo end)

if [ -n "$into" ]; then
    [ $planted -eq $# ] || die "no bug of one of these names: $*"
    exit 0
fi
words='%d planted, %d not caught\n'
[ $places -eq 0 ] || words='%d places, %d gone\n'
# shellcheck disable=SC2059 # the words are a format
printf "$words" $planted $missed
[ $planted -gt 0 ] && [ $missed -eq 0 ]
