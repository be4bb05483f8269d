#!/usr/bin/env bash
# RealtimeSanitizer over the handle API: realtime.sh DIST
# The release archive, as it is shipped, linked into a program whose calls of it are marked nonblocking. One line a check;
# exits with 1 if one failed. The last two are self-tests: a blocking call planted on either side must be reported.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dist=$(cd "${1:-$root/dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

verdict() { # name, reason or nothing
    if [ -z "$2" ]; then
        echo "ok   realtime $1"
    else
        echo "FAIL realtime $1 $2"
        sed 's/^/       /' "$work/log" | head -40
        failed=1
    fi
}

if ! clang-22 -std=c23 -g -O1 -Wall -Wextra -Werror -fsanitize=realtime -I "$dist/include" "$root/c_tests/realtime/hot_calls.c" \
    "$dist/libmemoman.a" -lpthread -o "$work/hot_calls" >"$work/log" 2>&1; then
    verdict builds "does not compile"
    exit 1
fi
reason=
"$work/hot_calls" >"$work/log" 2>&1 || reason="exit status $?"
verdict hot_calls_never_block "$reason"
[ -n "$reason" ] || cat "$work/log"

# planted WHERE INTERCEPTED FUNCTION: what the report must name
planted() {
    reason=
    if "$work/hot_calls" "$1" >"$work/log" 2>&1; then
        reason="was not reported"
    elif ! grep -q 'RealtimeSanitizer: unsafe-library-call' "$work/log" || ! grep -Eq "$2" "$work/log" || ! grep -q "$3" "$work/log"; then
        reason="ended with another report"
    fi
    verdict "${1}_is_reported" "$reason"
}
planted planted_in_c 'Intercepted call to real-time unsafe function `malloc`' planted_in_c
planted planted_in_rust 'Intercepted call to real-time unsafe function `(mmap|mmap64|syscall|pthread_mutex_lock)`' planted_in_rust
exit $failed
