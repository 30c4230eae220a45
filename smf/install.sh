#!/bin/sh
# make install, make uninstall: zonehookd as a service. Also what packages are made from (DESTDIR).
#
#   PREFIX       /opt/zonehookd    programs, the manifest's methods name it
#   DESTDIR      (nothing)         put before every path; nothing is started, imported or owned then
#   MANIFESTDIR  /lib/svc/manifest/site, or /var/svc/manifest/site where /lib has none (Tribblix)
#   PYTHON       python3           what the programs run with, as they will find it; 3.11 or newer
#   DEPS         yes               no: PYTHON has the dependencies already (README.md)
#   CC           cc, else gcc
set -eu
umask 022 # plugins may run as others than root, and read what is installed
cd "$(dirname "$0")/.."

verb=$1
PREFIX=${PREFIX:-/opt/zonehookd}
DESTDIR=${DESTDIR:-}
PYTHON=${PYTHON:-python3}
DEPS=${DEPS:-yes}
if [ -z "${MANIFESTDIR:-}" ]; then
    MANIFESTDIR=/lib/svc/manifest/site
    [ -n "$DESTDIR" ] || [ -d "$MANIFESTDIR" ] || MANIFESTDIR=/var/svc/manifest/site
fi
FMRI=svc:/site/zonehookd:default
list=$PREFIX/lib/installed # where the manifest is, for uninstall; not in packages
root=$DESTDIR$PREFIX

put() { # FILE PATH MODE [OWNER:GROUP]: the group is of interest where the system looks at it
    mkdir -p "$(dirname "$DESTDIR$2")"
    cp "$1" "$DESTDIR$2.new"
    chmod "$3" "$DESTDIR$2.new"
    if [ -z "$DESTDIR" ] && [ -n "${4:-}" ] && ! chown "$4" "$2.new" 2>/dev/null; then
        echo "install: $2: cannot give it to $4" >&2
    fi
    mv -f "$DESTDIR$2.new" "$DESTDIR$2"
}

launcher() { # PATH MODULE ARGUMENTS
    sed "s|@PREFIX@|$PREFIX|; s|@MODULE@|$2|; s|@ARGUMENTS@|$3|" smf/launcher.in >"$work/launcher"
    put "$work/launcher" "$PREFIX/$1" 755
}

compile() { # INTO: as `brand enable` does where nothing is installed compiled (zonehookd/gate/program.py)
    for compiler in ${CC:-cc gcc}; do
        for libraries in "" "-lsocket -lnsl"; do # where sockets are not in libc
            # shellcheck disable=SC2086 # two words
            if "$compiler" -O2 -o "$1" zonehookd/gate/gate.c $libraries 2>"$work/said"; then return 0; fi
        done
    done
    cat "$work/said" >&2
    return 1
}

paths() { # OURS DEPENDENCIES: what is imported from beside Python's own
    echo "$1"
    if [ "$DEPS" = yes ]; then echo "$2"; else sed 1,2d "$work/python"; fi
}

restarter() { # PROPERTY
    svcprop -p "restarter/$1" "$FMRI" 2>/dev/null || true
}

# One that runs would start plugins of the new version. svcadm returns at once; over is it with a new contract.
restart() {
    was=$(restarter contract)
    [ "$(restarter state)" = online ] || was=
    svcadm restart "$FMRI" 2>/dev/null || true # nothing where it does not run
    if [ -z "$was" ]; then
        echo "installed; then: edit /etc/zonehookd/zonehookd.toml, svcadm enable -s $FMRI"
        return
    fi
    looks=
    while [ "${#looks}" -lt 120 ]; do
        now=$(restarter contract) # before the states: else they may be those of before the restart
        case "$(restarter state) $(restarter next_state)" in
        "online none") [ "$now" = "$was" ] || { echo "installed, and started again"; return; } ;;
        "maintenance none") echo "installed, but it does not start: svcs -x $FMRI" >&2; exit 1 ;;
        esac
        sleep 1
        looks=$looks.
    done
    echo "installed; it is being started again, which is not over yet: svcs -x $FMRI"
}

# A virtual environment: $PREFIX/bin/python imports what we import, so a process of ours that runs another (a plugin's, a
# file's writer) needs to know nothing of this; and what $PREFIX/bin/pip installs beside us, a plugin, is found.
environment() {
    packages=$PREFIX/lib/$(sed -n 2p "$work/python")/site-packages
    mkdir -p "$root/bin"
    ln -sf "$base" "$root/bin/python.new"
    mv -f "$root/bin/python.new" "$root/bin/python"
    printf '%s\n' "home = $(dirname "$base")" "include-system-site-packages = false" >"$work/pyvenv.cfg"
    put "$work/pyvenv.cfg" "$PREFIX/pyvenv.cfg" 644
    paths "$PREFIX/lib/python" "$PREFIX/lib/deps" >"$work/zonehookd.pth"
    put "$work/zonehookd.pth" "$packages/zonehookd.pth" 644
    printf '%s\n' "#!/bin/sh" "exec $python -m pip --python $PREFIX/bin/python \"\$@\"" >"$work/pip"
    put "$work/pip" "$PREFIX/bin/pip" 755
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
    printf '%s\n' "Metadata-Version: 2.1" "Name: zonehookd" "Version: $version" >"$work/METADATA"
    put "$work/METADATA" "$PREFIX/lib/python/zonehookd-$version.dist-info/METADATA" 644 # plugins depend on it by name
}

install() {
    case $PYTHON in
    /*) python=$PYTHON ;;
    *) python=$(command -v "$PYTHON") || { echo "install: no $PYTHON; say PYTHON=/path/to/python3" >&2; exit 1; } ;;
    esac
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # What may well fail comes first: then nothing is installed, and what was there is there still.
    "$python" -I -c 'import os, sys
if sys.version_info < (3, 11):
    sys.exit("it is Python %d.%d, and 3.11 is the oldest that will do" % sys.version_info[:2])
print(os.path.realpath(sys._base_executable), "python%d.%d" % sys.version_info[:2], sep="\n")
print(*(each for each in sys.path if each.endswith("-packages")), sep="\n")' >"$work/python" || {
        echo "install: $python cannot be used, so nothing was installed; say PYTHON=/path/to/python3" >&2
        exit 1
    }
    base=$(sed -n 1p "$work/python")
    if [ "$DEPS" = yes ]; then
        "$PYTHON" -m pip install -qq --disable-pip-version-check --no-compile --require-hashes \
            --target "$work/deps" -r smf/packaging/requirements.txt || {
            echo "install: no dependencies, so nothing was installed; without a network see smf/README.md, DEPS=no" >&2
            exit 1
        }
        rm -rf "$work/deps/bin"
    fi
    paths "$PWD" "$work/deps" >"$work/paths"
    "$base" -I -S -B -c 'import sys
sys.path += open(sys.argv[1]).read().splitlines()
try:
    import zonehookd.__main__, zonehookd.cli.main, zonehookd.illumos.omapi, zonehookd.warden.__main__
except ImportError as problem:
    sys.exit(f"{problem}")' "$work/paths" || {
        echo "install: what zonehookd imports is not all there, so nothing was installed; DEPS=yes takes it from the" \
            "network, and with DEPS=no PYTHON= is one that has it; this was DEPS=$DEPS PYTHON=$python" >&2
        exit 1
    }
    compile "$work/gate" || {
        echo "install: the gate program does not compile, so nothing was installed; another compiler: CC=" >&2
        exit 1
    }
    rm -rf "$root/lib/python"
    sources='( -name *.py -o -name *.sql -o -name *.j2 -o -name *.c )'
    {
        set -f # words for find
        # shellcheck disable=SC2086
        find zonehookd -name __pycache__ -prune -o -type f $sources -print # `tests` there are what new plugins get
        # shellcheck disable=SC2086
        find plugins \( -name __pycache__ -o -name tests -o -name conftest.py \) -prune -o -type f $sources -print
        set +f
    } >"$work/sources"
    while read -r file; do put "$file" "$PREFIX/lib/python/$file" 644; done <"$work/sources"
    put "$work/gate" "$PREFIX/lib/python/zonehookd/gate/gate" 755
    environment
    launcher bin/zonehookd zonehookd.__main__ ""
    launcher bin/zonehookctl zonehookd.cli.main ""
    launcher lib/zonehookd-warden zonehookd.warden.__main__ "sys.argv[1:]"
    sed "s|/opt/zonehookd|$PREFIX|g" smf/svc-zonehookd >"$work/method"
    put "$work/method" "$PREFIX/lib/svc-zonehookd" 755
    rm -rf "$root/lib/deps"
    [ "$DEPS" != yes ] || cp -R "$work/deps" "$root/lib/deps"
    put LICENSE "$PREFIX/LICENSE" 644
    put smf/zonehookd.toml "$PREFIX/lib/zonehookd.toml" 644
    sed "s|/opt/zonehookd|$PREFIX|g" smf/zonehookd.xml >"$work/manifest"
    put "$work/manifest" "$MANIFESTDIR/zonehookd.xml" 444 root:sys
    for each in auth_attr prof_attr exec_attr; do
        sed "s|/opt/zonehookd|$PREFIX|g" "smf/rbac/$each" >"$work/$each"
        put "$work/$each" "/etc/security/$each.d/zonehookd" 644 root:sys
    done
    sed "s|/opt/zonehookd|$PREFIX|g" smf/logadm.conf >"$work/logadm"
    put "$work/logadm" /etc/logadm.d/zonehookd 444 root:sys
    [ -e "$DESTDIR/etc/zonehookd/zonehookd.toml" ] || put smf/zonehookd.toml /etc/zonehookd/zonehookd.toml 644 root:sys
    [ -n "$DESTDIR" ] && return
    echo "$MANIFESTDIR" >"$list"
    svcadm restart svc:/system/manifest-import:default
    for each in rbac logadm-upgrade; do # merge what lies in /etc/security/*.d and /etc/logadm.d
        svcadm restart "svc:/system/$each:default" 2>/dev/null || echo "install: no svc:/system/$each here" >&2
    done
    restart
}

uninstall() {
    if [ -z "$DESTDIR" ]; then
        # Brands whose hooks ask us get their own back: by the books, which may be elsewhere, and by what is in their files.
        # Whose it is nobody can tell: with [paths] of before it is ours, and left behind it would refuse uninstalls. One of
        # another zonehookd, with [paths] of its own, is put in again by that one within 10 s, or as it starts.
        gated=$(grep -l '/gate [^ ]* prestatechange %z -' /usr/lib/brand/*/config.xml 2>/dev/null) || true
        brands=$(for each in /var/lib/zonehookd/brand/*/ $(echo "$gated" | sed 's|config.xml$||'); do
            if [ -d "$each" ]; then basename "$each"; fi
        done | sort -u)
        for each in $brands; do "$PREFIX/bin/zonehookctl" brand disable "$each" || failed=yes; done
        [ -z "${failed:-}" ] || { echo "uninstall: not before that is mended: zonehookctl brand status" >&2; exit 1; }
        if svcs -H "$FMRI" >/dev/null 2>&1; then
            svcadm disable -s "$FMRI"
        fi
        for each in /var/zap/zones/zconfig.zonehookd-*; do # or zap would refuse for ever (zonehookd/illumos/zap.py)
            if head -n 1 "$each" 2>/dev/null | grep '^# zonehookd: ' >/dev/null; then rm -f "$each"; fi
        done
        [ -e "$list" ] && MANIFESTDIR=$(cat "$list")
    fi
    rm -f "$DESTDIR$MANIFESTDIR/zonehookd.xml" "$DESTDIR/etc/logadm.d/zonehookd"
    for each in auth_attr prof_attr exec_attr; do rm -f "$DESTDIR/etc/security/$each.d/zonehookd"; done
    [ -n "$DESTDIR" ] || svcadm restart svc:/system/manifest-import:default # which deletes the service
    if cmp -s smf/zonehookd.toml "$DESTDIR/etc/zonehookd/zonehookd.toml"; then
        rm "$DESTDIR/etc/zonehookd/zonehookd.toml"
    elif [ -e "$DESTDIR/etc/zonehookd/zonehookd.toml" ]; then
        echo "uninstall: /etc/zonehookd is yours, and stays"
    fi
    rmdir "$DESTDIR/etc/zonehookd" 2>/dev/null || true
    rm -rf "$root/bin" "$root/lib" "$root/LICENSE" "$root/pyvenv.cfg"
    rmdir "$root" 2>/dev/null || true
    [ -n "$DESTDIR" ] || echo "what it made stays, with its books in /var/lib/zonehookd and its log in /var/log/zonehookd"
}

case $verb in
install | uninstall) "$verb" ;;
*) echo "usage: $0 install|uninstall" >&2; exit 64 ;;
esac
