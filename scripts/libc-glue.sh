#!/usr/bin/env bash
# The malloc family of picolibc and newlib over memoman, on a Cortex-M4F in QEMU:
# scripts/libc-glue.sh. scripts/setup.sh check-embedded installs the tools.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
PROGRESS=8
group=libc
cd "$root"
scripts/setup.sh --check check-embedded || exit 1
lib=$target/boards/thumbv7em-hf
out=$target/boards/libc
mkdir -p "$out"
flags=(-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -std=gnu11 -Os -fno-builtin -Wall
    -Wextra -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,--no-warn-rwx-segments
    -Wl,-z,noexecstack -I "$lib/include" examples/libc/malloc_memoman.c examples/libc/test.c)

# program NAME FLAGS…: runs it. No other malloc is in it: neither the C library's nor its source of
# memory.
program() {
    local name=$1
    shift
    arm-none-eabi-gcc "${flags[@]}" "$@" "$lib/libmemoman.a" "-Wl,-Map=$out/$name.map" \
        -o "$out/$name.elf" || return 1
    timeout 60 qemu-system-arm -M mps2-an386 -display none -serial none -monitor none \
        -chardev stdio,id=host -semihosting-config enable=on,target=native,chardev=host \
        -kernel "$out/$name.elf" </dev/null >"$out/$name.txt" ||
        { echo "exit status $?"; cat "$out/$name.txt"; return 1; }
    grep -q '^a line: 3.142' "$out/$name.txt" && grep -q '^sound' "$out/$name.txt" &&
        ! sed -n '/Linker script and memory map/,$p' "$out/$name.map" |
            grep -E '(mallocr|freer|callocr|sbrkr?|nano-malloc[a-z]*|libc_machine.*malloc)\.o'
}

picolibc() {
    program picolibc --specs=picolibc.specs --oslib=semihost --crt0=hosted \
        -Wl,--defsym=__flash=0,--defsym=__flash_size=0x400000 \
        -Wl,--defsym=__ram=0x20000000,--defsym=__ram_size=0x400000,--defsym=__stack_size=0x4000
}
newlib() { # name, further flags
    program "$@" --specs=rdimon.specs -DSEMIHOSTED_NEWLIB -nostartfiles -T examples/libc/newlib.ld \
        -Wl,--defsym=_init=main,--defsym=_fini=main examples/firmware/start.c \
        examples/firmware/semihosting.c
}

check library scripts/build-lib.sh "$lib" thumbv7em-hf
check picolibc picolibc
check newlib newlib newlib
check newlib-nano newlib newlib-nano --specs=nano.specs -u _printf_float
finish
