#!/usr/bin/env bash
# Builds the Debian packages from what is in dist/: deb.sh [OUT]    (OUT: target/deb)
# debhelper does it, in a folder of its own: packaging/debian, with a changelog made from Cargo.toml's version.
# MAINTAINER='Name <address>': who is responsible for the packages.
set -euo pipefail

if [ "${1:-}" = --help ]; then
    sed -n '2,4s/^# //p' "$0"
    exit 0
fi
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-${CARGO_TARGET_DIR:-$root/target}/deb}
command -v dh >/dev/null && command -v dpkg-buildpackage >/dev/null || {
    echo "deb: debhelper is missing: make setup-install, on Debian" >&2
    exit 1
}
MEMOMAN_ROOT=$root
MEMOMAN_VERSION=$("$root/packaging/version.sh")
export MEMOMAN_ROOT MEMOMAN_VERSION DIST="${DIST:-$root/dist}"
[ "${DIST#/}" != "$DIST" ] || DIST=$root/$DIST
# The date of the last change: the same packages from the same source.
date=$(git -C "$root" log -1 --format=%ct 2>/dev/null) || date=$(stat -c %Y "$root/Cargo.toml")
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$date}
unset MAKEFLAGS MFLAGS MAKELEVEL PREFIX DESTDIR LIBDIR INCLUDEDIR MANDIR DOCDIR

rm -rf "$out/build" "$out"/*.deb
mkdir -p "$out/build/memoman"
cp -r "$root/packaging/debian" "$out/build/memoman/debian"
maintainer=${MAINTAINER:-$(sed -n 's/^Maintainer: //p' "$root/packaging/debian/control")}
sed -i "s|^Maintainer: .*|Maintainer: $maintainer|" "$out/build/memoman/debian/control"
cat >"$out/build/memoman/debian/changelog" <<END
memoman ($MEMOMAN_VERSION) unstable; urgency=medium

  * Version $MEMOMAN_VERSION: see /usr/share/doc/libmemoman0/changelog.gz.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END
cd "$out/build/memoman"
# Exit status and complaints count; the running commentary is kept.
dpkg-buildpackage -b -us -uc >../log 2>&1 || {
    tail -n 30 ../log >&2
    echo "deb: dpkg-buildpackage failed; $out/build/log" >&2
    exit 1
}
mv ../*.deb "$out"
rm -rf "$out/build/memoman"
ls "$out"/*.deb
