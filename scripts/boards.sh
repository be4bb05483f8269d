#!/usr/bin/env bash
# The microcontroller libraries on QEMU's boards: scripts/boards.sh [write]
#
# Builds the library for each target below, links examples/boards with it, runs it, and
# compares the figures with the table of docs/book/embedded.md; write: puts them there. A firmware
# in Rust, with alloc's collections, runs on the Cortex-M0.
# scripts/setup.sh check-embedded installs the tools.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cross.sh"
PROGRESS=8
group=boards
cd "$root"
page=docs/book/embedded.md
folder=$target/boards
mkdir -p "$folder"

common=(-std=c11 -Os -ffreestanding -ffunction-sections -fdata-sections -Wall -Wextra -Werror
    -nostdlib -Wl,--gc-sections -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments)

# link OUT COMPILER MEMORY SOURCE…: with the start-up code and linker script of the processor.
link() {
    local out=$1 compiler memory
    read -ra compiler <<<"$2"
    read -ra memory <<<"$3"
    shift 3
    if [ ${#memory[@]} -eq 0 ]; then
        set -- "$@" examples/boards/start_riscv.S -T examples/boards/riscv.ld
    else
        set -- "$@" examples/firmware/start.c -T examples/boards/cortex.ld
        set -- "$@" "-Wl,--defsym=flash=${memory[0]},--defsym=flash_size=${memory[1]}" \
            "-Wl,--defsym=ram=${memory[2]},--defsym=ram_size=${memory[3]}"
    fi
    "${compiler[@]}" "${common[@]}" -I "$lib/include" "$@" examples/firmware/semihosting.c \
        "$lib/libmemoman.a" -lgcc "-Wl,-Map=$out.map" -o "$out.elf"
}

# Flash of the calls that every firmware makes: code, constants, memcpy.
flash() {
    echo 'int main(void); int main(void) { return 0; }' >"$work/least.c"
    link "$folder/least" "$1" "$2" "$work/least.c" \
        -Wl,-u,mm_create_for,-u,mm_add_pool,-u,mm_malloc,-u,mm_free || return 1
    python3 examples/firmware/link_map.py "$folder/least.map" libmemoman.a |
        awk '{ print $1 + $2 + $3 }'
}

# The clock advances by the same amount with each instruction.
run() { # name, machine
    local machine
    read -ra machine <<<"$2$folder/$1.elf"
    timeout 120 "qemu-system-${machine[0]}" "${machine[@]:1}" -icount shift=6 -display none \
        -serial none -monitor none -chardev stdio,id=host \
        -semihosting-config enable=on,target=native,chardev=host </dev/null \
        >"$folder/$1.txt" || { echo "exit status $?"; cat "$folder/$1.txt"; return 1; }
    grep -qx sound "$folder/$1.txt"
}

# board NAME PROCESSOR COMPILER MEMORY MACHINE: its row of the page goes to $folder/rows.
board() {
    local name=$1 bytes
    lib=$folder/$name
    scripts/build-lib.sh "$lib" "$name" || return 1
    bytes=$(flash "$3" "$4") || return 1
    link "$folder/$name" "$3" "$4" examples/boards/main.c || return 1
    run "$name" "$5" || return 1
    awk -v name="$name" -v processor="$2" -v flash="$bytes" '
        { of[$1] = $2 }
        END {
            printf "| `%s` | %s | %d | %d, %d, %d | %d | %d, %d |\n", name, processor, flash,
                of["ram_4"], of["ram_16"], of["ram_64"], of["pair"], of["malloc"], of["free"]
            exit !(of["got"] > 1000 && of["refused"] > 0 && of["pair"] > 10)
        }' "$folder/$name.txt" >>"$folder/rows"
}

# Its rustc and profile are the library's, so that Rust's `core` is compiled already.
rust_firmware() {
    local boards=$folder
    lib=$folder/thumbv6m
    target_settings thumbv6m
    cross_cargo build --quiet --locked --manifest-path examples/boards/rust/Cargo.toml \
        --profile small -Zbuild-std=core,alloc,compiler_builtins || return 1
    link "$boards/rust" "$m0" "$microbit_memory" -Wl,-u,main \
        "$folder/$triple/small/libmemoman_board.a" || return 1
    folder=$boards
    run rust "$microbit"
}

scripts/setup.sh --check check-embedded || exit 1
: >"$folder/rows"
# Target, processor, compiler, memory (start and size of flash and RAM; none: QEMU's RISC-V board),
# machine.
row() { check "$1" board "$@"; }
arm='arm-none-eabi-gcc -mthumb'
riscv='riscv64-unknown-elf-gcc -mabi=ilp32'
virt='riscv32 -M virt -bios none'
m0="$arm -mcpu=cortex-m0" microbit='arm -M microbit -device loader,file='
microbit_memory='0 0x40000 0x20000000 0x4000'
row thumbv6m 'Cortex-M0, M0+' "$m0" "$microbit_memory" "$microbit"
row thumbv7m Cortex-M3 "$arm -mcpu=cortex-m3" '0 0x40000 0x20000000 0x10000' \
    'arm -M lm3s6965evb -kernel '
row thumbv7em-hf 'Cortex-M4F, M7' "$arm -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard" \
    '0 0x400000 0x20000000 0x400000' 'arm -M mps2-an386 -kernel '
row thumbv8m.main-hf Cortex-M33 "$arm -mcpu=cortex-m33 -mfpu=fpv5-sp-d16 -mfloat-abi=hard" \
    '0x10000000 0x400000 0x38000000 0x200000' 'arm -M mps2-an505 -kernel '
row riscv32imac RV32IMAC "$riscv -march=rv32imac_zicsr" '' "$virt -kernel "
row riscv32imc RV32IMC "$riscv -march=rv32imc_zicsr" '' "$virt -cpu rv32,a=false -kernel "
indented <"$folder/rows"
# The rows of the table between the markers of the page.
if [ "${1:-}" = write ]; then
    awk -v rows="$folder/rows" '
        /<!-- end -->/ { while ((getline line < rows) > 0) print line; inside = 0; print ""; }
        /<!-- boards -->/ { inside = 1 }
        !inside || !/^\| `|^$/ { print }' "$page" >"$work/page" && cp "$work/page" "$page"
fi
check figures-of-the-page diff <(sed -n '/<!-- boards -->/,/<!-- end -->/{/^| `/p}' "$page") \
    "$folder/rows"
check rust-firmware rust_firmware
finish
