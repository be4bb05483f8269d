#!/usr/bin/env bash
# memoman without an operating system: scripts/embedded.sh [firmware]
#
# Builds the library for a Cortex-M3 (Thumb-2), links the firmware of examples/firmware, runs it in
# QEMU and measures memoman's part of it; the FreeRTOS heap file, hosted and for the Cortex-M3; the
# microcontrollers' boards, C libraries and systems. The firmware's library, the small build
# (--cfg memoman_small), passes the C suite on this machine, as 64-bit and as 32-bit code.
# scripts/setup.sh check-embedded installs the tools. With `firmware`: that of the Cortex-M3 alone,
# which writes its records to target/embedded/cortex-m3/records.mmr.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cross.sh"
export PROGRESS=8
[ "${1:-firmware}" = firmware ] || misused "takes no argument, or firmware"
group=embedded
cd "$root"
scripts/setup.sh --check check-embedded || exit 1
folder=$target/embedded
m3=$folder/cortex-m3
x86=$target/boards/i686-small
# Bytes of memoman's code in a linked firmware. The texts of its messages and the compiler runtime's
# memcpy are printed beside it.
bound=3072
mkdir -p "$folder"

flags=(-std=c11 -mcpu=cortex-m3 -mthumb -Os -ffreestanding -ffunction-sections -fdata-sections
    -Wall -Wextra -Werror -pedantic -I "$m3/include")
# No C library, no start files: the firmware, memoman and the compiler's functions for divisions.
linking=(-nostdlib -T examples/firmware/lm3s6965.ld -Wl,--gc-sections -Wl,-z,noexecstack)

# The calls that memoman/record.h records.
recording=(-Wl,--wrap=mm_{malloc,realloc,free,add_pool})

firmware() { # name, further flags
    local name=$1
    shift
    arm-none-eabi-gcc "${flags[@]}" "$@" "${linking[@]}" "${recording[@]}" \
        "-Wl,-Map=$m3/$name.map" examples/firmware/*.c "$m3/libmemoman.a" -lgcc -o "$m3/$name.elf"
}

run() ( # name; the firmware writes records.mmr
    cd "$m3" || exit
    rm -f records.mmr
    timeout 60 qemu-system-arm -M lm3s6965evb -cpu cortex-m3 -display none -serial none \
        -monitor none -chardev stdio,id=host \
        -semihosting-config enable=on,target=native,chardev=host -kernel "$m3/$1.elf" </dev/null
)

firmware_runs() {
    run firmware >"$m3/firmware.txt" || { echo "exit status $?"; cat "$m3/firmware.txt"; return 1; }
    cat "$m3/firmware.txt"
    awk '
        $1 == "largest" { if (!seen++) before = $2; after = $2 }
        { figure[$1] = $2; last = $0 }
        /^misuse: double free$/ { reported++ }
        END {
            exit !(last == "ok" && reported == 1 && before == after &&
                figure["received"] > 0 && figure["refused"] > 0 &&
                figure["used"] + figure["free"] + figure["overhead"] == figure["pool"] &&
                figure["peak"] >= figure["used"])
        }' "$m3/firmware.txt"
}

# The debugger script reads the firmware's heap through QEMU's probe.
firmware_is_debugged() {
    local port=$((30000 + $$ % 20000)) emulator
    (cd "$m3" && exec timeout 60 qemu-system-arm -M lm3s6965evb -cpu cortex-m3 -display none \
        -serial none -monitor none -semihosting-config enable=on,target=native \
        -kernel firmware.elf -S -gdb "tcp::$port" </dev/null >/dev/null 2>&1) &
    emulator=$!
    timeout 60 gdb-multiarch -q -nx -batch -ex 'source packaging/debugger/memoman.py' \
        -ex 'set tcp connect-timeout 20' -ex "target remote :$port" -ex 'break mm_realloc' \
        -ex continue -ex 'ignore 1 300' -ex continue -ex 'memoman heap &control' \
        -ex 'memoman block $r1 &control' -ex kill "$m3/firmware.elf" >"$m3/debugger.txt" 2>&1
    wait $emulator
    cat "$m3/debugger.txt"
    grep -q '1 pools, 16376 bytes' "$m3/debugger.txt" && ! grep -q BROKEN "$m3/debugger.txt" &&
        grep -q 'is byte 0 of a block in use' "$m3/debugger.txt"
}

# The example with a mistake and no error handler ends in the fault handler, with its status.
firmware_traps() {
    local status
    firmware trap -DWITHOUT_HANDLER && run trap >"$m3/trap.txt"
    status=$?
    cat "$m3/trap.txt"
    echo "exit status $status"
    [ $status -eq 70 ] && [ "$(tail -n 1 "$m3/trap.txt")" = fault ]
}

# sizes MAP: bytes of memoman's code, its constants, the compiler runtime's code, variables in RAM.
sizes() { python3 examples/firmware/link_map.py "$1" libmemoman.a; }

# uses NAME FUNCTION…: sizes of a program that calls nothing but these.
uses() {
    local name=$1 function
    shift
    {
        echo 'void reset(void); void reset(void) { for (;;) {} }'
        for function in "$@"; do
            echo "void $function(void); void (*const use_$function)(void)"
            echo "    __attribute__((used, section(\".vectors\"))) = $function;"
        done
    } >"$m3/$name.c"
    arm-none-eabi-gcc "${flags[@]}" "${linking[@]}" "-Wl,-Map=$m3/$name.map" "$m3/$name.c" \
        "$m3/libmemoman.a" -lgcc -o "$m3/$name.elf" && sizes "$m3/$name.map"
}

# The same bytes counted another way: the symbols' sizes in the ELF file.
figures_agree() {
    local code runtime by_map by_symbols
    read -r code _ runtime _ < <(uses agree mm_create_for mm_add_pool mm_malloc mm_free)
    by_map=$((code + runtime))
    by_symbols=$(arm-none-eabi-nm -S --defined-only -t d "$m3/agree.elf" | awk '
        $3 ~ /^[tTwW]$/ && $4 != "reset" && $4 !~ /^use_/ && !seen[$1]++ { bytes += $2 }
        END { print bytes + 0 }')
    echo "map: $by_map, symbols: $by_symbols"
    # Between functions lies alignment.
    [ "$by_symbols" -gt 1000 ] && [ "$by_map" -ge "$by_symbols" ] &&
        [ "$by_map" -le $((by_symbols + 100)) ]
}

# Each row's program calls the functions of the rows above too.
measure() {
    local code constants runtime ram row name functions all=''
    printf '\nThumb-2, size of the calls in a firmware, in bytes:\n'
    printf '  %-38s %6s %10s %8s %5s\n' '' code constants memcpy RAM
    while IFS=: read -r name row functions; do
        all+=" $functions"
        # shellcheck disable=SC2086 # a list of words
        read -r code constants runtime ram < <(uses "$name" $all)
        printf '  %-38s %6d %10d %8d %5d\n' "$row" "$code" "$constants" "$runtime" "$ram"
    done <<'ROWS'
uses-least:create_for, add_pool, malloc, free:mm_create_for mm_add_pool mm_malloc mm_free
uses-stats:these and stats:mm_stats
uses-calloc:these and calloc:mm_calloc
uses-memalign:these and memalign:mm_memalign
uses-realloc:these and realloc:mm_realloc
uses-validate:these and validate:mm_validate
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
    if [ "$ram" -eq 0 ]; then
        ok "variables-of-$1 none"
    else
        fail "variables-of-$1 $ram bytes of .data or .bss"
    fi
}

freertos_hosted() {
    # As 32-bit code: the word size of FreeRTOS's processors.
    gcc -m32 -std=c11 -Wall -Wextra -Werror -pedantic -g -fsanitize=undefined \
        -fno-sanitize-recover=all -I "$x86/include" -I examples/freertos/stubs \
        examples/freertos/*.c "$x86/libmemoman.a" -lpthread -o "$x86/freertos" &&
        timeout 60 "$x86/freertos"
}

freertos_compiles() {
    arm-none-eabi-gcc "${flags[@]}" -I examples/freertos/stubs \
        -c examples/freertos/heap_memoman.c -o "$m3/heap_memoman.o"
}

# The small build on a machine with an operating system: the C suite as 64-bit and as 32-bit code,
# the programs of misuse. (make check runs the core's own tests of it.)
small_suite() {
    MM_OPS=40000 MM_FORKS=100 MEMOMAN_VARIANTS=small,misuse-small,i686-small \
        tests cargo test --package memoman-tests
}

# tests COMMAND…: it passes, and has run tests.
tests() {
    "$@" >"$folder/tests.log" 2>&1 &&
        grep -Eq '^test result: ok\. [1-9]' "$folder/tests.log" && return
    tail -n 25 "$folder/tests.log"
    return 1
}

# Rust's `core` is compiled for each target: most of the time of all this.
if [ $# -eq 0 ]; then
    check libraries build_libraries "$target/boards" thumbv7m thumbv6m thumbv7em-hf \
        thumbv8m.main-hf riscv32imac riscv32imc i686-small
fi
if check library-cortex-m3 scripts/build-lib.sh "$m3" cortex-m3 &&
    check firmware-links firmware firmware; then
    if check firmware-runs firmware_runs; then indented <"$m3/firmware.txt"; fi
    if [ $# -eq 1 ]; then
        finish
        exit
    fi
    check firmware-records-are-whole python3 examples/firmware/records.py "$m3/records.mmr"
    check firmware-is-debugged firmware_is_debugged
    check firmware-without-handler-traps firmware_traps
    check figures-agree figures_agree
    arm-none-eabi-size "$m3/firmware.elf"
    measure
    within malloc-free-stats "$m3/uses-stats.map"
    within firmware "$m3/firmware.map"
    check freertos-compiles freertos_compiles
fi
check freertos-runs freertos_hosted

# The boards, the C libraries' malloc family, other systems' heaps; each prints its own lines.
for part in boards libc-glue rtos; do
    scripts/$part.sh 2>&1 | relay
    [ "${PIPESTATUS[0]}" -eq 0 ] || grep -q '^FAIL' "$results" || fail "$part-has-ended-early"
done

check small-build-c-suite small_suite
finish
