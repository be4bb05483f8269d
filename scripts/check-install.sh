#!/usr/bin/env bash
# Manual pages, ABI, `make install`, Debian packages, each used as a stranger would.
#
#   scripts/check-install.sh [DIST [quick|full [man|abi|tree|tools|source_tree|deb]…]]
#
# The tool `memoman` is a part of it where DIST has it (make tools). full: with lintian, and the
# same packages from a second build. The packages are installed by dpkg in a copy of this system
# without the source tree: an overlay, in a mount namespace; where the system refuses that, in a
# folder.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=install
dist=$(cd "${1:-$root/dist}" && pwd)
extent=${2:-quick}
export DIST=$dist
# Variables of the user, or handed down by make.
unset MAKELEVEL PREFIX DESTDIR LIBDIR INCLUDEDIR MANDIR DOCDIR
version=$(memoman_version)
pages=$root/packaging/man/generate.sh
header=$root/include/memoman.h

# mandoc may complain of our pages that are not installed, and of a system that it does not know.
lint() {
    local page complaints bad=0
    local allowed='referenced manual not found|operating system explicitly specified'
    for page in "$work"/man/*; do
        if head -c 4 "$page" | grep '^\.so ' >/dev/null; then
            [ -e "$work/man/$(basename "$(cut -d' ' -f2 "$page")")" ] ||
                { echo "$page leads nowhere"; bad=1; }
            continue
        fi
        complaints=$(mandoc -T lint "$page" 2>/dev/null | grep -vE "$allowed")
        [ -z "$complaints" ] || { echo "$complaints"; bad=1; }
    done
    return $bad
}

every_function_has_a_page() {
    local name missing=0
    while read -r name; do
        [ -e "$work/man/$name.3" ] || { echo "no page: $name"; missing=1; }
    done < <(header_functions "$header")
    return $missing
}

# The program in memoman(7), as a reader would copy it.
page_program() {
    mandoc -T ascii "$work/man/memoman.7" | sed 's/.\x08//g' |
        sed -n '/#include <memoman.h>$/h; /^ *#include <stdio.h>/,/^ *}$/p' |
        sed '1i #include <memoman.h>' >"$work/page.c"
    cc -std=c99 -I "$root/include" "$work/page.c" "$dist/libmemoman.a" -lpthread -o "$work/page" &&
        "$work/page"
}

man() {
    expect man:written 0 '' "$pages" "$header" "$version" "$work/man"
    expect man:lint 0 '' lint
    expect man:every_function_has_a_page 0 '' every_function_has_a_page
    expect man:program_of_memoman_7 0 'hello from a static array' page_program
    sed 's/^\/\* ---- Version -*/\/* ---- Versions --/' "$header" >"$work/renamed.h"
    expect man:section_without_page_is_refused 1 "no section 'Version'" \
        "$pages" "$work/renamed.h" "$version" "$work/none"
}

# changed SED: the ABI check of a header that was edited.
changed() {
    sed -E "$1" "$header" >"$work/changed.h"
    ! cmp -s "$header" "$work/changed.h" && HEADER=$work/changed.h "$root/packaging/abi.sh" check
}

abi() {
    expect abi:as_recorded 0 '' "$root/packaging/abi.sh" check
    expect abi:notices_new_function 1 'make abi' \
        changed 's/^void mm_destroy\(.*\);/&\nvoid mm_new(void);/'
    expect abi:notices_missing_function 1 'would break' changed '/^void mm_destroy\(.*\);/d'
    expect abi:notices_other_result 1 'would break' \
        changed 's/^size_t mm_size\(void\);/unsigned mm_size(void);/'
    expect abi:notices_other_layout 1 'would break' \
        changed 's/^    size_t state\[4\];/    size_t state[8];/'
    expect abi:notices_field_in_the_middle 1 'would break' \
        changed 's/^    size_t failed_requests;/    size_t more;\n&/'
    expect abi:lets_figures_grow 0 '' changed 's/^    size_t cached;/&\n    size_t more;/'
}

install_sh() { env "${@:2}" "$root/packaging/install.sh" "$1"; }
by_make() { make --no-print-directory -C "$root" "$@" DIST="$dist"; }
nothing_left() { ! find "$1" -not -type d | grep .; }
links_are_right() {
    [ "$(readlink "$1/libmemoman.so")" = libmemoman.so.0 ] &&
        [ "$(readlink "$1/libmemoman.so.0")" = "libmemoman.so.$version" ] &&
        [ -f "$1/libmemoman.so.$version" ] && [ ! -L "$1/libmemoman.so.$version" ]
}

# use NAME PREFIX LIBDIR: a stranger's programs with the installation in PREFIX.
use() {
    local folder=$work/use-$1
    cp -r "$root/packaging/example" "$folder"
    PKG_CONFIG_PATH=$3/pkgconfig CMAKE_PREFIX_PATH=$2 LD_LIBRARY_PATH=$3 INCLUDEDIR=$2/include \
        FLAGS="-I $2/include -L $3" PRELOAD=$3/libmemoman_preload.so \
        "$root/packaging/use.sh" "$1" "$folder" | relay
}

# compatible VERSION WANTED: the answer of find_package if memoman had VERSION.
compatible() {
    local parts
    IFS=. read -ra parts <<<"$2"
    sed "s|@VERSION@|$1|" "$root/packaging/cmake/memoman-config-version.cmake.in" \
        >"$work/version.cmake"
    cat >"$work/request.cmake" <<END
set(PACKAGE_FIND_VERSION $2)
set(PACKAGE_FIND_VERSION_COUNT ${#parts[@]})
set(PACKAGE_FIND_VERSION_MAJOR ${parts[0]})
set(PACKAGE_FIND_VERSION_MINOR ${parts[1]:-0})
include($work/version.cmake)
message("$1 for $2: \${PACKAGE_VERSION_COMPATIBLE}\${PACKAGE_VERSION_EXACT}")
END
    cmake -P "$work/request.cmake"
}

cmake_versions() {
    local case
    for case in '0.1.0 0 TRUE' '0.1.0 0.1 TRUETRUE' '0.1.3 0.1.2 TRUE' '0.1.3 0.1.3 TRUETRUE' \
        '0.1.3 0.1.4 FALSE' '0.2.0 0.1 FALSE' '0.2.0 0.3 FALSE' '1.4.2 1 TRUE' '1.4.2 1.3 TRUE' \
        '1.4.2 1.5 FALSE' '1.4.2 0.9 FALSE' '1.4.2 0 FALSE' '12.0.0 1 FALSE' '1.0.0 2 FALSE'; do
        set -- $case
        compatible "$1" "$2" >"$work/answer" 2>&1
        grep -qx "$1 for $2: $3" "$work/answer" ||
            { echo "wanted $case"; cat "$work/answer"; return 1; }
    done
}

# refused NAME TEXT ARGUMENTS-OF-INSTALL_SH…
refused() { expect "wrong:$1" 0 "$2" one_line install_sh "${@:3}"; }

tree() {
    expect tree:cmake_versions 0 '' cmake_versions
    local prefix=$work/usr/local
    expect tree:make_install 0 "memoman $version is in" by_make install PREFIX="$prefix"
    expect tree:links 0 '' links_are_right "$prefix/lib"
    use tree "$prefix" "$prefix/lib"
    echo "not of memoman" >"$prefix/include/other.h"
    expect tree:make_uninstall 0 'files removed' by_make uninstall PREFIX="$prefix"
    expect tree:keeps_what_is_not_its_own 0 'not of memoman' cat "$prefix/include/other.h"
    rm "$prefix/include/other.h"
    expect tree:nothing_is_left 0 '' nothing_left "$prefix"

    # Staged in DESTDIR, made for PREFIX.
    local staged=(PREFIX=/opt/memoman DESTDIR="$work/stage")
    expect tree:destdir 0 '' by_make install "${staged[@]}"
    expect tree:destdir_is_in_no_file 1 '' grep -rlI "$work" "$work/stage"
    expect tree:prefix_in_pc 0 'prefix=/opt/memoman' \
        cat "$work/stage/opt/memoman/lib/pkgconfig/memoman.pc"
    expect tree:destdir_uninstall 0 'files removed' by_make uninstall "${staged[@]}"
    expect tree:destdir_nothing_is_left 0 '' nothing_left "$work/stage"
    # Folders of a distribution.
    local libdir=$work/multi/lib/some-machine
    expect tree:libdir 0 '' install_sh install PREFIX="$work/multi" LIBDIR="$libdir"
    expect tree:libdir_cmake 0 'include" ABSOLUTE' \
        grep '/../../include' "$libdir/cmake/memoman/memoman-config.cmake"

    expect tree:prefix_that_pkg_config_quotes 0 'eval "cc' \
        install_sh install PREFIX="$work/präfix"
    # A mistake gets one line that says what to do.
    refused relative_prefix 'give one that begins with /' install PREFIX=usr
    refused empty_prefix 'give one that begins with /' install PREFIX=
    refused blank_in_prefix 'choose a path without' install PREFIX="$work/a b"
    refused prefix_below_a_file 'is not a folder' install PREFIX="$work/multi/include/memoman.h/x"
    # shellcheck disable=SC2016 # the message's own quotes
    refused nothing_built 'run `make` first' install PREFIX="$work/none" DIST="$work/none"
    refused nothing_installed 'give the PREFIX' uninstall PREFIX="$work/none"
    local user=()
    [ "$(id -u)" -ne 0 ] || user=(setpriv --reuid=65534 --clear-groups)
    if "${user[@]}" test -r "$root/packaging/install.sh"; then
        expect wrong:not_writable 0 'run as root' one_line "${user[@]}" \
            env PREFIX=/usr DIST="$dist" "$root/packaging/install.sh" install
    else
        skip "wrong:not_writable root may write everywhere, and another user may not read $root"
    fi
}

# The installed tool finds its recorder, and has its pages and completions.
records() {
    (cd "$work" && "$1" record --quiet -o installed.mmt -- ls / >/dev/null &&
        "$1" report installed.mmt -o installed.html && grep -c . installed.html)
}
completes() {
    bash -c '. "$1" && complete -p memoman' bash "$1/share/bash-completion/completions/memoman"
}
tools() {
    if [ ! -x "$dist/bin/memoman" ]; then
        skip "tools:installed there is no tool in $dist: make tools"
        return
    fi
    local prefix=$work/tools
    expect tools:make_install 0 "memoman $version is in" install_sh install PREFIX="$prefix"
    expect tools:records 0 '' records "$prefix/bin/memoman"
    expect tools:has_a_page 0 'memoman-record' \
        mandoc -T ascii "$prefix/share/man/man1/memoman-record.1"
    expect tools:completes 0 '-F _memoman' completes "$prefix"
    expect tools:uninstall 0 'files removed' install_sh uninstall PREFIX="$prefix"
    expect tools:nothing_is_left 0 '' nothing_left "$prefix"
}

# Runs in the copy of the system, which has nothing of memoman but the packages. Arguments: a folder
# for the copy, the packages, the source tree.
# shellcheck disable=SC2016 # for another shell
in_copy='
set -u
copy=$1/ov/root
mount -t tmpfs tmpfs "$1/ov" && cd "$1/ov" && mkdir upper work root &&
    mount -t overlay overlay -o "lowerdir=/,upperdir=upper,workdir=work" root &&
    mount --rbind /dev "$copy/dev" && mount -t proc proc "$copy/proc" &&
    mount -t tmpfs tmpfs "$copy/tmp" || exit 9
for hidden in "$3" "${HOME:-/root}" /usr/local; do
    [ "$hidden" = / ] || [ ! -d "$copy$hidden" ] || mount -t tmpfs tmpfs "$copy$hidden" || exit 9
done
mkdir "$copy/tmp/stranger" && cp "$2"/*.deb "$copy/tmp" &&
    cp -r "$3/packaging/example" "$copy/tmp/stranger/empty" &&
    cp "$3/packaging/use.sh" "$copy/tmp/stranger" || exit 9
cat >"$copy/tmp/stranger/session" <<\END
say() {
    if [ "$1" -eq 0 ]; then
        echo "ok install deb:$2"
    else
        echo "FAIL install deb:$2 $(tail -c 400 /tmp/log | tr "\n" " ")"
    fi
}
none() { find /usr /etc /opt /var -name "*memoman*" >/tmp/log 2>/dev/null; [ ! -s /tmp/log ]; }
echo began
none; say $? nothing_is_there_before
dpkg -i --path-include="/usr/share/*" /tmp/*.deb >/tmp/log 2>&1; say $? dpkg_installs
bash /tmp/stranger/use.sh deb /tmp/stranger/empty
if [ -x /usr/bin/memoman ]; then
    (cd /tmp && memoman record --quiet -o t.mmt -- ls / && memoman advise t.mmt &&
        man -w memoman-record) >/tmp/log 2>&1
    say $? tool_records
fi
man -w mm_calloc >/tmp/log 2>&1 && grep -q mm_ /tmp/log; say $? man_finds_mm_calloc
dpkg --purge libmemoman-debug libmemoman-dev memoman-preload libmemoman0 memoman-tools \
    >/tmp/log 2>&1
say $? dpkg_removes
none; say $? nothing_is_left
END
exec chroot "$copy" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive bash /tmp/stranger/session
'
in_a_copy() { # PACKAGES: fails if the system refuses the copy.
    [ "$(id -u)" -eq 0 ] && mkdir "$work/ov" || return 1
    unshare -m bash -c "$in_copy" copy "$work" "$1" "$root" >"$work/copy.log" 2>&1
    grep -q '^began' "$work/copy.log"
}
# In a folder: no maintainer script runs, and the system's own folders are not tried.
in_a_folder() { # PACKAGES
    local scratch=$work/scratch
    mkdir -p "$scratch/var/lib/dpkg"/{info,updates,triggers}
    touch "$scratch/var/lib/dpkg/status"
    local dpkg=(dpkg --root="$scratch" --force-not-root --force-depends --log=/dev/null)
    expect deb:unpacks_into_a_folder 0 '' fakeroot "${dpkg[@]}" -i "$1"/*.deb
    sed -i "s|/usr|$scratch/usr|" "$scratch"/usr/lib/*/pkgconfig/*.pc
    use deb "$scratch/usr" "$(dirname "$scratch"/usr/lib/*/libmemoman.a)"
    expect deb:removed 0 '' \
        fakeroot "${dpkg[@]}" --purge libmemoman-debug libmemoman-dev memoman-preload \
        libmemoman0 memoman-tools
    expect deb:nothing_is_left 0 '' nothing_left "$scratch/usr"
    tail -n 5 "$work/copy.log" 2>/dev/null
    skip "deb:dpkg_installs needs root and an overlay; a folder was used"
}

deb() {
    local out=$work/deb name
    expect deb:built 0 memoman-preload_ "$root/packaging/deb.sh" "$out"
    local packages=(libmemoman0 libmemoman-dev memoman-preload)
    [ ! -e "$dist/libmemoman-debug.a" ] || packages+=(libmemoman-debug)
    [ ! -x "$dist/bin/memoman" ] || packages+=(memoman-tools)
    for name in "${packages[@]}"; do
        expect "deb:$name" 0 "Version: $version" \
            dpkg-deb -I "$out/${name}_${version}_$(dpkg --print-architecture).deb"
    done
    if in_a_copy "$out"; then grep -v '^began' "$work/copy.log" | relay; else in_a_folder "$out"; fi
    [ "$extent" = full ] || return 0
    expect deb:the_same_again 0 '' same_again "$out"
    if command -v lintian >/dev/null; then
        # The maintainer is the one who uploads.
        name=bogus-mail-host,bogus-mail-host-in-debian-changelog
        expect deb:lintian 0 '' \
            lintian --allow-root --fail-on error,warning --suppress-tags $name "$out"/*.deb
    else
        skip "deb:lintian it is not installed"
    fi
}

same_again() {
    "$root/packaging/deb.sh" "$work/again" >/dev/null &&
        (cd "$1" && sha256sum -- *.deb) | (cd "$work/again" && sha256sum -c)
}

# memoman as a part of another project's build, from its source tree.
in_cmake() {
    cmake -S "$work/use-source" -B "$work/use-cmake" "-DMEMOMAN_SOURCE=$root" "$@" >/dev/null &&
        cmake --build "$work/use-cmake" >/dev/null &&
        for program in hello hello_cpp hello_tlsf; do "$work/use-cmake/$program" || return 1; done
}
# The message before cargo runs, where the program is not for this machine.
cmake_elsewhere() {
    rm -rf "$work/use-cmake"
    in_cmake -DCMAKE_SYSTEM_NAME=Linux "$@"
}
in_meson() {
    local project=$work/use-meson
    mkdir -p "$project/subprojects" && ln -s "$root" "$project/subprojects/memoman" &&
        cp "$root"/packaging/example/{source/meson.build,hello.c} "$project" &&
        meson setup "$project/build" "$project" "-Dmemoman:dist=$dist" >"$work/log" &&
        ninja -C "$project/build" >"$work/log" && "$project/build/hello"
}
# In the project of in_meson: the folder from there on, and a program for another processor.
meson_relative() {
    local project=$work/use-meson
    ln -s "$dist" "$project/built" &&
        meson setup "$project/relative" "$project" -Dmemoman:dist=built >"$work/log" &&
        ninja -C "$project/relative" >"$work/log" && "$project/relative/hello"
}
meson_elsewhere() {
    printf '%s\n' '[binaries]' "c = 'cc'" '[host_machine]' "system = 'linux'" \
        "cpu_family = 'aarch64'" "cpu = 'aarch64'" "endian = 'little'" >"$work/cross"
    meson setup "$work/use-meson/elsewhere" "$work/use-meson" --cross-file "$work/cross"
}
# The wrap file of packaging/meson, with this repository's address and its last commit.
in_meson_wrap() {
    local project=$work/use-wrap
    mkdir -p "$project/subprojects" &&
        sed "s|^url = .*|url = file://$root|; s|^revision = .*|revision = HEAD|; /^depth/d" \
            "$root/packaging/meson/memoman.wrap" >"$project/subprojects/memoman.wrap" &&
        cp "$root"/packaging/example/{source/meson.build,hello.c} "$project" &&
        meson setup "$project/build" "$project" "-Dmemoman:dist=$dist" >"$work/log" &&
        ninja -C "$project/build" >"$work/log" && "$project/build/hello"
}
# vcpkg and Homebrew are not in Debian: their own languages read the files.
ports() {
    python3 -m json.tool "$root/packaging/vcpkg/vcpkg.json" >/dev/null &&
        grep -q "\"version\": \"$version\"" "$root/packaging/vcpkg/vcpkg.json" &&
        port_of x64 && port_serves
}
# port_of PROCESSOR: vcpkg's part, on an x86-64 Linux.
port_of() {
    cat >"$work/port.cmake" <<END && cmake -P "$work/port.cmake"
set(HOST_TRIPLET x64-linux)
set(TARGET_TRIPLET $1-linux)
set(VCPKG_TARGET_ARCHITECTURE $1)
set(CURRENT_BUILDTREES_DIR $work/port/build)
set(CURRENT_PACKAGES_DIR $work/port/package)
set(PORT memoman)
function(vcpkg_execute_required_process)
  file(MAKE_DIRECTORY $work/port/build)
  file(CREATE_LINK $dist $work/port/build/dist SYMBOLIC)
endfunction()
function(vcpkg_install_copyright)
endfunction()
include($root/packaging/vcpkg/portfile.cmake)
END
}
port_serves() {
    mkdir -p "$work/port/use" && cp "$root"/packaging/example/hello.c "$work/port/use" &&
        printf '%s\n' 'cmake_minimum_required(VERSION 3.16)' 'project(hello C)' \
            'find_package(memoman 0.1 CONFIG REQUIRED)' 'add_executable(hello hello.c)' \
            'target_link_libraries(hello PRIVATE memoman::static)' \
            >"$work/port/use/CMakeLists.txt" &&
        cmake -S "$work/port/use" -B "$work/port/use/build" \
            "-DCMAKE_PREFIX_PATH=$work/port/package" >/dev/null &&
        cmake --build "$work/port/use/build" >/dev/null && "$work/port/use/build/hello"
}
in_conan() {
    CONAN_HOME=$work/conan conan profile detect >"$work/log" 2>&1 &&
        CONAN_HOME=$work/conan conan create "$root" >"$work/log" 2>&1 &&
        find "$work/conan" -path '*/p/lib/libmemoman.a'
}

# The recipe exports what scripts/build-lib.sh needs: its list of files, the workspace's members.
conan_sources() {
    local tree=$work/conan-sources pattern
    mkdir -p "$tree" && cd "$root" || return 1
    sed -n '/exports_sources = (/,/)/p' conanfile.py | grep -o '"[^"]*"' | tr -d '"' \
        >"$work/patterns"
    while read -r pattern; do
        # shellcheck disable=SC2086 # a pattern
        cp -r --parents ${pattern%/\*} "$tree" || return 1
    done <"$work/patterns"
    cd "$tree" && scripts/setup.sh --check all &&
        cargo metadata --quiet --no-deps --format-version 1 >/dev/null &&
        grep -oE '\bpackaging/[a-z.]+' scripts/build-lib.sh | xargs ls
}

# with TOOL NAME TEXT COMMAND…: where the tool is installed. The command ends with $status, or 0.
with() {
    if command -v "$1" >/dev/null; then
        expect "$2" "${status:-0}" "$3" "${@:4}"
    else
        skip "$2 $1 is not installed"
    fi
}

source_tree() {
    cp -r "$root/packaging/example/source" "$work/use-source" &&
        cp "$root"/packaging/example/hello* "$work/"
    expect source:cmake 0 'hello from tlsf.h' in_cmake "-DMEMOMAN_DIST=$dist"
    expect source:cmake_without_library 1 'build one by `make`' in_cmake "-DMEMOMAN_DIST=$work"
    expect source:cmake_refuses_another_processor 1 'not for Linux aarch64' \
        cmake_elsewhere -DCMAKE_SYSTEM_PROCESSOR=aarch64
    with meson source:meson 'hello from C' in_meson
    with meson source:meson_relative 'hello from C' meson_relative
    status=1 with meson source:meson_refuses_another_processor 'set -Dmemoman:dist=FOLDER' \
        meson_elsewhere
    with meson source:meson_wrap 'hello from C' in_meson_wrap
    expect source:vcpkg_port 0 'hello from C' ports
    expect source:vcpkg_refuses_another_processor 1 'for arm64-linux' port_of arm64
    expect source:conan_sources 0 packaging/start.c conan_sources
    with ruby source:homebrew_formula 'Syntax OK' ruby -c "$root/packaging/homebrew/memoman.rb"
    # These build the library anew.
    [ "$extent" = full ] || return 0
    rm -rf "$work/use-cmake"
    expect source:cmake_by_cargo 0 'hello from tlsf.h' in_cmake
    with conan source:conan libmemoman.a in_conan
    CONAN_HOME=$work/conan status=1 with conan source:conan_refuses_another_processor \
        'not for Linux armv8' conan create "$root" -s arch=armv8
}

[ $# -gt 2 ] || set -- "$dist" "$extent" man abi tree tools source_tree deb
for part in "${@:3}"; do
    "$part"
done
finish
