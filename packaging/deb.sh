#!/usr/bin/env bash
# Builds the Debian packages of the libraries in DIST (dist/): packaging/deb.sh [OUT]
#
# OUT is target/deb. debhelper builds them from packaging/debian, with the version of Cargo.toml;
# libmemoman-debug and memoman-tools only where the debug library and the tool were built.
# MAINTAINER='Name <address>' is the maintainer of the packages.
set -euo pipefail
. "$(dirname "$0")/../scripts/lib.sh"
out=${1:-$target/deb}
command -v dh >/dev/null && command -v dpkg-buildpackage >/dev/null ||
    die "debhelper is missing: scripts/setup.sh deb, on Debian"
MEMOMAN_ROOT=$root
MEMOMAN_VERSION=$(memoman_version)
export MEMOMAN_ROOT MEMOMAN_VERSION DIST="${DIST:-$root/dist}"
[ "${DIST#/}" != "$DIST" ] || DIST=$root/$DIST
# The date of the last change: the same packages from the same source.
date=$(git -C "$root" log -1 --format=%ct 2>/dev/null) || date=$(stat -c %Y "$root/Cargo.toml")
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$date}
unset MAKELEVEL PREFIX DESTDIR LIBDIR INCLUDEDIR MANDIR DOCDIR

rm -rf "$out/build" "$out"/*.deb
mkdir -p "$out/build/memoman"
cp -r "$root/packaging/debian" "$out/build/memoman/debian"
if [ ! -e "$DIST/bin/memoman" ]; then
    # No tool was built: no package of it.
    sed -i '/^Package: memoman-tools$/,/^$/d' "$out/build/memoman/debian/control"
    rm "$out/build/memoman/debian/memoman-tools.install"
fi
maintainer=${MAINTAINER:-$(sed -n 's/^Maintainer: //p' "$root/packaging/debian/control")}
sed -i "s|^Maintainer: .*|Maintainer: $maintainer|" "$out/build/memoman/debian/control"
if [ ! -e "$DIST/libmemoman-debug.a" ]; then
    sed -i '/^Package: libmemoman-debug$/,/^$/d' "$out/build/memoman/debian/control"
    rm "$out/build/memoman/debian/"libmemoman-debug.*
fi
cat >"$out/build/memoman/debian/changelog" <<END
memoman ($MEMOMAN_VERSION) unstable; urgency=medium

  * Version $MEMOMAN_VERSION: see /usr/share/doc/libmemoman0/changelog.gz.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END
cd "$out/build/memoman"
dpkg-buildpackage -b -us -uc >../log 2>&1 || {
    tail -n 30 ../log >&2
    die "dpkg-buildpackage failed; $out/build/log"
}
mv ../*.deb "$out"
rm -rf "$out/build/memoman"
ls "$out"/*.deb
