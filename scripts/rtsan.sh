#!/usr/bin/env bash
# RealtimeSanitizer over the handle API: scripts/rtsan.sh [DIST]
#
# The release archive, as it is shipped, in a program whose calls of it are marked nonblocking. The
# last two checks are self-tests: a blocking call planted on either side must be reported.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=realtime
dist=$(cd "${1:-$root/dist}" && pwd)

builds() {
    clang-22 -std=c23 -g -O1 -Wall -Wextra -Werror -fsanitize=realtime -I "$dist/include" \
        "$root/c_tests/realtime/hot_calls.c" "$dist/libmemoman.a" -lpthread -o "$work/hot_calls"
}
# planted WHERE FUNCTION: the report names the intercepted function and where it was called.
planted() {
    if "$work/hot_calls" "$1" >"$work/report" 2>&1; then
        echo "was not reported"
        return 1
    fi
    cat "$work/report"
    grep -q 'RealtimeSanitizer: unsafe-library-call' "$work/report" &&
        grep -q "$1" "$work/report" &&
        grep -Eq "Intercepted call to real-time unsafe function \`$2\`" "$work/report"
}

if check builds builds; then
    check hot_calls_never_block "$work/hot_calls"
    cat "$work/log"
    check planted_in_c_is_reported planted planted_in_c malloc
    check planted_in_rust_is_reported \
        planted planted_in_rust '(mmap|mmap64|syscall|pthread_mutex_lock)'
fi
finish
