#!/usr/bin/env bash
# Installs what was built, or removes what was installed: packaging/install.sh install|uninstall
#
# From the environment: DIST=dist, PREFIX=/usr/local, DESTDIR=, LIBDIR=, INCLUDEDIR=, MANDIR=,
# DOCDIR=. The debug library is installed if it was built (make debug), the tool `memoman` if it was
# (make tools). Complains in one line that says what to do. Needs coreutils, sed and awk.
set -euo pipefail
. "$(dirname "$0")/../scripts/lib.sh"
case "${1:-}" in
    install | uninstall) action=$1 ;;
    *) misused "install or uninstall" ;;
esac

fail() {
    echo "$action: $*" >&2
    exit 1
}

dist=${DIST:-$root/dist}
prefix=${PREFIX-/usr/local}
destdir=${DESTDIR:-}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
mandir=${MANDIR:-$prefix/share/man}
docdir=${DOCDIR:-$prefix/share/doc/memoman}

# Installed files name these folders: absolute, without characters at which a shell would split.
for name in prefix libdir includedir mandir docdir; do
    value=${!name}
    case $value in
        /*) ;;
        *)
            fail "${name^^}='$value' is not an absolute path: give one that begins with /," \
                "such as ${name^^}=$PWD/${value:-usr}"
            ;;
    esac
    case $value in
        *[[:space:]\$\"\'\\]*)
            fail "${name^^}='$value' has a blank, a quote or a dollar sign in it:" \
                "choose a path without"
            ;;
    esac
done
prefix=${prefix%/}
version=$(memoman_version)
major=0 # the SONAME's, as in build.rs and scripts/build-lib.sh

# fill SOURCE: a template with its words filled in; prints the file's name.
fill() {
    local file
    file=$work/$(basename "$1" .in)
    sed -e "s|@PREFIX@|$prefix|g" -e "s|@LIBDIR@|$libdir|g" -e "s|@INCLUDEDIR@|$includedir|g" \
        -e "s|@LIBDIR_TO_INCLUDEDIR@|$(realpath -m --relative-to="$libdir" "$includedir")|g" \
        -e "s|@VERSION@|$version|g" "$1" >"$file"
    echo "$file"
}

# What is installed: mode, target, and source (of a link: its destination).
list() {
    local suffix page name
    for suffix in '' -debug; do
        [ $action = uninstall ] || [ -z "$suffix" ] || [ -e "$dist/libmemoman-debug.a" ] || continue
        echo "644 $libdir/libmemoman$suffix.a $dist/libmemoman$suffix.a"
        echo "755 $libdir/libmemoman$suffix.so.$version $dist/libmemoman$suffix.so.$major"
        echo "link $libdir/libmemoman$suffix.so.$major libmemoman$suffix.so.$version"
        echo "link $libdir/libmemoman$suffix.so libmemoman$suffix.so.$major"
        echo "755 $libdir/libmemoman_preload$suffix.so $dist/libmemoman_preload$suffix.so"
    done
    for name in memoman.h memoman.hpp memoman/{tlsf,record,debug}.h; do
        echo "644 $includedir/$name $root/include/$name"
    done
    for name in memoman.pc memoman-tlsf.pc memoman-debug.pc; do
        [ $action = uninstall ] || [ $name != memoman-debug.pc ] ||
            [ -e "$dist/libmemoman-debug.a" ] || continue
        echo "644 $libdir/pkgconfig/$name $(fill "$root/packaging/$name.in")"
    done
    for name in memoman-config.cmake memoman-config-version.cmake; do
        echo "644 $libdir/cmake/memoman/$name $(fill "$root/packaging/cmake/$name.in")"
    done
    # gdb loads the second with the shared library of a distribution, whose PREFIX is gdb's own.
    echo "644 $prefix/share/memoman/memoman.py $root/packaging/debugger/memoman.py"
    echo "644 $prefix/share/gdb/auto-load$libdir/libmemoman.so.$version-gdb.py" \
        "$root/packaging/debugger/memoman.py"
    "$root/packaging/man/generate.sh" "$root/include/memoman.h" "$version" "$work/man" || return 1
    for page in "$work"/man/*; do
        echo "644 $mandir/man${page##*.}/${page##*/} $page"
    done
    tools
    for name in README.md CHANGELOG.md LICENSE-{MIT,APACHE} docs/book/tlsf.md docs/debugging.md; do
        echo "644 $docdir/${name##*/} $root/$name"
    done
}

# The tool, its recorder where it looks for it, its pages and completions.
tools() {
    local page name
    [ $action = uninstall ] || [ -e "$dist/bin/memoman" ] || return 0
    echo "755 $prefix/bin/memoman $dist/bin/memoman"
    echo "644 $prefix/lib/memoman/libmemoman_record.so $dist/lib/libmemoman_record.so"
    for name in bash-completion/completions/memoman zsh/site-functions/_memoman \
        fish/vendor_completions.d/memoman.fish; do
        echo "644 $prefix/share/$name $dist/share/$name"
    done
    if [ $action = uninstall ]; then
        set -- "$destdir$mandir"/man1/memoman{,-*}.1
    else
        set -- "$dist"/share/man/man1/*.1
    fi
    for page; do
        echo "644 $mandir/man1/${page##*/} $page"
    done
}

# existing PATH: the nearest folder above it that exists.
existing() {
    local path=$1
    while [ ! -e "$path" ]; do path=$(dirname "$path"); done
    echo "$path"
}

list >"$work/list"

if [ "$action" = uninstall ]; then
    count=0
    while read -r _ target _; do
        if [ -e "$destdir$target" ] || [ -L "$destdir$target" ]; then
            rm -f "$destdir$target" ||
                fail "cannot remove $destdir$target: run as the user who installed it" \
                    "(sudo make uninstall)"
            count=$((count + 1))
        fi
    done <"$work/list"
    # memoman's own folders, if they are empty.
    for folder in "$includedir/memoman" "$libdir/cmake/memoman" "$prefix/lib/memoman" \
        "$prefix/share/memoman" "$docdir"; do
        rmdir "$destdir$folder" 2>/dev/null || true
    done
    [ "$count" -gt 0 ] ||
        fail "nothing of memoman is in $destdir$prefix: give the PREFIX and DESTDIR of the" \
            "installation"
    echo "uninstall: $count files removed from $destdir$prefix"
    exit 0
fi

[ -e "$dist/libmemoman.so.$major" ] || fail "nothing has been built: run \`make\` first"
for folder in "$libdir" "$includedir" "$mandir" "$docdir"; do
    place=$(existing "$destdir$folder")
    [ -d "$place" ] || fail "$place is not a folder: choose another PREFIX or DESTDIR"
    [ -w "$place" ] || fail "cannot write to $place: run as root (sudo make install)," \
        "or choose another place, such as PREFIX=\$HOME/.local"
done
while read -r mode target source; do
    if [ "$mode" = link ]; then
        mkdir -p "$(dirname "$destdir$target")"
        ln -sfn "$source" "$destdir$target"
    else
        install -D -m "$mode" "$source" "$destdir$target"
    fi
done <"$work/list"
echo "install: memoman $version is in $destdir$prefix"

# pkg-config quotes these characters; a shell does not remove quotes from the output of $(…).
if [[ $libdir$includedir == *[![:ascii:]]* ]]; then
    # shellcheck disable=SC2016 # for another shell
    echo "install: pkg-config quotes the characters of $prefix that are not ASCII; compile with" \
        'eval "cc program.c $(pkg-config --cflags --libs memoman)"'
fi

# The dynamic linker keeps a list of the libraries in its folders.
if [ -z "$destdir" ] && command -v ldconfig >/dev/null; then
    [ "$(id -u)" -ne 0 ] || ldconfig
    if ! ldconfig -p 2>/dev/null | grep -F "=> $libdir/libmemoman.so.$major" >/dev/null; then
        echo "install: the dynamic linker does not look into $libdir: programs need" \
            "-Wl,-rpath,$libdir or LD_LIBRARY_PATH=$libdir"
    fi
fi
