# shellcheck shell=bash
# The programs of run.py: each function is one, run whole on the shim in an empty folder;
# server_NAME starts a server itself, by "${under[@]}", and its clients run without the shim.
# Everything that a function prints must be the same with and without the shim, and every command
# must succeed (set -eo pipefail). ROOT is the source tree, COMMIT its commit; a function that
# measures time or memory itself writes the files seconds and kib in $RESULTS.

under=(env)
[ -z "$UNDER" ] || under=(env "LD_PRELOAD=$UNDER" MEMOMAN_STATS=1)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT

# peak PID…: the largest peak of these processes, each of which must be on the shim at that time. A
# process that has ended is left out.
peak() {
    local pid maps
    for pid in "$@"; do
        maps=$(cat "/proc/$pid/maps" 2>/dev/null) || continue
        [ -n "$maps" ] || continue
        if [ -n "$UNDER" ] && [[ $maps != *"$UNDER"* ]]; then
            echo "process $pid is not on the shim" >&2
        fi
        awk '/^VmHWM/ { print $2 }' "/proc/$pid/status"
    done | sort -n | tail -n 1 >"$RESULTS/kib"
}
# spent PID…: the processor time of these processes and of their children that have ended.
spent() {
    local pid
    for pid in "$@"; do cat "/proc/$pid/stat"; done |
        awk -v tick="$(getconf CLK_TCK)" '
            { sum += $14 + $15 + $16 + $17 } END { print sum / tick }' >"$RESULTS/seconds"
}

for kind in compilers data languages pages servers; do
    . "$ROOT/benches/real-programs/$kind.sh"
done
