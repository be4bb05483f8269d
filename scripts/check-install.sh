#!/usr/bin/env bash
# Manual pages, ABI, `make install`, Debian packages, each used by a stranger's programs.  check-install.sh DIST [quick|full [man|abi|tree|deb]...]
# The packages are installed with dpkg -i in a copy of this system (an overlay, in a mount namespace) that has no source
# tree; where there is no such thing, in a folder. full: with lintian, and the same packages from a second build.
# Lines "ok install NAME", "FAIL install NAME why", "skip install NAME why"; exits with 1 if something failed.
set -uo pipefail

if [ "${1:-}" = --help ]; then
    sed -n '2,5s/^# //p' "$0"
    exit 0
fi
root=$(cd "$(dirname "$0")/.." && pwd)
dist=$(cd "${1:-$root/dist}" && pwd)
extent=${2:-quick}
export DIST=$dist
# What a user may have set, or `make` hands down.
unset MAKEFLAGS MFLAGS MAKELEVEL PREFIX DESTDIR LIBDIR INCLUDEDIR MANDIR DOCDIR
version=$("$root/packaging/version.sh")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect NAME STATUS TEXT COMMAND...: the command ends with STATUS and prints TEXT.
expect() {
    local name=$1 wanted=$2 text=$3 output status=0
    shift 3
    output=$("$@" 2>&1) || status=$?
    if [ "$status" -eq "$wanted" ] && [[ $output == *"$text"* ]]; then
        echo "ok install $name"
    else
        echo "FAIL install $name status $status, wanted $wanted: $(tail -c 400 <<<"$output" | tr '\n' ' ')"
    fi
}

# one_line COMMAND...: fails with one line.
one_line() {
    local output
    ! output=$("$@" 2>&1) && echo "$output" && [ "$(wc -l <<<"$output")" -eq 1 ]
}

# What the linters may say: pages of ours that are not installed here, and that memoman is no operating system.
lint() {
    local page complaints bad=0
    for page in "$work"/man/*; do
        if head -c 4 "$page" | grep '^\.so ' >/dev/null; then
            [ -e "$work/man/$(basename "$(cut -d' ' -f2 "$page")")" ] || { echo "$page leads nowhere"; bad=1; }
            continue
        fi
        complaints=$(mandoc -T lint "$page" 2>/dev/null | grep -vE 'referenced manual not found|operating system explicitly specified')
        [ -z "$complaints" ] || { echo "$complaints"; bad=1; }
    done
    return $bad
}

every_function_has_a_page() {
    local name missing=0
    while read -r name; do
        [ -e "$work/man/$name.3" ] || { echo "no page: $name"; missing=1; }
    done < <("$root/scripts/header-functions.sh" "$root/include/memoman.h")
    return $missing
}

# The program in memoman(7), as a reader would copy it.
page_program() {
    mandoc -T ascii "$work/man/memoman.7" | sed 's/.\x08//g' | sed -n '/#include <memoman.h>$/h; /^ *#include <stdio.h>/,/^ *}$/p' |
        sed '1i #include <memoman.h>' >"$work/page.c"
    cc -std=c99 -I "$root/include" "$work/page.c" "$dist/libmemoman.a" -lpthread -o "$work/page" && "$work/page"
}

man() {
    expect man:written 0 '' "$root/packaging/man/generate.py" "$root/include/memoman.h" "$version" "$work/man"
    expect man:lint 0 '' lint
    expect man:every_function_has_a_page 0 '' every_function_has_a_page
    expect man:program_of_memoman_7 0 'hello from a static array' page_program
    sed 's/^\/\* ---- Version -*/\/* ---- Versions --/' "$root/include/memoman.h" >"$work/renamed.h"
    expect man:section_without_page_is_refused 1 "no section 'Version'" "$root/packaging/man/generate.py" "$work/renamed.h" "$version" "$work/none"
}

# changed SED: the ABI check of a header that was edited.
changed() {
    sed -E "$1" "$root/include/memoman.h" >"$work/changed.h"
    ! cmp -s "$root/include/memoman.h" "$work/changed.h" && HEADER=$work/changed.h "$root/packaging/abi.sh" check
}

abi() {
    expect abi:as_recorded 0 '' "$root/packaging/abi.sh" check
    expect abi:notices_new_function 1 'make abi' changed 's/^void mm_destroy\(.*\);/&\nvoid mm_new(void);/'
    expect abi:notices_missing_function 1 'would break' changed '/^void mm_destroy\(.*\);/d'
    expect abi:notices_other_result 1 'would break' changed 's/^size_t mm_size\(void\);/unsigned mm_size(void);/'
    expect abi:notices_other_layout 1 'would break' changed 's/^    size_t state\[4\];/    size_t state[8];/'
    expect abi:notices_field_in_the_middle 1 'would break' changed 's/^    size_t failed_requests;/    size_t more;\n&/'
    expect abi:lets_figures_grow 0 '' changed 's/^    size_t failed_requests;/&\n    size_t more;/'
}

install_sh() { env "${@:2}" "$root/packaging/install.sh" "$1"; }
by_make() { make --no-print-directory -C "$root" "$@" DIST="$dist"; }
nothing_left() { ! find "$1" -not -type d | grep .; }
links_are_right() {
    [ "$(readlink "$1/libmemoman.so")" = libmemoman.so.0 ] && [ "$(readlink "$1/libmemoman.so.0")" = "libmemoman.so.$version" ] &&
        [ -f "$1/libmemoman.so.$version" ] && [ ! -L "$1/libmemoman.so.$version" ]
}

# use NAME PREFIX LIBDIR: a stranger's programs with what is installed in PREFIX.
use() {
    local folder=$work/use-$1
    cp -r "$root/packaging/example" "$folder"
    PKG_CONFIG_PATH=$3/pkgconfig CMAKE_PREFIX_PATH=$2 LD_LIBRARY_PATH=$3 INCLUDEDIR=$2/include FLAGS="-I $2/include -L $3" \
        PRELOAD=$3/libmemoman_preload.so "$root/packaging/use.sh" "$1" "$folder"
}

# compatible VERSION WANTED: what find_package would do if memoman had VERSION.
compatible() {
    local parts
    IFS=. read -ra parts <<<"$2"
    sed "s|@VERSION@|$1|" "$root/packaging/cmake/memoman-config-version.cmake.in" >"$work/version.cmake"
    cat >"$work/asks.cmake" <<END
set(PACKAGE_FIND_VERSION $2)
set(PACKAGE_FIND_VERSION_COUNT ${#parts[@]})
set(PACKAGE_FIND_VERSION_MAJOR ${parts[0]})
set(PACKAGE_FIND_VERSION_MINOR ${parts[1]:-0})
include($work/version.cmake)
message("$1 for $2: \${PACKAGE_VERSION_COMPATIBLE}\${PACKAGE_VERSION_EXACT}")
END
    cmake -P "$work/asks.cmake"
}

cmake_versions() {
    local case
    for case in '0.1.0 0 TRUE' '0.1.0 0.1 TRUETRUE' '0.1.3 0.1.2 TRUE' '0.1.3 0.1.3 TRUETRUE' '0.1.3 0.1.4 FALSE' '0.2.0 0.1 FALSE' \
        '0.2.0 0.3 FALSE' '1.4.2 1 TRUE' '1.4.2 1.3 TRUE' '1.4.2 1.5 FALSE' '1.4.2 0.9 FALSE' '1.4.2 0 FALSE' '12.0.0 1 FALSE' '1.0.0 2 FALSE'; do
        set -- $case
        compatible "$1" "$2" >"$work/answer" 2>&1
        grep -qx "$1 for $2: $3" "$work/answer" || { echo "wanted $case"; cat "$work/answer"; return 1; }
    done
}

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

    # Staged: found at DESTDIR, and made for PREFIX.
    expect tree:destdir 0 '' by_make install PREFIX=/opt/memoman DESTDIR="$work/stage"
    expect tree:destdir_is_in_no_file 1 '' grep -rlI "$work" "$work/stage"
    expect tree:prefix_in_pc 0 'prefix=/opt/memoman' cat "$work/stage/opt/memoman/lib/pkgconfig/memoman.pc"
    expect tree:destdir_uninstall 0 'files removed' by_make uninstall PREFIX=/opt/memoman DESTDIR="$work/stage"
    expect tree:destdir_nothing_is_left 0 '' nothing_left "$work/stage"
    # Folders of a distribution.
    expect tree:libdir 0 '' install_sh install PREFIX="$work/multi" LIBDIR="$work/multi/lib/some-machine"
    expect tree:libdir_cmake 0 'include" ABSOLUTE' grep '/../../include' "$work/multi/lib/some-machine/cmake/memoman/memoman-config.cmake"

    # Wrong in one line that says what to do.
    expect wrong:relative_prefix 0 "give one that begins with /" one_line install_sh install PREFIX=usr
    expect wrong:empty_prefix 0 "give one that begins with /" one_line install_sh install PREFIX=
    expect wrong:blank_in_prefix 0 'choose a path without' one_line install_sh install PREFIX="$work/a b"
    expect wrong:prefix_below_a_file 0 'is not a folder' one_line install_sh install PREFIX="$work/multi/include/memoman.h/x"
    expect wrong:nothing_built 0 'run `make` first' one_line install_sh install PREFIX="$work/none" DIST="$work/none"
    expect wrong:nothing_installed 0 'give the PREFIX' one_line install_sh uninstall PREFIX="$work/none"
    if [ "$(id -u)" -ne 0 ]; then
        expect wrong:not_writable 0 'run as root' one_line install_sh install PREFIX=/usr
    elif setpriv --reuid=65534 --clear-groups test -r "$root/packaging/install.sh"; then
        expect wrong:not_writable 0 'run as root' one_line setpriv --reuid=65534 --clear-groups env PREFIX=/usr DIST="$dist" "$root/packaging/install.sh" install
    else
        echo "skip install wrong:not_writable root may write everywhere, and nobody may not read $root"
    fi
}

# Run in the copy of the system, where the packages are all there is of memoman: $1 a folder for it, $2 the packages, $3 the source.
in_copy='
set -u
copy=$1/ov/root
mount -t tmpfs tmpfs "$1/ov" && cd "$1/ov" && mkdir upper work root && mount -t overlay overlay -o "lowerdir=/,upperdir=upper,workdir=work" root || exit 9
mount --rbind /dev "$copy/dev" && mount -t proc proc "$copy/proc" && mount -t tmpfs tmpfs "$copy/tmp" || exit 9
for hidden in "$3" "${HOME:-/root}" /usr/local; do
    [ "$hidden" != / ] || continue
    [ ! -d "$copy$hidden" ] || mount -t tmpfs tmpfs "$copy$hidden" || exit 9
done
mkdir "$copy/tmp/stranger" && cp "$2"/*.deb "$copy/tmp" && cp -r "$3/packaging/example" "$copy/tmp/stranger/empty" && cp "$3/packaging/use.sh" "$copy/tmp/stranger" || exit 9
cat >"$copy/tmp/stranger/session" <<\END
say() { if [ "$1" -eq 0 ]; then echo "ok install deb:$2"; else echo "FAIL install deb:$2 $(tail -c 400 /tmp/log | tr "\n" " ")"; fi; }
none() { find /usr /etc /opt /var -name "*memoman*" >/tmp/log 2>/dev/null; [ ! -s /tmp/log ]; }
echo began
none; say $? nothing_is_there_before
dpkg -i --path-include="/usr/share/*" /tmp/*.deb >/tmp/log 2>&1; say $? dpkg_installs
bash /tmp/stranger/use.sh deb /tmp/stranger/empty
man -w mm_calloc >/tmp/log 2>&1 && grep -q mm_ /tmp/log; say $? man_finds_mm_calloc
dpkg --purge libmemoman-dev memoman-preload libmemoman0 >/tmp/log 2>&1; say $? dpkg_removes
none; say $? nothing_is_left
END
exec chroot "$copy" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive bash /tmp/stranger/session
'

deb() {
    local out=$work/deb name dpkg
    expect deb:built 0 memoman-preload_ "$root/packaging/deb.sh" "$out"
    for name in libmemoman0 libmemoman-dev memoman-preload; do
        expect "deb:$name" 0 "Version: $version" dpkg-deb -I "$out/${name}_${version}_$(dpkg --print-architecture).deb"
    done
    if [ "$(id -u)" -eq 0 ] && mkdir "$work/ov" && unshare -m bash -c "$in_copy" copy "$work" "$out" "$root" >"$work/copy.log" 2>&1 && grep -q '^began' "$work/copy.log"; then
        grep -v '^began' "$work/copy.log"
    else
        # Into a folder: no maintainer script runs, and the system's own folders are not tried.
        mkdir -p "$work/scratch/var/lib/dpkg"/{info,updates,triggers}
        touch "$work/scratch/var/lib/dpkg/status"
        dpkg=(dpkg --root="$work/scratch" --force-not-root --force-depends --log=/dev/null)
        expect deb:unpacks_into_a_folder 0 '' fakeroot "${dpkg[@]}" -i "$out"/*.deb
        sed -i "s|/usr|$work/scratch/usr|" "$work"/scratch/usr/lib/*/pkgconfig/*.pc
        use deb "$work/scratch/usr" "$(dirname "$work"/scratch/usr/lib/*/libmemoman.a)"
        expect deb:removed 0 '' fakeroot "${dpkg[@]}" --purge libmemoman-dev memoman-preload libmemoman0
        expect deb:nothing_is_left 0 '' nothing_left "$work/scratch/usr"
        tail -n 5 "$work/copy.log" 2>/dev/null
        echo "skip install deb:dpkg_installs needs root and an overlay; a folder was used"
    fi
    if [ "$extent" = full ]; then
        expect deb:the_same_again 0 '' same_again "$out"
        if command -v lintian >/dev/null; then
            # The maintainer's address is whoever's who uploads.
            expect deb:lintian 0 '' lintian --allow-root --fail-on error,warning --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog "$out"/*.deb
        else
            echo "skip install deb:lintian it is not installed"
        fi
    fi
}

same_again() {
    "$root/packaging/deb.sh" "$work/again" >/dev/null && (cd "$1" && sha256sum -- *.deb) | (cd "$work/again" && sha256sum -c)
}

[ $# -gt 2 ] || set -- "$dist" "$extent" man abi tree deb
for part in "${@:3}"; do
    "$part"
done | tee "$work/lines"
echo "$(grep -c '^ok ' "$work/lines") passed, $(grep -c '^FAIL ' "$work/lines") failed"
! grep -q '^FAIL ' "$work/lines"
