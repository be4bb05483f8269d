#!/usr/bin/env bash
# Installs what make targets need beyond cargo, a C compiler and binutils.
#
#   scripts/setup.sh TARGET…          installs what the targets lack: Debian packages as root or by
#                                     sudo, the rest into target/. Without root: see --check.
#   scripts/setup.sh --check TARGET…  installs nothing; says for each missing tool what to do, in
#                                     one line, and fails if there is one
set -euo pipefail
. "$(dirname "$0")/lib.sh"
set -f # the table holds patterns

# How it is installed, its names there, the probe that finds it, the targets that need it, as shell
# patterns. What `all` needs, every target needs. A probe is a command, `.` for a command of the
# name, a path, `installed` (the Debian package is), or one of the functions probe_… below.
table() {
    awk '{ n = split($2, name, ","); for (i = 1; i <= n; i++) { $2 = name[i]; print } }' <<'TABLE'
rust   rust                  rust                all
apt    gcc                   c_compiler          all
apt    binutils              ld                  all
rustup rustfmt               rustfmt             check fmt
rustup clippy                clippy              check check-crates check-embedded release-check
apt    g++                   g++                 check* docs examples release-check fuzz mutants compare* bench* latency* fit see
apt    git                   git                 check demo release-check mutants planted programs
apt    perl                  perl                check planted symbolic programs
apt    python3               python3             check* demo docs* examples release-check mutants symbolic programs see
apt    python3-venv          venv                check check-workflows symbolic
apt    pkg-config            pkg-config          check check-install examples
apt    valgrind              valgrind            check wcet constant
apt    valgrind              /usr/include/valgrind/callgrind.h check wcet constant
apt    libc6-dbg             valgrind_works      check wcet constant
apt    gdb                   gdb                 check check-32
apt    gdb-multiarch         gdb-multiarch       check-embedded release-check
apt    clang-22              clang-22            check check-32 check-arm check-arm64 check-linux check-wasm check-install fuzz rtsan docs release-check
apt    llvm-22               llvm-symbolizer-22  check coverage fuzz rtsan
apt    libclang-rt-22-dev    /usr/lib/llvm-22/lib/clang/22/lib/*/libclang_rt.tsan* check fuzz rtsan
apt    libasan8,libubsan1    sanitizers          check check-install fuzz soak
apt    sqlite3               sqlite3             check demo programs see bench-record
apt    heaptrack             heaptrack_print     check see bench-record
apt    golang-go             go                  check see programs
apt    libunwind8            installed           check see bench-record
apt    nodejs                node                check check-wasm check-docs docs release-check programs
apt    redis-server,redis-tools installed        check programs see
apt    libsqlite3-dev        /usr/include/sqlite3.h check examples
apt    liblua5.4-dev         /usr/include/lua5.4/lua.h check examples
apt    debhelper             dh                  check check-install deb
apt    fakeroot              fakeroot            check check-install deb
apt    cmake                 .                   check check-install check-embedded release-check
apt    mandoc                .                   check check-install
apt    meson,ninja-build     installed           check check-install
apt    abigail-tools         abidw               check check-install abi
apt    man-db                man                 check check-install
apt    rustc-web,cargo-web,rust-web-src installed           check check-wasm check-32 check-arm check-arm64 check-linux check-windows check-crates check-embedded firmware-archives release-check mutants planted docs
apt    gcc-multilib          installed           check check-32 check-embedded release-check mutants planted
apt    libc++-22-dev,libc++abi-22-dev installed           check-install
apt    lld-22                wasm-ld-22          check-wasm docs release-check
apt    lld-22,qemu-user      installed           check-arm check-arm64 check-linux
apt    libc6-dev-armhf-cross,libgcc-12-dev-armhf-cross installed check-arm
apt    libc6-dev-arm64-cross,libgcc-12-dev-arm64-cross,libstdc++-12-dev-arm64-cross installed check-arm64
apt    libc6-dev-riscv64-cross,libgcc-12-dev-riscv64-cross,libstdc++-12-dev-riscv64-cross installed check-linux
apt    libc6-dev-s390x-cross,libgcc-12-dev-s390x-cross,libstdc++-12-dev-s390x-cross installed check-linux
apt    gcc-mingw-w64-x86-64-win32,g++-mingw-w64-x86-64-win32 installed check-windows
apt    wine64                /usr/lib/wine/wine64 check-windows
apt    lld-22,llvm-22,clang-22 installed         check-windows
apt    cpio                  cpio                check-arm64
apt    wasi-libc,libclang-rt-19-dev-wasm32 installed           check-wasm docs release-check
apt    gcc-arm-none-eabi     arm-none-eabi-gcc   check-crates check-embedded firmware-archives release-check
apt    gcc-riscv64-unknown-elf riscv64-unknown-elf-gcc check-embedded firmware-archives release-check
apt    picolibc-arm-none-eabi,libnewlib-arm-none-eabi installed check-embedded release-check
apt    qemu-system-arm       qemu-system-arm     check-arm64 check-crates check-embedded release-check
apt    qemu-system-misc      qemu-system-riscv32 check-embedded release-check
apt    libjemalloc2,libtcmalloc-minimal4,libmimalloc2.0 installed *-global
apt    chromium              .                   check programs docs-look see
apt    dafny                 dafny               proof
apt    default-jdk-headless  javac               programs
apt    imagemagick           installed           programs
apt    bc,ffmpeg,firefox-esr,inkscape,jq,lua5.4,make,mawk,memcached,ruby,samtools,wrk . programs
apt    ghostscript,libreoffice-writer-nogui,mariadb-server installed programs
apt    nginx-light,php-cli,postgresql,procps,r-base-core,time installed programs
apt    python3-hypothesis,python3-numpy,python3-pytest installed programs
cargo  mdbook@0.5.4          crate               docs release-check
cargo  cargo-mutants@27.1.0  crate               mutants
pip    symbolic              venv_of             check symbolic
pip    workflows             venv_of             check check-workflows
TABLE
}

# What the virtual environments target/NAME hold, as pip's arguments.
requirements() {
    case $1 in
        symbolic) cat "$root/tests/symbolic/requirements.txt" ;;
        workflows) echo check-jsonschema==0.39.0 ;;
    esac
}

minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")

probe_rust() {
    local minor
    command -v cargo >/dev/null &&
        minor=$(rustc --version 2>/dev/null | sed -E 's/^rustc 1\.([0-9]+).*/\1/') &&
        [ "${minor:-0}" -ge "${minimum#1.}" ]
}
probe_rustfmt() { cargo fmt --version >/dev/null 2>&1; }
probe_clippy() { cargo clippy --version >/dev/null 2>&1; }
probe_c_compiler() { command -v "$(cut -d ' ' -f 1 <<<"${CC:-cc}")" >/dev/null; }
probe_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
# valgrind needs the symbols of the dynamic linker.
probe_valgrind_works() { valgrind -q true 2>/dev/null; }
probe_sanitizers() {
    gcc -x c -fsanitize=address,undefined - -o /dev/null 2>/dev/null <<<'int main(void) {}'
}
probe_installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}
probe_crate() { grep -q "^\"${1/@/ } " "$target/tools/.crates.toml" 2>/dev/null; }
probe_venv_of() { [ "$(cat "$target/$1/installed" 2>/dev/null)" = "$(requirements "$1")" ]; }

# there NAME PROBE
there() {
    if declare -F "probe_$2" >/dev/null; then
        "probe_$2" "$1"
    elif [ "$2" = . ]; then
        there "$1" "$1"
    elif [[ $2 == */* ]]; then
        (set +f && compgen -G "$2" >/dev/null)
    else
        PATH=$PATH:/usr/sbin command -v "$2" >/dev/null
    fi
}

# advice HOW NAME: what to do about it, as a person would.
advice() {
    case $1 in
        rust) echo "Rust $minimum or newer is missing: https://rustup.rs, or your distribution" ;;
        apt) echo "$2 is missing: install the Debian package of that name" ;;
        rustup) echo "$2 is missing: rustup component add $2, or your distribution's package" ;;
        cargo) echo "${2%@*} is missing: run scripts/setup.sh with the network" ;;
        pip) echo "target/$2 is missing: run scripts/setup.sh with the network and python3-venv" ;;
    esac
}

# wanted PATTERNS: one of the patterns matches one of the targets, or is `all`.
wanted() {
    local pattern one
    for pattern in $1; do
        [ "$pattern" != all ] || return 0
        # shellcheck disable=SC2053 # a pattern
        for one in "${targets[@]}"; do [[ $one != $pattern ]] || return 0; done
    done
    return 1
}

# missing: the rows that are wanted and not there, as "HOW NAME", each once.
missing() {
    local how name probe users
    table | while read -r how name probe users; do
        if wanted "$users" && ! there "$name" "$probe"; then echo "$how $name"; fi
    done | sort -u
}

advise() { # from stdin: rows of `missing`
    local how name
    while read -r how name; do echo "setup: $(advice "$how" "$name")" >&2; done
}

install_packages() {
    local sudo=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || return 1
        sudo=(sudo)
    fi
    echo "setup: installing $*"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
        apt-get -o DPkg::Lock::Timeout=300 \
        install -y -qq --no-install-recommends "$@" >/dev/null
}

# install_other HOW NAME: what needs no root.
install_other() {
    local venv=$target/$2 only=() quiet=(--quiet)
    case $1 in
        rustup) ! command -v rustup >/dev/null || rustup component add "$2" ;;
        cargo)
            echo "setup: building $2, once: some minutes"
            # At a terminal cargo shows what it compiles.
            [ ! -t 2 ] || quiet=()
            # mdBook without its server: the site is files.
            [ "${2%@*}" != mdbook ] || only=(--no-default-features --features search)
            cargo install "${quiet[@]}" --locked --root "$target/tools" "$2" "${only[@]}"
            ;;
        pip)
            echo "setup: a virtual environment in $venv, once"
            requirements "$2" >"$work/requirements"
            python3 -m venv "$venv" && "$venv/bin/pip" install --quiet -r "$work/requirements" &&
                cp "$work/requirements" "$venv/installed"
            ;;
    esac
}

mode=install
case "${1:-}" in
    --check) mode=check && shift ;;
    '') misused "say for which targets" ;;
esac
targets=("$@")
for one in "${targets[@]}"; do
    grep -q "^$one:" "$root/Makefile" || misused "no target '$one' in the Makefile"
done

missing >"$work/missing"
[ -s "$work/missing" ] || exit 0
if [ $mode = install ]; then
    packages=$(sed -n 's/^apt //p' "$work/missing")
    # shellcheck disable=SC2086 # a list of words
    if [ -z "$packages" ] || install_packages $packages; then
        grep -v '^apt ' "$work/missing" >"$work/others" || true
        while read -r how name; do
            install_other "$how" "$name" </dev/null || true
        done <"$work/others"
        missing >"$work/missing"
    fi
fi
advise <"$work/missing"
[ ! -s "$work/missing" ]
