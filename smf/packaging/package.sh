#!/bin/sh
# make package-ips, make package-svr4: on the system the package is for, because its dependencies are built there.
# REPOSITORY: where an IPS package is published to; OUT: where things are put. Both also write the list when the
# system's packaging tools are missing.
set -eu
cd "$(dirname "$0")/../.."

kind=$1
OUT=${OUT:-$PWD/build/$kind}
PYTHON=${PYTHON:-python3}
stage=$OUT/stage
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
rm -rf "$OUT"
mkdir -p "$stage"

case $kind in
ips)
    PREFIX=/opt/zonehookd DESTDIR=$stage MANIFESTDIR=/lib/svc/manifest/site sh smf/install.sh install
    package=runtime/python-$("$PYTHON" -c 'import sys; print("%d%d" % sys.version_info[:2])')
    "$PYTHON" smf/packaging/lists.py ips "$stage" "$version" "$package" >"$OUT/zonehookd.p5m"
    if command -v pkgsend >/dev/null && [ -n "${REPOSITORY:-}" ]; then
        pkgsend publish -s "$REPOSITORY" -d "$stage" "$OUT/zonehookd.p5m"
    else
        echo "then: pkgsend publish -s REPOSITORY -d $stage $OUT/zonehookd.p5m"
    fi
    ;;
svr4)
    PREFIX=/opt/zonehookd DESTDIR=$stage MANIFESTDIR=/var/svc/manifest/site sh smf/install.sh install
    "$PYTHON" smf/packaging/lists.py svr4 "$stage" >"$OUT/prototype"
    sed "s/@VERSION@/$version/" smf/packaging/pkginfo >"$OUT/pkginfo"
    cp smf/packaging/postinstall smf/packaging/preremove smf/packaging/postremove "$OUT"
    if command -v pkgmk >/dev/null; then
        pkgmk -o -r "$stage" -d "$OUT" -f "$OUT/prototype"
    else
        echo "then: pkgmk -o -r $stage -d $OUT -f $OUT/prototype"
    fi
    ;;
*)
    echo "usage: $0 ips|svr4" >&2
    exit 64
    ;;
esac
