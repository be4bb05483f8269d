#!/usr/bin/env bash
# The heaps of other systems, each on a board of QEMU, and the manifests of the firmware archive:
# scripts/rtos.sh. FreeRTOS: with its kernel, whose C sources the crate freertos-next (MIT) carries.
# Zephyr, NuttX and ESP-IDF: against stubs of the system's headers.
# scripts/setup.sh check-embedded installs the tools.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
PROGRESS=8
group=rtos
cd "$root"
scripts/setup.sh --check check-embedded || exit 1
out=$target/boards/rtos
mkdir -p "$out"
arm=$target/boards/thumbv7em-hf riscv=$target/boards/riscv32imac
component=packaging/firmware/CMakeLists.txt

flags=(-std=c11 -Os -g -ffreestanding -ffunction-sections -fdata-sections -Wall -Wextra -Wshadow
    -Wpointer-arith -Wcast-align -Wundef -Wwrite-strings -Werror -nostdlib -Wl,--gc-sections
    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments)

# run NAME EMULATOR…: the test prints "sound" last and ends with status 0.
run() {
    local name=$1
    shift
    timeout 60 "$@" -display none -serial none -monitor none -chardev stdio,id=host \
        -semihosting-config enable=on,target=native,chardev=host -kernel "$out/$name.elf" \
        </dev/null >"$out/$name.txt" || { echo "exit status $?"; cat "$out/$name.txt"; return 1; }
    [ "$(tail -n 1 "$out/$name.txt")" = sound ]
}

on_arm() { # name, source, library
    arm-none-eabi-gcc "${flags[@]}" -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard \
        -I "examples/$1/stubs" -I "$arm/include" "$2" "examples/$1/test.c" \
        examples/firmware/{start,semihosting}.c "$3" -lgcc -T examples/boards/cortex.ld \
        -Wl,--defsym=flash=0,--defsym=flash_size=0x400000 \
        -Wl,--defsym=ram=0x20000000,--defsym=ram_size=0x400000 -o "$out/$1.elf" &&
        run "$1" qemu-system-arm -M mps2-an386
}

# freertos_kernel: where cargo puts the kernel's sources; nothing of the crate is compiled.
freertos_kernel() {
    mkdir -p "$work/kernel" && : >"$work/kernel/lib.rs" && cat >"$work/kernel/Cargo.toml" <<'END'
[package]
name = "kernel"
edition = "2024"
[lib]
path = "lib.rs"
[dependencies]
freertos-next = "=0.12.0"
[workspace]
END
    cargo metadata --quiet --format-version 1 --manifest-path "$work/kernel/Cargo.toml" |
        python3 -c 'import json, pathlib, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == "freertos-next":
        print(pathlib.Path(package["manifest_path"]).parent / "FreeRTOS-Kernel")'
}
freertos() {
    local kernel file objects=() cpu=(-mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard)
    kernel=$(freertos_kernel) && [ -d "$kernel" ] || return 1
    local include=(-I examples/freertos/kernel -I "$kernel/include"
        -I "$kernel/portable/GCC/ARM_CM4F" -I "$arm/include")
    for file in tasks queue list portable/GCC/ARM_CM4F/port; do
        objects+=("$out/${file##*/}.o")
        arm-none-eabi-gcc -std=c11 -Os -g -ffreestanding -ffunction-sections -fdata-sections \
            "${cpu[@]}" "${include[@]}" -c "$kernel/$file.c" -o "${objects[-1]}" || return 1
    done
    arm-none-eabi-gcc "${flags[@]}" "${cpu[@]}" "${include[@]}" \
        examples/freertos/{heap_memoman,kernel/main}.c examples/firmware/{start,semihosting}.c \
        "${objects[@]}" "$arm/libmemoman.a" -lgcc -T examples/boards/cortex.ld \
        -Wl,--defsym=flash=0,--defsym=flash_size=0x400000 \
        -Wl,--defsym=ram=0x20000000,--defsym=ram_size=0x400000 -o "$out/freertos.elf" &&
        run freertos qemu-system-arm -M mps2-an386
}

zephyr() { on_arm zephyr examples/zephyr/memoman_heap.c "$arm/libmemoman.a"; }

# NuttX has functions of the same names: memoman's get others.
nuttx() {
    arm-none-eabi-objcopy --redefine-syms=examples/nuttx/names "$arm/libmemoman.a" \
        "$out/libmemoman.a" &&
        on_arm nuttx examples/nuttx/mm_memoman.c "$out/libmemoman.a"
}

# The functions that the component wraps.
wrapped() { sed -n '/foreach(name/,/)/{s/.*foreach(name//; s/).*//; p}' $component; }

# Linked as the component links it. Each of the functions exists.
esp_idf() {
    local name wraps=()
    for name in $(wrapped); do wraps+=("-Wl,--wrap=multi_heap_$name"); done
    [ ${#wraps[@]} -gt 15 ] &&
        riscv64-unknown-elf-gcc "${flags[@]}" -march=rv32imac_zicsr -mabi=ilp32 "${wraps[@]}" \
            -I examples/esp-idf/stubs -I "$riscv/include" examples/esp-idf/*.c \
            examples/boards/start_riscv.S examples/firmware/semihosting.c \
            -T examples/boards/riscv.ld "$riscv/libmemoman.a" -lgcc -o "$out/esp-idf.elf" &&
        riscv64-unknown-elf-gcc "${flags[@]}" -march=rv32imac_zicsr -mabi=ilp32 -c \
            -I examples/esp-idf/stubs -I "$riscv/include" examples/esp-idf/multi_heap_memoman.c \
            -o "$out/esp-idf.o" || return 1
    diff <(wrapped | xargs -n 1 | sort) <(riscv64-unknown-elf-nm "$out/esp-idf.o" |
        sed -n 's/.* T __wrap_multi_heap_//p' | sort) &&
        run esp-idf qemu-system-riscv32 -M virt -bios none
}

# chosen SETTINGS WANTED: which library the Zephyr module takes, by CMake itself.
chosen() {
    cat >"$work/module.cmake" <<END
function(zephyr_include_directories)
endfunction()
function(zephyr_library_named)
endfunction()
function(zephyr_library_sources)
endfunction()
function(zephyr_library_import name file)
  message(STATUS "\${file}")
endfunction()
set(CONFIG_MEMOMAN y)
$1
include($root/packaging/firmware/zephyr/CMakeLists.txt)
END
    # CMake fails where no library fits.
    grep -q "$2" <<<"$(cmake -P "$work/module.cmake" 2>&1)"
}
zephyr_module() {
    chosen 'set(CONFIG_CPU_CORTEX_M0PLUS y)' /thumbv6m/libmemoman.a &&
        chosen 'set(CONFIG_CPU_CORTEX_M4 y)' /thumbv7m/libmemoman.a &&
        chosen 'set(CONFIG_CPU_CORTEX_M4 y)
                set(CONFIG_FP_HARDABI y)' /thumbv7em-hf/libmemoman.a &&
        chosen 'set(CONFIG_CPU_CORTEX_M33 y)
                set(CONFIG_FP_HARDABI y)' /thumbv8m.main-hf/libmemoman.a &&
        chosen 'set(CONFIG_RISCV y)' /riscv32imc/libmemoman.a &&
        chosen 'set(CONFIG_XTENSA y)' 'no library for this processor'
}

# component CHIP WANTED: the same of ESP-IDF's component.
component_of() {
    cat >"$work/component.cmake" <<END
function(idf_component_register)
endfunction()
function(idf_build_get_property result)
  set(\${result} $1 PARENT_SCOPE)
endfunction()
function(add_prebuilt_library name file)
  message(STATUS "\${file}")
endfunction()
function(target_link_libraries)
endfunction()
set(CONFIG_MEMOMAN_HEAPS y)
include($root/$component)
END
    grep -q "$2" <<<"$(cmake -P "$work/component.cmake" 2>&1)"
}
esp_idf_component() {
    component_of esp32c3 /riscv32imc/libmemoman.a &&
        component_of esp32c6 /riscv32imac/libmemoman.a &&
        component_of esp32s3 'no library for esp32s3'
}

# PlatformIO's script, as PlatformIO runs it.
platformio() {
    python3 - packaging/firmware/platformio.py <<'PY'
import sys

script = open(sys.argv[1], encoding="utf-8").read()


class Env(dict):
    def __init__(self, board, flags):
        super().__init__(CCFLAGS=flags)
        self.board, self.added = board, {}

    def BoardConfig(self):
        return self.board

    def Append(self, **added):
        self.added = added


def folder(board, *flags):
    env = Env(board, list(flags))
    exec(compile(script, sys.argv[1], "exec"), {"Import": lambda name: None, "env": env})
    assert env.added["LIBS"] == ["memoman"]
    return env.added["LIBPATH"][0].rpartition("/")[2]


assert folder({"build.cpu": "cortex-m0plus", "build.mcu": "rp2040"}) == "thumbv6m"
assert folder({"build.cpu": "cortex-m4"}) == "thumbv7m"
assert folder({"build.cpu": "cortex-m4"}, "-mfloat-abi=hard") == "thumbv7em-hf"
assert folder({"build.mcu": "esp32c3"}) == "riscv32imc"
try:
    folder({"build.mcu": "atmega328p"})
except SystemExit as refusal:
    assert "no library for atmega328p" in str(refusal)
else:
    sys.exit("an AVR was served")
PY
}

check library-arm scripts/build-lib.sh "$arm" thumbv7em-hf
check library-riscv scripts/build-lib.sh "$riscv" riscv32imac
if check freertos freertos; then indented <"$out/freertos.txt"; fi
check zephyr zephyr
check nuttx nuttx
check esp-idf esp_idf
check zephyr-module zephyr_module
check esp-idf-component esp_idf_component
check platformio platformio
finish
