"""Links the archive's library for the board: an extra script of PlatformIO."""

import pathlib

Import("env")  # noqa: F821

# The processor or the chip, and the library's folder with hardware and with software floats.
FOLDERS = {
    "cortex-m0": ("thumbv6m", "thumbv6m"),
    "cortex-m0plus": ("thumbv6m", "thumbv6m"),
    "cortex-m23": ("thumbv6m", "thumbv6m"),
    "cortex-m3": ("thumbv7m", "thumbv7m"),
    "cortex-m4": ("thumbv7em-hf", "thumbv7m"),
    "cortex-m7": ("thumbv7em-hf", "thumbv7m"),
    "cortex-m33": ("thumbv8m.main-hf", "thumbv7m"),
    "esp32c2": ("riscv32imc", "riscv32imc"),
    "esp32c3": ("riscv32imc", "riscv32imc"),
    "esp32c5": ("riscv32imac", "riscv32imac"),
    "esp32c6": ("riscv32imac", "riscv32imac"),
    "esp32c61": ("riscv32imac", "riscv32imac"),
    "esp32h2": ("riscv32imac", "riscv32imac"),
}

board = env.BoardConfig()  # noqa: F821
names = [board.get("build.cpu", ""), board.get("build.mcu", "")]
known = [name for name in names if name in FOLDERS]
if not known:
    raise SystemExit(f"memoman: no library for {' '.join(filter(None, names))}")
hard, soft = FOLDERS[known[0]]
folder = hard if "-mfloat-abi=hard" in env.get("CCFLAGS", []) else soft  # noqa: F821
# The script runs in the library's folder.
env.Append(LIBPATH=[str(pathlib.Path(folder).resolve())], LIBS=["memoman"])  # noqa: F821
