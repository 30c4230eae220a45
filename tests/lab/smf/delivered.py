"""The services a fresh zone has, per dialect [services 1.1-1.3, 2, 4.1, 5.1, 6.1].

Scenery services are what others depend on: always online, without processes, and not to be changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath

from lab import packages
from lab.smf import fmri as names
from lab.smf.repository import GENERAL, Group, Groups
from lab.smf.values import Property, astring, boolean, count
from lab.world import Dialect

SCENERY = "scenery"  # a property of our own group, which no command shows
_OWN_GROUP = "zonelab"
_SCENERY = (
    "system/svc/restarter", "system/filesystem/local", "system/pfexec", "network/loopback",
    "network/datalink-management", "network/ip-interface-management", "network/physical", "network/routing-setup",
    "milestone/network", "milestone/multi-user", "milestone/multi-user-server",
)  # fmt: skip
MANIFEST_IMPORT = "svc:/system/manifest-import:default"
RBAC = "svc:/system/rbac:default"
ZONES = "svc:/system/zones:default"
ZONES_STOP_SECONDS = 100
IPFILTER = "svc:/network/ipfilter:default"
FORWARDING = {4: "svc:/network/ipv4-forwarding:default", 6: "svc:/network/ipv6-forwarding:default"}


def method(exec_: str, seconds: int) -> Group:
    kind = Property("astring", ("method",))
    return Group("method", {"exec": astring(exec_), "timeout_seconds": count(seconds), "type": kind})


def dependency(grouping: str, restart_on: str, *entities: str, kind: str = "service") -> Group:
    return Group(
        "dependency",
        {
            "entities": Property("fmri", entities),
            "grouping": astring(grouping),
            "restart_on": astring(restart_on),
            "type": astring(kind),
        },
    )


def title(text: str) -> Group:
    return Group("template", {"C": Property("ustring", (text,))})


def _general(enabled: bool) -> Group:
    return Group("framework", {"enabled": boolean(enabled)})


def _startd(**properties: str) -> Group:
    return Group("framework", {name: astring(value) for name, value in properties.items()})


def _scenery(service: str) -> Groups:
    return {
        GENERAL: _general(True),
        "start": method(":true", 60),
        "stop": method(":true", 60),
        "startd": _startd(duration="transient"),
        _OWN_GROUP: Group("framework", {SCENERY: boolean(True)}),
        "tm_common_name": title(service.rpartition("/")[2].replace("-", " ")),
    }


def is_scenery(groups: Mapping[str, Group]) -> bool:
    return _OWN_GROUP in groups


_NETWORK = {
    "filesystem": dependency("require_all", "none", "svc:/system/filesystem/local"),
    "network": dependency("require_all", "error", "svc:/network/physical"),
}


def _manifest_import() -> Groups:
    """Online as it is when a zone boots without manifests of its own; a restart looks at the folders [services 3.6]."""
    return {
        GENERAL: _general(True),
        "start": method("/lib/svc/method/manifest-import start", 1800),
        "stop": method(":true", 60),
        "startd": _startd(duration="transient"),
        "tm_common_name": title("service manifest import"),
    }


def _rbac() -> Groups:
    """[services 3.9]"""
    return {
        GENERAL: _general(True),
        "filesystem": dependency("require_all", "none", "svc:/system/filesystem/local"),
        "start": method("/lib/svc/method/svc-rbac start", 60),
        "stop": method(":true", 60),
        "refresh": method("/lib/svc/method/svc-rbac refresh", 60),
        "startd": _startd(duration="transient"),
        "tm_common_name": title("rbac policy configuration"),
    }


def _zones() -> Groups:
    """The service's; its instance has nothing but general/enabled [zones 3.11, services 3.6]."""
    return {
        "multi-user-server": dependency("require_all", "none", "svc:/milestone/multi-user-server"),
        "start": method("/lib/svc/method/svc-zones start", 60),
        "stop": method("/lib/svc/method/svc-zones stop", ZONES_STOP_SECONDS),
        "startd": _startd(duration="transient"),
        "tm_common_name": title("zones autoboot and graceful shutdown"),
    }


def _ipfilter() -> Groups:
    """The framework's properties as illumos-gate delivers them [services 1.2]."""
    default = {
        "policy": astring("none"),
        "custom_policy_file": astring("/etc/ipf/ipf.conf"),
        "custom_policy_file_6": astring("/etc/ipf/ipf6.conf"),
        "block_policy": astring("none"),
        "apply_to": astring(""),
        "exceptions": astring(""),
        "target": astring(""),
        "open_ports": astring(""),
        "version": count(0),
    }
    config = {
        "ipnat_config_file": astring("/etc/ipf/ipnat.conf"),
        "ippool_config_file": astring("/etc/ipf/ippool.conf"),
        "ipf6_config_file": astring("/etc/ipf/ipf6.conf"),
    }
    return {
        GENERAL: _general(False),
        **_NETWORK,
        "start": method("/lib/svc/method/ipfilter start", 120),
        "stop": method("/lib/svc/method/ipfilter stop", 60),
        "refresh": method("/lib/svc/method/ipfilter reload", 120),
        "startd": _startd(duration="contract"),
        "config": Group("application", config),
        "firewall_config_default": Group("com.sun,fw_configuration", default),
        "firewall_config_override": Group(
            "com.sun,fw_configuration", {"policy": astring("none"), "apply_to": astring("")}
        ),
        "tm_common_name": title("IP Filter"),
    }


def _forwarding(proto: str) -> Groups:
    """[services 2]"""
    return {
        GENERAL: _general(False),
        "network": dependency("require_all", "none", "svc:/network/physical"),
        "start": method(f"/lib/svc/method/svc-forwarding start {proto}", 60),
        "stop": method(f"/lib/svc/method/svc-forwarding stop {proto}", 60),
        "refresh": method(f"/lib/svc/method/svc-forwarding refresh {proto}", 60),
        "startd": _startd(duration="transient"),
        "tm_common_name": title(f"{proto} forwarding"),
    }


def _dhcp(family: int) -> Groups:
    """[services 4.1]; both dialects have it here, though only OmniOS has the package."""
    six = "6" if family == 6 else ""
    config = {
        "config_file": astring(f"/etc/dhcpd{six}.conf"),
        "lease_file": astring(f"/var/db/dhcpd{six}.leases"),
        "listen_ifnames": Property("astring", ()),
        "debug": boolean(False),
        "omapi_conn_limit": count(200),
    }
    return {
        GENERAL: _general(False),
        **_NETWORK,
        "start": method(f"/lib/svc/method/isc-dhcp start ipv{family}", 60),
        "stop": method(":kill", 60),
        "refresh": method(":true", 60),
        "startd": _startd(duration="contract"),
        "config": Group("application", config),
        "tm_common_name": title("ISC DHCP Server"),
        "tm_man_dhcpd8": Group("template", {"title": astring("dhcpd"), "section": astring("8")}),
    }


def dnsmasq(dialect: Dialect) -> tuple[str, str, str]:
    """(FMRI, configuration file, program) [services 5.1]."""
    if dialect is Dialect.OMNIOS:
        return (
            "svc:/network/dns/dnsmasq:default",
            "/etc/opt/ooce/dnsmasq/dnsmasq.conf",
            "/opt/ooce/sbin/dnsmasq",
        )
    return "svc:/network/dnsmasq:default", "/etc/dnsmasq.conf", "/usr/sbin/dnsmasq"


def _dnsmasq(dialect: Dialect) -> Groups:
    """Tribblix waits for its file; OmniOS' refresh does nothing, Tribblix has none [services 5.1]."""
    _, file, program = dnsmasq(dialect)
    groups: Groups = {
        GENERAL: _general(False),
        **_NETWORK,
        "start": method(f"{program} -C {file}" if dialect is Dialect.OMNIOS else program, 60),
        "stop": method(":kill", 60),
        "tm_common_name": title("dnsmasq DNS and DHCP server"),
    }
    if dialect is Dialect.OMNIOS:
        groups["refresh"] = method(":true", 60)
        groups["startd"] = _startd(duration="contract")
    else:
        groups["config_data"] = dependency("require_all", "none", f"file://localhost{file}", kind="path")
        groups["startd"] = _startd(duration="contract", ignore_error="core,signal")
    return groups


_MILESTONE = {
    "network": dependency("require_all", "error", "svc:/milestone/network:default"),
    "filesystem": dependency("require_all", "none", "svc:/system/filesystem/local"),
}


def _nginx(dialect: Dialect) -> Groups:
    """Only OmniOS' can be refreshed [services 6.1]; that it runs as a user of its own is done by the command."""
    package = packages.nginx(dialect)
    if dialect is Dialect.OMNIOS:
        config = {
            "exec": astring(package.program),
            "file": astring(package.config),
            "method": astring("/lib/svc/method/http-nginx"),
            "pidfile": astring(package.pid),
        }
        return {
            GENERAL: _general(False),
            **_MILESTONE,
            "start": method("%{config/method} %m", 60),
            "stop": method("%{config/exec} -s quit", 60),
            "refresh": method("%{config/exec} -s reload", 60),
            "startd": _startd(ignore_error="core,signal"),
            "config": Group("application", config),
            "tm_common_name": title("nginx web server"),
        }
    return {
        GENERAL: _general(False),
        "filesystem": dependency("require_all", "none", "svc:/system/filesystem/local"),
        "start": method(package.program, 60),
        "stop": method(":kill", 60),
        "startd": _startd(ignore_error="core,signal"),
        "tm_common_name": title("nginx server"),
    }


def _haproxy(dialect: Dialect) -> Groups:
    """Only Tribblix' can be refreshed: that starts another one, outside the service's contract [services 6.1]."""
    package = packages.haproxy(dialect)
    groups: Groups = {
        GENERAL: _general(False),
        **_MILESTONE,
        "stop": method(":kill", 60),
        "startd": _startd(duration="contract", ignore_error="core,signal"),
        "tm_common_name": title("HAProxy"),
    }
    if dialect is Dialect.OMNIOS:
        groups["start"] = method("%{config/exec} -D -f %{config/file} -p %{config/pidfile}", 60)
        config = {
            "exec": astring(package.program),
            "file": astring(package.config),
            "pidfile": astring(package.pid),
        }
        groups["config"] = Group("application", config)
        return groups
    script = f"{PurePosixPath(package.program).parent}/svc-haproxy"
    return {**groups, "start": method(f"{script} start", 60), "refresh": method(f"{script} refresh", 60)}


def _route() -> Groups:
    return {
        GENERAL: _general(False),
        "start": method("/lib/svc/method/svc-route", 60),
        "stop": method(":kill", 60),
        "startd": _startd(duration="contract"),
        "tm_common_name": title("in.routed network routing daemon"),
    }


@cache
def services(dialect: Dialect, in_global_zone: bool) -> Mapping[str, Groups]:
    """FMRI -> groups, of services and instances. Shared: `Repository` copies a group before it changes it."""
    made: dict[str, Groups] = {}

    def add(instances: Sequence[str], groups: Sequence[Groups]) -> None:
        made[names.join(names.split(instances[0])[0])] = {}
        for name, each in zip(instances, groups, strict=True):
            made[name] = each

    for service in _SCENERY:
        add([names.join(service, "default")], [_scenery(service)])
    if in_global_zone:
        add([ZONES], [{GENERAL: _general(True)}])
        made[names.join(names.split(ZONES)[0])] = _zones()
    add([MANIFEST_IMPORT], [_manifest_import()])
    add([RBAC], [_rbac()])
    add([IPFILTER], [_ipfilter()])
    add([FORWARDING[4]], [_forwarding("ipv4")])
    add([FORWARDING[6]], [_forwarding("ipv6")])
    add(["svc:/network/routing/route:default"], [_route()])
    add(["svc:/network/service/dhcp:ipv4", "svc:/network/service/dhcp:ipv6"], [_dhcp(4), _dhcp(6)])
    add([dnsmasq(dialect)[0]], [_dnsmasq(dialect)])
    add([packages.nginx(dialect).fmri], [_nginx(dialect)])
    add([packages.haproxy(dialect).fmri], [_haproxy(dialect)])
    return made
