#!/usr/bin/env bash
# The tests must fail on each of these bugs, planted one at a time in a copy of the sources.
#
#   scripts/planted-bugs.sh [NAME…]    all bugs, or these
#   scripts/planted-bugs.sh --places   only whether each place is still in the sources: a second
#   scripts/planted-bugs.sh --plant DIR NAME…
#                                      only plants these bugs in DIR, a copy of the source tree
#
# Prints one line for each bug; fails if one is not caught, if its place in the sources is gone, or
# if the tests fail without it. The tests are the quick ones among the steps "rust", "core" and
# "32-bit" of `make check`. scripts/setup.sh planted installs the tools.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=planted
cd "$root"

copies=$target/planted
core=crates/memoman-core
global=crates/memoman-global
debug=crates/memoman-debug
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

plant prev-free-kept-on-exact-hit memoman-core $core/src/allocate.rs \
    'block.offset(size).clear_prev_free();
        block.set_used();' \
    'block.set_used();'
plant bitmap-bit-kept-on-pop memoman-core $core/src/free_list.rs \
    'head.write(end); (*this).unmark(bin);' 'head.write(end);'
plant bitmap-bit-kept-on-unlink memoman-core $core/src/free_list.rs \
    '// The list was this block alone. (*this).unmark(bin);' 'let _ = bin;'
plant first-level-bit-kept memoman-core $core/src/control.rs \
    'self.fl_bitmap &= !(1 << word);' ''
plant merge-without-unlinking-the-next memoman-core $core/src/free.rs \
    'links.unlink(control);
            form_free((*control).cookie, block, size);' \
    'let _ = links; form_free((*control).cookie, block, size);'
plant merge-without-unlinking-the-one-before memoman-core $core/src/free.rs \
    'links.unlink(control);
        block.set_header(cookie, Header::tombstone());
        next.set_prev_free();' \
    'let _ = links; block.set_header(cookie, Header::tombstone()); next.set_prev_free();'
plant merge-of-both-without-unlinking-the-next memoman-core $core/src/free.rs \
    'size += next_size; free_list::unlink(control, next);' 'size += next_size;'
plant merge-of-both-without-unlinking-the-one-before memoman-core $core/src/free.rs \
    'links.unlink(control); block.set_header((*control).cookie, Header::tombstone());
        start = prev;' \
    'let _ = links; block.set_header((*control).cookie, Header::tombstone()); start = prev;'
plant split-one-quantum-short memoman-core $core/src/allocate.rs \
    'let rest = room - wanted;
        let mut taken = wanted;' \
    'let wanted = wanted - crate::config::QUANTUM;
        let rest = room - wanted; let mut taken = wanted;'
plant remainder-one-quantum-short memoman-core $core/src/allocate.rs \
    'let remainder = form_free((*control).cookie, block.offset(wanted), rest);
                if ALIGNED' \
    'let less = rest - crate::config::QUANTUM;
                let remainder = form_free((*control).cookie, block.offset(wanted), less);
                if ALIGNED'
plant realloc-copies-the-new-size memoman-core $core/src/realloc.rs \
    'let kept = (size - HEADER).min(bytes);' \
    'let kept = bytes;'
plant memalign-without-overflow-test memoman-core $core/src/aligned.rs \
    '|| bytes.wrapping_sub(1) >= (*control).limit {
                return not_aligned' \
    '{
                return not_aligned'
plant lock-released-before-the-work memoman-global $global/src/process/lock.rs \
    'let result = work(); self.put_back(taken); result' 'self.put_back(taken); work()'
plant fork-handlers-removed memoman-global $global/src/process/fork.rs \
    'unsafe { libc::pthread_atfork(Some(prefork), Some(postfork_parent), Some(postfork_child)) };' \
    'let _: [extern "C" fn(); 3] = [prefork, postfork_parent, postfork_child];'
plant fork-child-handler-removed memoman-global $global/src/process/fork.rs \
    'LOCK.postfork_child(unsettled);' ''

# The same mistakes elsewhere: each way on which a block is taken, merged, grown, moved.
plant prev-free-kept-on-split-taken-whole memoman-core $core/src/allocate.rs \
    'free_list::push_sized(control, remainder, rest);
                }
            } else {
                block.offset(room).clear_prev_free();
                taken' \
    'free_list::push_sized(control, remainder, rest); } } else { taken'
plant prev-free-kept-on-wilderness-taken-whole memoman-core $core/src/allocate.rs \
    '(*control).unmark(WILDERNESS);
                block.offset(room).clear_prev_free();' \
    '(*control).unmark(WILDERNESS);'
plant bitmap-bit-kept-on-wilderness-taken-whole memoman-core $core/src/allocate.rs \
    '(*control).unmark(WILDERNESS);
                block.offset(room).clear_prev_free();' \
    'block.offset(room).clear_prev_free();'
plant shrink-without-unlinking-the-next memoman-core $core/src/realloc.rs \
    'mergeable_next(control, old)?.unlink(control); rest += old.next_header.size();' \
    'let _ = mergeable_next(control, old)?; rest += old.next_header.size();'
plant grow-forward-without-unlinking memoman-core $core/src/realloc.rs \
    'links.unlink(control); settle(control, old.block, old.header, total, size, have);' \
    'let _ = links; settle(control, old.block, old.header, total, size, have);'
plant grow-backward-without-unlinking-the-next memoman-core $core/src/realloc.rs \
    'mergeable_next(control, old)?.unlink(control); } else if' \
    'let _ = mergeable_next(control, old)?; } else if'
plant grow-backward-without-unlinking-the-one-before memoman-core $core/src/realloc.rs \
    'free_list::unlink(control, prev); let cookie' 'let cookie'
plant grow-backward-copies-the-new-size memoman-core $core/src/realloc.rs \
    'let kept = (have - HEADER).min(size - HEADER);' 'let kept = size - HEADER;'
plant extend-without-unlinking-the-tail memoman-core $core/src/pools.rs \
    'free_list::unlink_outlined(control, tail); block = tail;' 'block = tail;'
plant remove-pool-without-unlinking memoman-core $core/src/pools.rs \
    'free_list::unlink_outlined(control, first); (*control).pool_bytes' '(*control).pool_bytes'
plant remove-pool-lists-the-new-tail-twice memoman-core $core/src/pools.rs \
    'free_list::unlink_outlined(control, tail); free_list::push(control, WILDERNESS, tail);' \
    'free_list::push(control, WILDERNESS, tail);'
plant wilderness-listed-twice-when-it-is-no-longer memoman-core $core/src/pools.rs \
    'free_list::unlink_outlined(control, block); free_list::push(control' \
    'free_list::push(control'
plant memalign-sum-wraps memoman-core@i686 $core/src/aligned.rs \
    'if WORD == 4 && wraps' \
    'if WORD == 2 && wraps'
plant global-realloc-copies-the-new-size memoman-global $global/src/malloc.rs \
    'usable.min(bytes)' 'bytes'
plant large-realloc-copies-the-new-size memoman-global $global/src/process/large.rs \
    'usable = Tlsf::block_size(block.as_ptr())' 'usable = bytes'
plant debug-realloc-copies-the-new-size memoman-debug $debug/src/resize.rs \
    'old.size().min(bytes)' 'bytes'

if [ -n "$into" ]; then
    [ $planted -eq $# ] || die "no bug of one of these names: $*"
    exit 0
fi
words='%d planted, %d not caught\n'
[ $places -eq 0 ] || words='%d places, %d gone\n'
# shellcheck disable=SC2059 # the words are a format
printf "$words" $planted $missed
[ $planted -gt 0 ] && [ $missed -eq 0 ]
