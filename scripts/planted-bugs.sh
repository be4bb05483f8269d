#!/usr/bin/env bash
# planted-bugs.sh [NAME]...: the tests must fail on each of these bugs, planted one at a time in a copy of the sources.
# Prints one line for each bug; fails when one is not caught, or when its place in the sources is gone. The tests are the quick
# ones among those that `make check` runs as its step "rust".
#   planted-bugs.sh --places   only whether each place is still there: a second
set -uo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --help ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0"
    exit 0
fi

root=$PWD
work=${CARGO_TARGET_DIR:-$root/target}/planted
core=crates/memoman-core
global=crates/memoman-global
places=0
[ "${1:-}" != --places ] || { places=1; shift; }
only=" $* "
planted=0
missed=0

# The copies in which cargo-mutants works will do: one quick test program for each package.
mkdir -p "$work"
[ $places -eq 1 ] || for package in core global; do scripts/mutants.sh prepare $package "$work/$package"; done
export RUST_BACKTRACE=0

# swap FILE OLD NEW: OLD, which must be in FILE just once, becomes NEW. However its lines are broken and indented.
swap() {
    OLD=$2 NEW=$3 perl -0pi -e '
        $old = join "\\s+", map { quotemeta } split " ", $ENV{OLD};
        $n = s/$old/$ENV{NEW}/g; END { exit($n == 1 ? 0 : 1) }' "$1"
}

# plant NAME PACKAGE FILE OLD NEW: the tests of PACKAGE, with OLD in FILE become NEW.
plant() {
    local name=$1 package=$2 file=$3 log=$work/$1.log verdict test
    local tree=$work/${package#memoman-}
    # Of its own: cargo would mix up two copies of one workspace.
    local -x CARGO_TARGET_DIR=$work/build-$package
    [ "$only" = "  " ] || [[ $only == *" $name "* ]] || return 0
    planted=$((planted + 1))
    if [ $places -eq 1 ]; then
        cp "$root/$file" "$work/original"
        swap "$work/original" "$4" "$5" || { missed=$((missed + 1)); printf 'planted  %-38s %s\n' "$name" "its place in $file is gone"; }
        return 0
    fi
    cp "$tree/$file" "$work/original"
    test=(cargo test --quiet --profile mutants -p "$package" --test quick)
    [ "$package" = memoman-core ] || test+=(--lib) # the core's own unit tests take longer than all others
    if ! swap "$tree/$file" "$4" "$5"; then
        verdict="NOT PLANTED: its place in $file is gone"
    elif ! (cd "$tree" && RUSTFLAGS=-Awarnings timeout 600 "${test[@]}" --no-run) >"$log" 2>&1; then
        verdict="NOT PLANTED: does not compile, see $log"
    elif (cd "$tree" && RUSTFLAGS=-Awarnings timeout 300 "${test[@]}") >>"$log" 2>&1; then
        verdict="NOT CAUGHT"
    else
        verdict="caught by $(grep -Eo '^[a-z_:0-9]+ --- FAILED|^test [a-z_:0-9]+ \.\.\. FAILED|signal: [0-9]+, SIG[A-Z]+' "$log" |
            head -n 1 | sed -E 's/^test //; s/ (\.\.\.|---) FAILED//')"
        case $verdict in "caught by ") verdict="caught by a test that hangs, see $log" ;; esac
    fi
    case $verdict in caught*) ;; *) missed=$((missed + 1)) ;; esac
    cp "$work/original" "$tree/$file"
    printf 'planted  %-38s %s\n' "$name" "$verdict"
}

plant prev-free-kept-on-exact-hit memoman-core $core/src/allocate.rs \
    'block.offset(size).clear_prev_free();
        block.set_used();' \
    'block.set_used();'
plant prev-free-kept-on-whole-take memoman-core $core/src/allocate.rs \
    'block.offset(size).clear_prev_free();
            size' \
    'size'
plant bitmap-bit-kept-on-pop memoman-core $core/src/free_list.rs \
    'head.write(end);
            (*this).unmark(bin);' \
    'head.write(end);'
plant bitmap-bit-kept-on-unlink memoman-core $core/src/free_list.rs \
    '// The list was this block alone.
            (*this).unmark(bin);' \
    'let _ = bin;'
plant first-level-bit-kept memoman-core $core/src/control.rs \
    'self.fl_bitmap &= !(1 << word);' \
    ''
plant merge-without-unlinking-the-next memoman-core $core/src/free.rs \
    'links.unlink(control);
            form_free(control, block, size);' \
    'let _ = links; form_free(control, block, size);'
plant merge-without-unlinking-the-one-before memoman-core $core/src/free.rs \
    'links.unlink(control);
            block.set_header((*control).cookie, Header::tombstone());
            next.set_prev_free();' \
    'let _ = links; block.set_header((*control).cookie, Header::tombstone()); next.set_prev_free();'
plant merge-of-both-without-unlinking-the-next memoman-core $core/src/free.rs \
    'size += next_size;
            free_list::unlink(control, next);' \
    'size += next_size;'
plant merge-of-both-without-unlinking-the-one-before memoman-core $core/src/free.rs \
    'links.unlink(control);
            block.set_header((*control).cookie, Header::tombstone());
            start = prev;' \
    'let _ = links; block.set_header((*control).cookie, Header::tombstone()); start = prev;'
plant split-one-quantum-short memoman-core $core/src/allocate.rs \
    'let rest = found.size - wanted;
        let mut taken = wanted;' \
    'let wanted = wanted - crate::config::QUANTUM; let rest = found.size - wanted; let mut taken = wanted;'
plant remainder-one-quantum-short memoman-core $core/src/allocate.rs \
    'let remainder = form_free(control, block.offset(wanted), rest);
                free_list::push_sized' \
    'let remainder = form_free(control, block.offset(wanted), rest - crate::config::QUANTUM); free_list::push_sized'
plant realloc-copies-the-new-size memoman-core $core/src/realloc.rs \
    'let kept = (size - HEADER).min(bytes);' \
    'let kept = bytes;'
plant memalign-without-overflow-test memoman-core $core/src/allocate.rs \
    'if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(refuse(control, bytes));
            }
            let size = block_size_for(bytes);
            // A freed block' \
    'let size = block_size_for(bytes);
            // A freed block'
plant lock-released-before-the-work memoman-global $global/src/lock.rs \
    'let result = work();
        self.put_back(taken);
        result' \
    'self.put_back(taken);
        work()'
plant fork-handlers-removed memoman-global $global/src/fork.rs \
    'unsafe { libc::pthread_atfork(Some(prefork), Some(postfork_parent), Some(postfork_child)) };' \
    'let _: [extern "C" fn(); 3] = [prefork, postfork_parent, postfork_child];'
plant fork-child-handler-removed memoman-global $global/src/fork.rs \
    'LOCK.postfork_child();' \
    ''

printf '%d %s, %d %s\n' $planted "$([ $places -eq 1 ] && echo places || echo planted)" $missed "$([ $places -eq 1 ] && echo gone || echo 'not caught')"
[ $planted -gt 0 ] && [ $missed -eq 0 ]
