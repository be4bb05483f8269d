#!/usr/bin/env bash
# Real programs with and without the shim: the same output? scripts/programs.sh demo|check [DIST]
#
#   demo   a C program in a static array; then python, git, sqlite and gcc on the shim
#   check  these four and bash, perl, node, redis, cargo
#
# A program passes if it exits with 0 and prints the same both times, and if the shim reports at the
# end that it served the process.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=programs
case "${1:-}" in
    demo | check) mode=$1 ;;
    *) misused "demo or check" ;;
esac
dist=$(cd "${2:-$root/dist}" && pwd)
shim=$dist/libmemoman_preload.so
[ -r "$shim" ] || die "$shim is missing: run make first"
if [ $mode = demo ]; then
    echo "== examples/quickstart.c: an allocator in a static array"
    gcc -std=c99 -Wall -Wextra -Werror -O2 -I "$dist/include" "$root/examples/quickstart.c" \
        "$dist/libmemoman.a" -lpthread -o "$work/quickstart" && "$work/quickstart" || exit 1
    printf '\n== unmodified programs with LD_PRELOAD=libmemoman_preload.so\n'
fi
table=$work/table
printf '%-26s %12s %14s  %s\n' program allocations 'peak bytes' 'same output' >"$table"

# shimmed LOG COMMAND…: runs a command on memoman. Every process of it prints its table on stderr,
# to LOG, and so what the program itself prints there is not compared.
shimmed() {
    local log=$1
    shift
    MEMOMAN_STATS=1 LD_PRELOAD=$shim "$@" 2>"$log"
}

# of LOG ROW: the largest figure of that row among the processes that printed a table.
of() { sed -n "s/^memoman: $2 *\([0-9]*\)$/\1/p" "$1" | sort -n | tail -n 1; }

verdict() { # name, log, reason or nothing
    local name=$1 log=$2 reason=$3 allocations
    allocations=$(of "$log" allocations)
    if [ -z "$reason" ] && [ "${allocations:-0}" -eq 0 ]; then
        reason="the shim was not active"
    fi
    if [ -z "$reason" ]; then
        ok "$name"
        printf '%-26s %12d %14d  yes\n' "$name" "$allocations" "$(of "$log" 'peak bytes')" \
            >>"$table"
    else
        fail "$name $reason"
        grep -v '^memoman: [a-z ]* *[0-9]*$' "$log" | tail -n 5 | indented
        printf '%-26s %12s %14s  NO: %s\n' "$name" - - "$reason" >>"$table"
    fi
}

# real NAME COMMAND FUNCTION: a function of benches/real-programs/programs.sh, in its own folder.
real() {
    local name=$1 function=$3
    command -v "$2" >/dev/null || { fail "$name $2 is not installed: make setup"; return; }
    program "$name" bash -c 'cd "$(mktemp -d -p "$1")" && mkdir work && cd work || exit
        export RESULTS=${PWD%/*} ROOT=$2 COMMIT=HEAD UNDER=
        if [[ $3 == server_* ]]; then UNDER=${LD_PRELOAD:-} && unset LD_PRELOAD; fi
        . "$ROOT/benches/real-programs/programs.sh"
        "$3"
        status=$?
        [ ! -e server.err ] || cat server.err >&2
        exit $status' "$name" "$work" "$root" "$function"
}

# program NAME COMMAND ARGUMENTS…: both runs, compared by what they print.
program() {
    local name=$1 log=$work/$1.log reason=
    shift
    if ! command -v "$1" >/dev/null; then
        : >"$log"
        verdict "$name" "$log" "$1 is not installed: make setup"
        return
    fi
    "$@" >"$work/plain" 2>"$work/plain.err" ||
        reason="fails without the shim (exit status $?): $(tail -n 1 "$work/plain.err")"
    if [ -z "$reason" ]; then
        shimmed "$log" "$@" >"$work/shimmed" || reason="exit status $?"
        cmp -s "$work/plain" "$work/shimmed" || reason="${reason:+$reason, }output differs"
        [ -s "$work/plain" ] || reason="prints nothing: nothing was compared"
    fi
    verdict "$name" "$log" "$reason"
}

# The programs. Those that need more than one command are scripts, run whole on the shim.
script() { cat >"$work/$1"; }

script objects.py <<'PY'
import random
random.seed(1)
class Item:
    __slots__ = ("key", "text")
    def __init__(self, key):
        self.key = key
        self.text = "item %d" % key
items = [Item(random.randrange(10**9)) for _ in range(1_000_000)]
items.sort(key=lambda item: item.key)
print(len(items), items[0].text, items[500_000].text, items[-1].text)
index = {item.text: item for item in items}
del items
print(len(index), sum(item.key for item in index.values()))
PY

script history.sh <<SH
set -e
git -C "$root" -c safe.directory='*' log -p | LC_ALL=C sort | sha256sum
SH

script compile.sh <<SH
set -e
object=\$(mktemp -p "$work")
gcc -O1 -c "$work/generated.c" -o "\$object"
sha256sum <"\$object"
SH
awk 'BEGIN {
    print "#include <stdio.h>"
    for (i = 0; i < 12498; i++) {
        printf "static int f%d(int x)\n{\n    int y = x * %d;\n    if (y > %d)\n", i, i + 3, i * 5
        printf "        y -= f%d(x - 1);\n    return y;\n}\n\n", (i > 0 ? i - 1 : 0)
    }
    print "int main(void)\n{\n    printf(\"%d\\n\", f12497(3));\n    return 0;\n}"
    for (i = 0; i < 10; i++) print "/* end */" }' >"$work/generated.c"
[ "$(wc -l <"$work/generated.c")" -ge 99000 ] || die "awk did not generate the 100,000-line file"

script words.bash <<'SH'
declare -A count
for i in $(seq 1 20000); do
    word=w$((i * 7919 % 1013))
    count[$word]=$((${count[$word]:-0} + i))
done
for word in "${!count[@]}"; do echo "$word ${count[$word]}"; done | sort | sha256sum
text=
for i in $(seq 1 3000); do text+="line $i of a text that grows; "; done
echo "${#text} ${text//line/LINE}" | sha256sum
SH

program 'python3: 1M objects' env PYTHONMALLOC=malloc python3 "$work/objects.py"
program 'git log -p | sort' bash "$work/history.sh"
real 'sqlite3: join' sqlite3 program_sqlite
program 'gcc: 100,000 lines' bash "$work/compile.sh"
if [ $mode = check ]; then
    program 'bash -c: arrays, text' bash -c ". '$work/words.bash'"
    real 'perl: hashes, lists' perl program_perl
    real 'node: objects, threads' node program_node
    real 'redis-server: benchmark, save' redis-benchmark server_redis
    real 'cargo build' cargo program_cargo
fi

echo
cat "$table"
echo
finish
