"""Checking a configuration on the data-only floor: the machine's program looks at the files of a zone or the host.

There is no container to be in, so for that moment one is made: the machine's programs and the folders etc, opt and var
of the zone, in namespaces of its own, where every address may be bound. Nothing else can be run so.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import native_build, packages, real_programs
from lab.call import Call
from lab.ipadm_conf import root_of
from lab.smf import host
from lab.smf.instance import UP
from lab.world import NotEmulated

_LIBRARY = "libone_id.so"
_REFUSED = 71  # of the script: this machine does not let us
# ROOT: an empty folder; FILES: what has etc, opt and var; LIBRARY: to be preloaded, or "". The rest is the command.
_SCRIPT = """
root=$1 files=$2 library=$3
shift 3
{
	mount -t tmpfs none "$root" && cd "$root" || exit 71
	for name in /usr /bin /sbin /lib*; do
		if [ -L $name ]; then ln -s "$(readlink $name)" .$name; else mkdir .$name && mount --rbind $name .$name; fi
	done
	mkdir dev proc run tmp
	mount --rbind /dev dev && mount --rbind /proc proc || exit 71
	for name in etc opt var; do mkdir $name && mount --rbind "$files/$name" $name || exit 71; done
	echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind
	echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind
	ip link set lo up
	[ -z "$library" ] || cp "$library" tmp
	program=$1
	cp "$program" tmp/${program##*/}
} 2>/dev/null
shift
exec chroot "$root" /usr/bin/env ${library:+LD_PRELOAD=/tmp/${library##*/}} "/tmp/${program##*/}" "$@"
"""


def check(call: Call, arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Raises `NotEmulated` where the machine has no namespaces for us."""
    real_programs.meet_faults(call)
    files = deliver(call)
    name = real_programs.PROGRAMS[call.argv[0]]
    places = [f"{real_programs.FOLDER}/{call.argv[0]}", f"/usr/sbin/{name}", f"/usr/bin/{name}"]
    program = next((place for place in places if Path(place).exists()), "")
    if not program:
        raise NotEmulated(f"{call.argv[0]}: this machine does not have it")
    privileged = os.geteuid() == 0 and not real_programs.one_id()
    library = "" if privileged else str(native_build.build() / _LIBRARY)
    with TemporaryDirectory() as root:
        kinds = "-nm" if privileged else "-rnm"
        script = ["unshare", kinds, "sh", "-c", _SCRIPT, "sh", root, str(files), library]
        done = call.spawn([*script, program, *arguments], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    if done.returncode == _REFUSED or done.stderr.startswith(b"unshare:"):
        raise NotEmulated(f"{' '.join(call.argv)}: this machine has no namespaces for us")
    return done


def deliver(call: Call) -> Path:
    """Where the files of the caller's zone are; those of the packages among them."""
    files = root_of(call.world, call.zone)
    if not packages.delivered(files, call.world.dialect):
        packages.deliver(files, call.world.dialect, "etc", "opt", "var")
    if not (files / "etc/passwd").exists():
        (files / "etc/passwd").write_text("root:x:0:0::/root:/sbin/sh\nnobody:x:65534:65534::/:/usr/bin/false\n")
        (files / "etc/group").write_text("root:x:0:\nnobody:x:65534:\nnogroup:x:65534:\n")
        packages.add_users(files / "etc")
    if not (files / "var/run").exists() and not (files / "var/run").is_symlink():
        (files / "var/run").mkdir()
    return files


def runs(call: Call, fmri: str) -> bool:
    """Whether the service counts as running in the caller's zone."""
    restarter = host.restarter_of(call.world, call.zone)
    if restarter is None:
        return False
    with restarter.changed:
        instance = restarter.instances.get(fmri)
        return instance is not None and instance.state in UP


def tell(call: Call, done: subprocess.CompletedProcess[bytes]) -> int:
    call.stdout.write(done.stdout)
    call.stderr.write(done.stderr)
    return done.returncode
