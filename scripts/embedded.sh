#!/usr/bin/env bash
# memoman without an operating system: scripts/embedded.sh
#
# Builds the library for a Cortex-M3 (Thumb-2), links the firmware of examples/firmware, runs it in QEMU, measures what of
# it is memoman's; the FreeRTOS heap file, hosted and for the Cortex-M3; the library and an example for 32-bit x86. What such
# a firmware contains, the small build (--cfg memoman_small), passes the core's tests and the C suite on this machine.
# One line a check, "ok embedded …" or "FAIL embedded …"; exits with 1 if one failed. Tools: other-targets.sh setup.
set -uo pipefail
case "${1:-}" in
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    ?*) echo "embedded.sh: takes no argument; --help explains" >&2; exit 2 ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
folder=${CARGO_TARGET_DIR:-$root/target}/embedded
m3=$folder/cortex-m3
x86=$folder/i686
# Bytes of memoman's code in a linked firmware. The texts of its messages and the compiler runtime's memcpy are told beside it.
bound=3072
failures=0

for tool in arm-none-eabi-gcc qemu-system-arm; do
    command -v "$tool" >/dev/null || {
        echo "embedded.sh: $tool is missing: run scripts/other-targets.sh setup cortex-m3" >&2
        exit 1
    }
done
mkdir -p "$folder"

ok() { echo "ok   embedded $*"; }
fail() {
    echo "FAIL embedded $*"
    failures=$((failures + 1))
}

# check NAME COMMAND…: its output is shown when it fails.
check() {
    local name=$1
    shift
    if "$@" >"$folder/log" 2>&1; then
        ok "$name"
    else
        fail "$name"
        sed 's/^/       /' "$folder/log" | head -30
        return 1
    fi
}

flags=(-std=c11 -mcpu=cortex-m3 -mthumb -Os -ffreestanding -ffunction-sections -fdata-sections
    -Wall -Wextra -Werror -pedantic -I "$m3/include")
# No C library, no start files: what is linked is the firmware, memoman and, for divisions, the compiler's own functions.
linking=(-nostdlib -T examples/firmware/lm3s6965.ld -Wl,--gc-sections -Wl,-z,noexecstack)

firmware() { # name, further flags
    local name=$1
    shift
    arm-none-eabi-gcc "${flags[@]}" "$@" "${linking[@]}" "-Wl,-Map=$m3/$name.map" examples/firmware/*.c \
        "$m3/libmemoman.a" -lgcc -o "$m3/$name.elf"
}

run() { # name
    timeout 60 qemu-system-arm -M lm3s6965evb -cpu cortex-m3 -display none -serial none -monitor none \
        -chardev stdio,id=host -semihosting-config enable=on,target=native,chardev=host -kernel "$m3/$1.elf" </dev/null
}

firmware_runs() {
    run firmware >"$m3/firmware.txt" || { echo "exit status $?"; cat "$m3/firmware.txt"; return 1; }
    cat "$m3/firmware.txt"
    awk '
        $1 == "largest" { if (!seen++) before = $2; after = $2 }
        { figure[$1] = $2; last = $0 }
        /^misuse: double free$/ { told++ }
        END {
            exit !(last == "ok" && told == 1 && figure["received"] > 0 && figure["refused"] > 0 && before == after &&
                figure["used"] + figure["free"] + figure["overhead"] == figure["pool"] && figure["peak"] >= figure["used"])
        }' "$m3/firmware.txt"
}

# The example with a mistake and no error handler: it must end in the fault handler, with its status.
firmware_traps() {
    local status
    firmware trap -DWITHOUT_HANDLER && run trap >"$m3/trap.txt"
    status=$?
    cat "$m3/trap.txt"
    echo "exit status $status"
    [ $status -eq 70 ] && [ "$(tail -n 1 "$m3/trap.txt")" = fault ]
}

# sizes MAP: bytes of memoman's code, of its constants, of the compiler runtime's code, and of variables in RAM.
sizes() { python3 scripts/link_map.py "$1" libmemoman.a; }

# uses NAME FUNCTION…: sizes of a program that calls nothing but these.
uses() {
    local name=$1 function
    shift
    {
        echo 'void reset(void); void reset(void) { for (;;) {} }'
        for function in "$@"; do
            echo "void $function(void); void (*const use_$function)(void) __attribute__((used, section(\".vectors\"))) = $function;"
        done
    } >"$m3/$name.c"
    arm-none-eabi-gcc "${flags[@]}" "${linking[@]}" "-Wl,-Map=$m3/$name.map" "$m3/$name.c" "$m3/libmemoman.a" -lgcc -o "$m3/$name.elf" &&
        sizes "$m3/$name.map"
}

# The figure must be that of the same bytes counted another way: the symbols' sizes in the ELF file.
figures_agree() {
    local code runtime by_map by_symbols
    read -r code _ runtime _ < <(uses agree mm_create_for mm_add_pool mm_malloc mm_free)
    by_map=$((code + runtime))
    by_symbols=$(arm-none-eabi-nm -S --defined-only -t d "$m3/agree.elf" |
        awk '$3 ~ /^[tTwW]$/ && $4 != "reset" && $4 !~ /^use_/ && !seen[$1]++ { bytes += $2 } END { print bytes + 0 }')
    echo "map: $by_map, symbols: $by_symbols"
    # Between functions lies alignment.
    [ "$by_symbols" -gt 1000 ] && [ "$by_map" -ge "$by_symbols" ] && [ "$by_map" -le $((by_symbols + 100)) ]
}

measure() {
    local code constants runtime ram row name functions
    echo
    printf '%s\n' "Thumb-2, what a firmware's calls take, in bytes:"
    printf '  %-38s %6s %10s %8s %5s\n' "" code constants memcpy RAM
    while IFS=: read -r name row functions; do
        # shellcheck disable=SC2086 # a list of words
        read -r code constants runtime ram < <(uses "$name" $functions)
        printf '  %-38s %6d %10d %8d %5d\n' "$row" "$code" "$constants" "$runtime" "$ram"
    done <<'ROWS'
uses-least:create_for, add_pool, malloc, free:mm_create_for mm_add_pool mm_malloc mm_free
uses-stats:the same, stats:mm_create_for mm_add_pool mm_malloc mm_free mm_stats
uses-calloc:the same, calloc:mm_create_for mm_add_pool mm_malloc mm_free mm_stats mm_calloc
uses-memalign:the same, memalign:mm_create_for mm_add_pool mm_malloc mm_free mm_stats mm_calloc mm_memalign
uses-realloc:the same, realloc:mm_create_for mm_add_pool mm_malloc mm_free mm_stats mm_calloc mm_memalign mm_realloc
uses-validate:the same, validate:mm_create_for mm_add_pool mm_malloc mm_free mm_stats mm_calloc mm_memalign mm_realloc mm_validate
ROWS
    echo
}

# within NAME MAP: the bound holds, and memoman has no variables.
within() {
    local code ram
    read -r code _ _ ram < <(sizes "$2")
    if [ "$code" -gt 0 ] && [ "$code" -le $bound ]; then
        ok "code-of-$1 $code bytes, bound $bound"
    else
        fail "code-of-$1 $code bytes, bound $bound"
    fi
    if [ "$ram" -eq 0 ]; then ok "variables-of-$1 none"; else fail "variables-of-$1 $ram bytes of .data or .bss"; fi
}

freertos_hosted() {
    # Built as 32-bit code: the word size of the processors that it is for.
    gcc -m32 -std=c11 -Wall -Wextra -Werror -pedantic -g -fsanitize=undefined -fno-sanitize-recover=all -I "$x86/include" -I examples/freertos/stubs \
        examples/freertos/*.c "$x86/libmemoman.a" -lpthread -o "$x86/freertos" && timeout 60 "$x86/freertos"
}

freertos_compiles() {
    arm-none-eabi-gcc "${flags[@]}" -I examples/freertos/stubs -c examples/freertos/heap_memoman.c -o "$m3/heap_memoman.o"
}

x86_example() {
    gcc -m32 -std=c99 -Wall -Wextra -Werror -O2 -I "$x86/include" examples/quickstart.c "$x86/libmemoman.a" -lpthread -o "$x86/quickstart" &&
        timeout 60 "$x86/quickstart" >"$x86/quickstart.txt" && cat "$x86/quickstart.txt" && grep -q '^valid: yes$' "$x86/quickstart.txt" &&
        file_is_32_bit "$x86/quickstart"
}
# The core's tests, the C suite and the programs of misuse, all of which run on a machine only: as 64-bit and as 32-bit code.
small_core() {
    RUSTFLAGS="${RUSTFLAGS:-} --cfg memoman_small" cargo clippy --quiet --workspace --all-targets --target-dir "${folder%/*}/small" -- -D warnings &&
        RUSTFLAGS="${RUSTFLAGS:-} --cfg memoman_small" tests cargo test --package memoman-core --target-dir "${folder%/*}/small"
}
small_suite() { MEMOMAN_VARIANTS=small,misuse-small tests cargo test --package memoman-tests; }
small_32() { tests scripts/other-targets.sh check i686-small; }

# tests COMMAND…: it passes, and there were tests.
tests() {
    "$@" >"$folder/tests.log" 2>&1 && grep -Eq '^test result: ok\. [1-9]' "$folder/tests.log" && return
    tail -n 25 "$folder/tests.log"
    return 1
}
file_is_32_bit() { grep -q ELF32 <<<"$(readelf -h "$1")"; }

if check library-cortex-m3 scripts/build-lib.sh "$m3" cortex-m3 && check firmware-links firmware firmware; then
    if check firmware-runs firmware_runs; then sed 's/^/       /' "$m3/firmware.txt"; fi
    check firmware-without-handler-traps firmware_traps
    check figures-agree figures_agree
    arm-none-eabi-size "$m3/firmware.elf"
    measure
    within malloc-free-stats "$m3/uses-stats.map"
    within firmware "$m3/firmware.map"
    check freertos-compiles freertos_compiles
fi
if check library-i686 scripts/build-lib.sh "$x86" i686; then
    check example-i686 x86_example
    check freertos-runs freertos_hosted
fi
check small-build-core small_core
check small-build-c-suite small_suite
check small-build-32-bit small_32
[ $failures -eq 0 ]
