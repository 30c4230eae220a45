#!/bin/sh
# Sets up a checkout: Debian packages that are missing, a virtual environment with the locked dependencies, the lab's
# launcher. Says what it installs; does nothing when there is nothing to do. Run by `make`, safe to run again.
set -eu
cd "$(dirname "$0")/.."

PYTHON=
for candidate in python3.11 python3 python3.12 python3.13; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        PYTHON=$candidate
        break
    fi
done
[ -n "$PYTHON" ] || { echo "setup: needs Python 3.11 or newer" >&2; exit 1; }

missing=
need() { # PROGRAM-OR-FILE PACKAGE
    command -v "$1" >/dev/null || [ -e "$1" ] || missing="$missing $2"
}
PATH=$PATH:/usr/sbin:/sbin
need cc gcc
need /usr/include/stdio.h libc6-dev
need ip iproute2
need ping iputils-ping
need pgrep procps
need nft nftables
need /etc/services netbase
need udhcpc udhcpc
need dnsmasq dnsmasq-base
need dhcpd isc-dhcp-server
need nginx nginx
need /usr/lib/nginx/modules/ngx_stream_module.so libnginx-mod-stream
need haproxy haproxy
need nc.openbsd netcat-openbsd
need xmllint libxml2-utils
need jq jq
need ksh93 ksh93u+m # /bin/sh of illumos
need curl curl
need promtool prometheus
need /usr/include/zmq.h libzmq3-dev
need /usr/include/cjson/cJSON.h libcjson-dev
ls /usr/lib/*/libuid_wrapper.so >/dev/null 2>&1 || missing="$missing libuid-wrapper"
[ -x .venv/bin/python ] || "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        echo "setup: installing Debian packages:$missing"
        apt-get update -qq
        # Servers are for lab hosts only: Debian must not start one on this machine.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap 'rm -f $policy' EXIT
            printf '#!/bin/sh\nexit 101\n' >$policy
            chmod 755 $policy
        fi
        # shellcheck disable=SC2086 # a list of words
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        echo "setup: these Debian packages are missing; as root, run:" >&2
        echo "    apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    fi
fi

stamp=.venv/ready-$(cat requirements.lock pyproject.toml | sha256sum | cut -c1-16)
if [ ! -e "$stamp" ]; then
    echo "setup: making .venv with the dependencies of requirements.lock"
    [ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
    .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
    rm -f .venv/ready-*
    : >"$stamp"
fi
tests/lab/zonelab build >/dev/null
