"""The method scripts the lab plays itself: ipfilter's, IP forwarding's, rbac's and others [services 1.3, 2, 3.9].

Where one consists of illumos commands, each step is a command of the lab, run in the zone, so faults and the journal
see it as they would on a real host.
"""

from __future__ import annotations

from lab import dispatch
from lab.smf import importing
from lab.smf.methods import ERR_CONFIG, ERR_FATAL, OK, Played, native
from lab.smf.values import astring, count
from lab.world import GLOBAL, NotEmulated

_RUN = "/var/run/ipf"
_OVERRIDES = ((f"{_RUN}/ipf_ovr.conf", "-I"), (f"{_RUN}/ipf6_ovr.conf", "-6I"))


def _command(told: Played, *argv: str) -> int:
    done = dispatch.run_text(told.world, list(argv), zone=told.zone)
    told.said += (done.out + done.err).splitlines()
    if done.status == dispatch.NOT_EMULATED:
        raise NotEmulated(done.err.rpartition("not emulated: ")[2].strip())
    return done.status


def _shared_stack(told: Played) -> bool:
    """Whether the zone uses the global zone's IP stack."""
    zone = told.world.kernel_zones.get(told.zone)
    return told.zone != GLOBAL and (zone is None or not zone.exclusive)


@native("/lib/svc/method/svc-forwarding")
def forwarding(told: Played) -> int:
    """Sets the switch of the whole stack, and with it every interface's; nothing in a shared-IP zone [services 2]."""
    if _shared_stack(told):
        return OK
    value = "off" if told.verb == "stop" else "on"
    status = _command(told, "ipadm", "set-prop", "-p", f"forwarding={value}", told.rest[0])
    return OK if status == 0 else ERR_FATAL


@native("/lib/svc/method/manifest-import")
def manifest_import(told: Played) -> int:
    """What is in the manifest folders becomes services [services 3.6]."""
    with told.instance.restarter.changed:
        told.said += importing.look(told.instance.restarter)
    return OK


@native("/lib/svc/method/svc-rbac")
def rbac(told: Played) -> int:
    """Fragments newer than the main file are merged into it; nothing is ever taken out [services 3.9]."""
    for name in ("security/auth_attr", "security/prof_attr", "security/exec_attr", "user_attr"):
        main = told.instance.restarter.path(f"/etc/{name}")
        since = main.stat().st_mtime_ns if main.exists() else -1
        folder = main.with_name(f"{main.name}.d")
        fresh = [file for file in sorted(folder.glob("*")) if file.stat().st_mtime_ns > since]
        lines = main.read_text().splitlines() if main.exists() else []
        for line in (line for file in fresh for line in file.read_text().splitlines()):
            if line and not line.startswith("#") and line not in lines:
                lines.append(line)
        if fresh:
            main.write_text("".join(f"{line}\n" for line in lines))
    return OK


@native("/lib/svc/method/svc-zones", on_paper_only=True)
def zones(told: Played) -> int:
    """What the script does, one zone after the other [zones 3.11]."""
    entries = [
        line.split(":", 3)[1:3] for line in dispatch.run_text(told.world, ["zoneadm", "list", "-pi"]).out.splitlines()
    ]
    others = [(name, state) for name, state in entries if name != GLOBAL]
    if told.verb == "start":
        for name in [name for name, state in others if state == "installed"]:
            boots = "true" in dispatch.run_text(told.world, ["zonecfg", "-z", name, "info", "autoboot"]).out
            _command(told, "zoneadm", "-z", name, "boot" if boots else "sysboot")
        return OK
    active = [name for name, state in others if state != "installed"]
    good = [
        _command(told, "zoneadm", "-z", name, "shutdown") == 0 or _command(told, "zoneadm", "-z", name, "halt") == 0
        for name in active
    ]
    return OK if all(good) else ERR_FATAL


@native("/lib/svc/method/ipfilter")
def ipfilter(told: Played) -> int:
    """start, stop, reload [services 1.3]. Its daemons svc.ipfd and ipmon are a contract without processes here."""
    if told.verb == "stop":
        _command(told, "ipf", "-D")
        return OK
    if told.verb == "start":
        _migrate(told)
    _build_rules(told)
    nat = _text(told, "config", "ipnat_config_file")
    if not _exists(told, f"{_RUN}/ipf.conf") and not _exists(told, nat):
        told.daemons = False
        return OK
    _command(told, "ipf", "-E")
    pools = _text(told, "config", "ippool_config_file")
    if _exists(told, pools):
        raise NotEmulated(f"address pools ({pools})")
    return OK if _load_filters(told) and _load_nat(told, nat) else ERR_CONFIG


def _text(told: Played, group: str, name: str) -> str:
    return told.instance.word(group, name)


def _exists(told: Played, path: str) -> bool:
    file = told.instance.restarter.path(path)
    return file.is_symlink() or file.exists()


def _migrate(told: Played) -> None:
    """Once: rules that are in /etc/ipf/ipf.conf at the first start choose the policy `custom` [services 1.2]."""
    it, restarter = told.instance, told.instance.restarter
    group = "firewall_config_default"
    if _text(told, group, "version") == "1":
        return
    file = restarter.path("/etc/ipf/ipf.conf")
    lines = file.read_text().splitlines() if file.exists() else []
    with restarter.changed:
        if any(line.strip() and not line.lstrip().startswith("#") for line in lines):
            restarter.repository.put(it.entity, group, "policy", astring("custom"))
        restarter.repository.put(it.entity, group, "version", count(1))
        restarter.refreshed(it)


def _build_rules(told: Played) -> None:
    """/var/run/ipf/ipf.conf and ipf6.conf, as the policy wants them [services 1.2]."""
    group = "firewall_config_default"
    policy = _text(told, group, "policy")
    folder = told.instance.restarter.path(_RUN)
    folder.mkdir(parents=True, exist_ok=True)
    for name, key in (("ipf.conf", "custom_policy_file"), ("ipf6.conf", "custom_policy_file_6")):
        target, custom = folder / name, _text(told, group, key)
        target.unlink(missing_ok=True)
        if policy == "custom":
            if _exists(told, custom):
                target.symlink_to(custom)
        elif policy == "none":
            target.write_text("# the global policy is none\n")
        else:
            raise NotEmulated(f"firewall_config_default/policy = {policy} [services 1.2]")
    override = _text(told, "firewall_config_override", "policy")
    if override not in ("", "none"):
        raise NotEmulated(f"firewall_config_override/policy = {override} [services 1.2]")


def _load_filters(told: Played) -> bool:
    """Into the inactive sets; they become the active ones only if all went well."""
    _command(told, "ipf", "-IFa")
    _command(told, "ipf", "-6IFa")
    good = True
    for path, option in (*_OVERRIDES, (f"{_RUN}/ipf.conf", "-I"), (f"{_RUN}/ipf6.conf", "-6I")):
        if _exists(told, path):
            target = told.instance.restarter.path(path)
            meant = str(target.readlink()) if target.is_symlink() else path  # a link of the zone's, not of ours
            good = _command(told, "ipf", option, "-f", meant) == 0 and good
    if not good:
        told.said.append("Not switching config due to load error.")
        return False
    return _command(told, "ipf", "-s", "-y") == 0


def _load_nat(told: Played, path: str) -> bool:
    """Not atomic: the old rules and all sessions are gone first [services 1.3]."""
    if not _exists(told, path):
        return True
    _command(told, "ipnat", "-CF")
    good = _command(told, "ipnat", "-f", path) == 0
    _command(told, "ipf", "-y")
    return good
