"""Builds one lab host out of namespaces and a root of its own, then starts its server and its process 1.

    caller --unshare, fork--> process 1 (builds the root, becomes native/init.c) --fork--> the server
                                   `--> the command of `zonelab run`

When process 1 ends, for whatever reason, the kernel ends everything else in the host and the last of it is gone: no
file, mount or link is left on the machine. Process 1 of `zonelab run` ends as soon as its caller does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lab import control, dispatch, door, hosts, linux, native_build, packages, real_programs, serve
from lab.world import Dialect

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = f"{door.STATE}/bin"
_OLD = "/.old"
ZONE_PATTERN = "/.base"  # /etc and the folders of /var as a new zone gets them
_OWN = {"proc", "dev", "sys", "tmp", "run", "var", "etc", "usr", "opt", "zones", "export", "lost+found"}
# Where illumos has them; everything else is in /usr/sbin.
_ALSO_IN_BIN = ("kstat", "nc", "netstat", "pfexec", "pgrep", "pkill", "svcprop", "svcs", "zonename")
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class CannotEnter(Exception):
    """The machine does not allow what a lab host is made of."""


@dataclass(frozen=True)
class Plan:
    name: str
    command: list[str]  # empty: the host lasts until it is stopped
    real: bool = True  # False: the data-only floor
    dialect: Dialect = Dialect.VANILLA
    uplinks: int = 1  # physical links
    shown: tuple[str, ...] = ()  # further folders of the machine that the host shall see, writable


def environment(caller: dict[str, str]) -> dict[str, str]:
    """The caller's, with the illumos commands first on PATH."""
    path = [part for part in caller.get("PATH", "").split(":") if part and part != COMMANDS]
    path += [part for part in ("/usr/sbin", "/usr/bin") if part not in path]
    return {**caller, "PATH": ":".join([COMMANDS, *path])}


def run(plan: Plan) -> int:
    """One throw-away host; the exit status of `plan.command` (128 + N when signal N killed it)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [*_FORWARDED, signal.SIGCHLD])
    leash, held = os.pipe()
    first = _fork_first(plan, leash, held, ready=os.pipe())
    os.close(leash)
    while True:
        ended, status = os.waitpid(first, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        news = signal.sigwaitinfo([*_FORWARDED, signal.SIGCHLD])
        # What the terminal sends (si_code > 0) reaches the command by itself: it is in our process group.
        if news.si_signo != signal.SIGCHLD and news.si_code <= 0:
            os.kill(first, news.si_signo)


def up(plan: Plan) -> None:
    """A host that outlives us; it answers when this returns."""
    ready = os.pipe()
    _fork_first(plan, -1, -1, ready)
    os.close(ready[1])
    if os.read(ready[0], 1) != b"!":
        raise CannotEnter("the host did not come up")


def _fork_first(plan: Plan, leash: int, held: int, ready: tuple[int, int]) -> int:
    """Pid of the host's process 1."""
    native = native_build.build()
    cwd = str(Path.cwd())
    try:
        _unshare()
    except OSError as problem:
        raise CannotEnter(
            f"no namespaces for us here: {problem} (see tests/lab/README.md, 'what it needs')"
        ) from problem
    first = os.fork()
    if first:
        return first
    try:
        if held >= 0:
            os.close(held)
        _become_first(plan, cwd, native, leash, ready)
    except BaseException as problem:
        print(f"zonelab: cannot build the host: {type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
    os._exit(125)


def _unshare() -> None:
    kinds = linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWNET | linux.CLONE_NEWPID
    try:
        linux.unshare(kinds)
    except PermissionError:
        linux.single_user()
        linux.unshare(kinds)


def _become_first(plan: Plan, cwd: str, native: Path, leash: int, ready: tuple[int, int]) -> NoReturn:
    build_root(native, plan.dialect, [str(REPOSITORY), sys.prefix, sys.base_prefix, cwd, *plan.shown])
    linux.sethostname(hosts.DEFAULT)
    linux.loopback_up()
    ready_read, ready_write = ready
    server = os.fork()
    if server == 0:
        serve.become_server(plan.real, plan.dialect, plan.uplinks, ready_write)
    os.close(ready_write)
    if not plan.command:
        os.close(ready_read)
        ready_read = -1
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
    for fd in (leash, ready_read):
        if fd >= 0:
            os.set_inheritable(fd, True)
    argv = ["zonelab-init", "host", plan.name, str(server), str(ready_read), str(leash), cwd, *plan.command]
    os.execve(f"{door.STATE}/zonelab-init", argv, environment(dict(os.environ)))  # noqa: S606


# the root -------------------------------------------------------------------------------------------------------------


def build_root(native: Path, dialect: Dialect, shown: Sequence[str]) -> None:
    """A root of our own for the calling process, which has fresh namespaces; `shown` folders stay where they are."""
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    base = "/tmp"  # noqa: S108 - only a place to stand on while the roots change
    linux.mount("zonelab", base, "tmpfs", data="mode=755")
    Path(f"{base}{_OLD}").mkdir()
    linux.pivot_root(base, f"{base}{_OLD}")
    os.chdir("/")
    _system()
    _devices()
    _usr(native)
    _etc(dialect)
    _var(dialect)
    _opt(dialect)
    for path in shown:
        _show(path)
    linux.detach(_OLD)
    Path(_OLD).rmdir()


def _mirror(source: str, target: str, but: set[str]) -> None:
    """The entries of one folder of the machine, read-only; unreadable folders become empty ones of our own."""
    for entry in os.scandir(source):
        place = f"{target}/{entry.name}"
        if entry.name in but:
            continue
        if entry.is_symlink():
            Path(place).symlink_to(Path(entry.path).readlink())
        elif entry.is_dir():
            Path(place).mkdir()
            if os.access(entry.path, os.R_OK | os.X_OK):
                linux.bind(entry.path, place)
                linux.make_read_only(place)


def _system() -> None:
    """What else the machine has at its root."""
    _mirror(_OLD, "", _OWN)
    for folder in ("/proc", "/dev", "/sys", "/run/lock", "/zones", "/export/zones", "/export/home", ZONE_PATTERN):
        Path(folder).mkdir(parents=True)
    Path("/tmp").mkdir()  # noqa: S108
    Path("/tmp").chmod(0o1777)  # noqa: S108


def _usr(native: Path) -> None:
    """The machine's /usr with the illumos commands laid over it. Folders made here beforehand stay writable for us."""
    upper = Path("/.usr/upper")
    for folder in ("sbin", "bin", "lib/brand", "lib/zonelab", "lib/svc/manifest/site", "share/lib/xml/dtd"):
        (upper / folder).mkdir(parents=True)
    Path("/.usr/work").mkdir()
    Path("/usr").mkdir()
    source = Path(_OLD) / native.relative_to("/")
    launcher = upper / "sbin" / control.NAME
    shutil.copy(source / "launch", launcher)
    for name in dispatch.COMMANDS:
        os.link(launcher, upper / "sbin" / name)
    for name in _ALSO_IN_BIN:
        os.link(launcher, upper / "bin" / name)
    (upper / "sbin/sh").symlink_to("../bin/sh")  # /sbin/sh is illumos' shell
    shutil.copy(source / "libzonecfg.so.1", upper / "lib")
    shutil.copytree(source.parents[1] / "smf/lib", upper / "lib/svc", dirs_exist_ok=True)
    shutil.copytree(source.parents[1] / "tools", upper / "bin", dirs_exist_ok=True)  # zap and zadm
    overlay("/usr", f"{_OLD}/usr", "/.usr/upper", "/.usr/work")
    linux.mount("zonelab", door.STATE, "tmpfs", data="mode=755")
    Path(COMMANDS).mkdir()
    shutil.copy(source / "launch", f"{door.STATE}/zonelab-init")
    for name in (*control.OWN, *dispatch.COMMANDS):
        os.link(f"{door.STATE}/zonelab-init", f"{COMMANDS}/{name}")
    Path(packages.FOLDER).mkdir()
    for name in packages.COMMANDS:
        os.link(f"{door.STATE}/zonelab-init", f"{packages.FOLDER}/{name}")
        Path(f"/usr/sbin/{name}").unlink(missing_ok=True)  # illumos has it elsewhere
    for name in native_build.ON_A_HOST:
        shutil.copy(source / name, f"{door.STATE}/{name}")
    Path(real_programs.FOLDER).mkdir()
    for name, file in real_programs.PROGRAMS.items():
        for folder in ("sbin", "bin"):
            if Path(f"{_OLD}/usr/{folder}/{file}").exists():
                shutil.copy(f"{_OLD}/usr/{folder}/{file}", f"{real_programs.FOLDER}/{name}")


def overlay(target: str, lower: str, upper: str, work: str) -> None:
    """Inside a user namespace overlayfs keeps its notes in ``user.`` attributes; as root it need not."""
    data = f"lowerdir={lower},upperdir={upper},workdir={work}"
    try:
        linux.mount("overlay", target, "overlay", data=f"{data},userxattr")
    except OSError:
        linux.mount("overlay", target, "overlay", data=data)


def _etc(dialect: Dialect) -> None:
    """A copy of what we may read: overlayfs would not let us write below folders of ids that do not exist here."""
    subprocess.run(
        ["/usr/bin/cp", "-a", "--no-preserve=ownership", f"{_OLD}/etc", f"{ZONE_PATTERN}/etc"],
        stderr=subprocess.DEVNULL, check=False, cwd="/",
    )  # fmt: skip
    etc = Path(f"{ZONE_PATTERN}/etc")
    for name in ("rc.local", "hosts", "dnsmasq.conf", "dhcpd.conf"):
        (etc / name).unlink(missing_ok=True)
    for folder in ("opt/ooce", "ipf", "nginx", "haproxy"):
        shutil.rmtree(etc / folder, ignore_errors=True)
    for folder in ("opt/ooce/dnsmasq", "ipf"):
        (etc / folder).mkdir(parents=True)
    (etc / "ipf/ipf.conf").write_text("# Rules of ipf(8)\n")  # all that its package delivers [services 1.1]
    packages.add_users(etc)
    packages.deliver(etc.parent, dialect, "etc")
    (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    for folder in ("/etc", "/.etc/upper", "/.etc/work"):
        Path(folder).mkdir(parents=True)
    overlay("/etc", f"{ZONE_PATTERN}/etc", "/.etc/upper", "/.etc/work")


def _var(dialect: Dialect) -> None:
    """The folders of the machine's /var, two levels deep and without their files: ours, and the pattern for zones."""
    pattern = Path(ZONE_PATTERN) / "var"
    for folder in _folders(Path(_OLD) / "var", deepest=2):
        target = pattern / folder.relative_to(f"{_OLD}/var")
        target.mkdir()
        with contextlib.suppress(OSError):
            status = folder.stat()
            target.chmod(status.st_mode & 0o7777)
            os.chown(target, status.st_uid, status.st_gid)
    for name in ("adm", "tmp", "log", "db", "dnsmasq", "svc/log", "svc/manifest/site"):
        (pattern / name).mkdir(parents=True, exist_ok=True)
    for name in ("lib/nginx", "lib/haproxy", "log/nginx"):
        shutil.rmtree(pattern / name, ignore_errors=True)
    packages.deliver(pattern.parent, dialect, "var")
    for name, target_name in (("run", "/run"), ("lock", "/run/lock")):
        (pattern / name).symlink_to(target_name)
    shutil.copytree(pattern, "/var", symlinks=True)
    packages.deliver(Path("/"), dialect, "var")  # owners are not copied


def _folders(top: Path, deepest: int) -> Iterator[Path]:
    """`top` and the folders below it that we may read, parents first; no links."""
    yield top
    if deepest == 0:
        return
    for entry in sorted(os.scandir(top), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False) and os.access(entry.path, os.R_OK | os.X_OK):
            yield from _folders(Path(entry.path), deepest - 1)


def _opt(dialect: Dialect) -> None:
    """The machine's /opt, and what packages have there."""
    Path("/opt").mkdir()
    if Path(f"{_OLD}/opt").is_dir() and os.access(f"{_OLD}/opt", os.R_OK | os.X_OK):
        _mirror(f"{_OLD}/opt", "/opt", {"ooce", "tribblix"})
    packages.deliver(Path("/"), dialect, "opt")


def _devices() -> None:
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    linux.bind(f"{_OLD}/dev", "/dev")
    linux.mount("zonelab", "/dev/shm", "tmpfs", data="mode=1777")  # noqa: S108
    try:
        linux.mount("sysfs", "/sys", "sysfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    except PermissionError:  # a container that hides parts of its own /sys; nothing here depends on it
        linux.bind(f"{_OLD}/sys", "/sys")


def _show(path: str) -> None:
    """Make the machine's folder visible and writable at its own place, unless that place is made of our own parts."""
    parts = Path(path).parts
    private = len(parts) == 2 and parts[1] in _OWN
    if len(parts) < 2 or private or parts[1] in ("usr", "etc", "proc", "dev", "sys") or not Path(_OLD + path).is_dir():
        return
    Path(path).mkdir(parents=True, exist_ok=True)
    linux.bind(_OLD + path, path)
