"""The properties and resources of a zone configuration, and which values they take [zones 4.5]."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab import datalinks
from lab.world import Dialect
from lab.zonexml import Resource, ZoneConfig


class BadValue(Exception):
    """The whole message."""


@dataclass(frozen=True)
class Spec:
    """One resource type. `properties`: zonecfg word -> XML attribute, in the order `info` prints them."""

    name: str
    tag: str
    properties: Mapping[str, str]
    written: tuple[str, ...]  # XML attributes in the order libzonecfg writes them
    exported: tuple[str, ...]  # zonecfg words in the order `export` prints them
    required: tuple[str, ...]
    key: tuple[str, ...]
    lists: Mapping[str, str] = field(default_factory=dict)  # zonecfg word -> tag of the children
    single: bool = False


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_NET = ("address", "allowed-address", "physical", "defrouter")
_NET_OMNIOS = ("address", "allowed-address", "defrouter", "global-nic", "mac-addr", "physical", "vlan-id")
_NET_EXPORT = ("address", "allowed-address", "physical", "mac-addr", "vlan-id", "global-nic", "defrouter")

FS = Spec(
    "fs", "filesystem", {"dir": "directory", "special": "special", "raw": "raw", "type": "type"},
    ("special", "raw", "directory", "type"), ("dir", "special", "raw", "type"), ("dir", "special", "type"), ("dir",),
    {"options": "fsoption"},
)  # fmt: skip
NET = Spec("net", "network", _same(*_NET), _NET, _NET, ("physical",), ("physical",))
NET_OMNIOS = Spec(
    "net", "network", _same(*_NET_OMNIOS), _NET_EXPORT, _NET_EXPORT, ("physical",), ("physical",),
    {"property": "net-attr"},
)  # fmt: skip
DEVICE = Spec("device", "device", _same("match"), ("match",), ("match",), ("match",), ("match",))
MEMORY = Spec(
    "capped-memory", "mcap", {"physical": "physcap"}, ("physcap",), ("physical",), ("physical",), (), single=True
)
ATTR = Spec(
    "attr", "attr", _same("name", "type", "value"), ("name", "type", "value"), ("name", "type", "value"),
    ("name", "type", "value"), ("name",),
)  # fmt: skip
DATASET = Spec("dataset", "dataset", _same("name"), ("name",), ("name",), ("name",), ("name",))
RCTL = Spec("rctl", "rctl", _same("name"), ("name",), ("name",), ("name",), ("name",), {"value": "rctl-value"})

NOT_EMULATED = ("dedicated-cpu", "capped-cpu", "admin", "security-flags")


def specs(dialect: Dialect) -> dict[str, Spec]:
    """By name, in the order `info` prints the types."""
    net = NET_OMNIOS if dialect is Dialect.OMNIOS else NET
    return {each.name: each for each in (FS, net, DEVICE, MEMORY, ATTR, DATASET, RCTL)}


EXPORT_ORDER = ("fs", "net", "device", "capped-memory", "rctl", "attr", "dataset")

TOP = (
    "zonename", "zonepath", "brand", "autoboot", "bootargs", "pool", "limitpriv", "scheduling-class", "ip-type",
    "hostid", "fs-allowed",
)  # fmt: skip

ALIASES = {  # property -> (rctl, action)
    "max-lwps": ("zone.max-lwps", "deny"),
    "max-processes": ("zone.max-processes", "deny"),
    "max-shm-memory": ("zone.max-shm-memory", "deny"),
    "max-shm-ids": ("zone.max-shm-ids", "deny"),
    "max-msg-ids": ("zone.max-msg-ids", "deny"),
    "max-sem-ids": ("zone.max-sem-ids", "deny"),
    "cpu-shares": ("zone.cpu-shares", "none"),
}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)", re.IGNORECASE)


def amount(text: str, scaled: bool) -> str:
    """A number as it is stored. Raises `BadValue`."""
    match = _AMOUNT.fullmatch(text)
    if match is None or (not scaled and not text.isdigit()):
        raise BadValue(f"{text}: Invalid argument")
    return str(int(float(match[1]) * _UNITS[match[2].upper()])) if scaled and not text.isdigit() else text


def show_amount(number: str) -> str:
    """``1073741824`` -> ``1G``, with one decimal where it needs one."""
    value = int(number)
    for unit in "TGMK":
        if value >= _UNITS[unit]:
            return f"{value / _UNITS[unit]:.1f}".removesuffix(".0") + unit
    return number


def alias_value(config: ZoneConfig, alias: str) -> str:
    """The limit an alias stands for, "" when its rctl is absent or not of the simple form."""
    rctl, action = ALIASES[alias]
    for each in config.of("rctl"):
        if each.get("name") == rctl and len(each.children) == 1:
            value = each.children[0]
            if value.get("priv") == "privileged" and value.get("action") == action:
                return value.get("limit")
    return ""


_HOST = re.compile(r"[A-Za-z0-9.-]+", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+")


def check_address(text: str, needs_length: bool = True) -> None:
    """Raises `BadValue` for what libzonecfg would not take as an address."""
    bare, slash, length = text.partition("/")
    if ":" in bare:
        try:
            ipaddress.IPv6Address(bare)
        except ValueError:
            raise BadValue(f"{text}: Neither an IPv4 nor an IPv6 address nor a host name") from None
        if not slash and needs_length:
            raise BadValue(f"{text}: IPv6 addresses require /prefix-length suffix.")
        limit = 128
    else:
        limit = 32
        try:
            ipaddress.IPv4Address(bare)
        except ValueError:
            if _NUMERIC.fullmatch(bare) or not _HOST.fullmatch(bare):
                raise BadValue(f"{text}: Neither an IPv4 nor an IPv6 address nor a host name") from None
    if slash and not (length.isdigit() and int(length) <= limit):
        raise BadValue(f"{text}: Neither an IPv4 nor an IPv6 address nor a host name")


def check_physical(text: str) -> None:
    if ":" in text:
        raise BadValue(f"{text}: physical interface name required; logical interface name not allowed")
    if not datalinks.valid_name(text):
        raise BadValue(f"{text}: invalid physical interface name")


def check_property(spec: Spec, name: str, value: str) -> None:
    """At `set`. Raises `BadValue`."""
    if spec.name == "net" and value:
        if name in ("address", "allowed-address"):
            check_address(value)
        elif name == "defrouter":
            check_address(value, needs_length=False)
        elif name == "physical":
            check_physical(value)
        elif (name == "vlan-id" and not (value.isdigit() and 1 <= int(value) <= 4094)) or (
            name == "mac-addr" and datalinks.parse_mac(value) is None
        ):
            raise BadValue(f"{value}: Invalid argument")
    if spec.name == "fs" and name == "dir" and not value.startswith("/"):
        raise BadValue(f"{value} is not an absolute path.")


_ATTR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII)


def check_attr(attr: Resource) -> None:
    """At `end` [zones 4.5]. Raises `BadValue`."""
    name, kind, value = attr.get("name"), attr.get("type"), attr.get("value")
    if not (name[:1].isascii() and name[:1].isalnum()):
        raise BadValue(f"Invalid attr name {name}: must start with an alpha-numeric character.")
    if not _ATTR_NAME.fullmatch(name):
        raise BadValue(f"Invalid attr name {name}: can only contain alpha-numeric characters, plus '-' and '.'.")
    if kind not in ("string", "boolean", "int", "uint"):
        raise BadValue(f"invalid attr type '{kind}'")
    good = {
        "boolean": value in ("true", "false"),
        "string": len(value.encode()) <= 255,
        "int": re.fullmatch(r"[+-]?[0-9]+", value) is not None,
        "uint": re.fullmatch(r"\+?[0-9]+", value) is not None,
    }[kind]
    if not good:
        raise BadValue(f"invalid attr value for type={kind}")


def incomplete(spec: Spec, resource: Resource) -> list[str]:
    """The required properties that are missing."""
    missing = [name for name in spec.required if not resource.get(spec.properties[name])]
    return missing + (["value"] if spec is RCTL and not resource.children else [])


def ordered(spec: Spec, resource: Resource) -> Resource:
    """As libzonecfg would write it: set attributes only, in its order."""
    attributes = {name: resource.get(name) for name in spec.written if resource.get(name)}
    return Resource(spec.tag, attributes, resource.children)


def matches(spec: Spec, resource: Resource, wanted: Mapping[str, str]) -> bool:
    return resource.tag == spec.tag and all(resource.get(spec.properties[name]) == v for name, v in wanted.items())


def duplicate_text(spec: Spec, config: ZoneConfig, resource: Resource, old: Resource | None) -> str:
    """The refusal when `config` has such a resource already, other than `old`; "" when not."""
    wanted = {name: resource.get(spec.properties[name]) for name in spec.key}
    if spec.name == "net":
        wanted |= {name: resource.get(name) for name in ("address", "allowed-address")}
    if spec.single or not any(each is not old and matches(spec, each, wanted) for each in config.resources):
        return ""
    article = "An" if spec.name[0] in "aeiou" else "A"
    named = [f"{name} '{value}'" for name, value in wanted.items() if value]
    return f"{article} {spec.name} resource with the {', and '.join(named)} already exists."


def verify_resources(config: ZoneConfig, dialect: Dialect) -> list[str]:
    """What commit's verification has to say about the resources [zones 4.4]; empty when all is well."""
    problems: list[str] = []
    by_tag = {spec.tag: spec for spec in specs(dialect).values()}
    allowed = {net.get("physical") for net in config.nets if net.get("allowed-address")}
    for resource in config.resources:
        spec = by_tag.get(resource.tag)
        if spec is None:
            continue
        problems += [f"{spec.name}: {name} not specified" for name in incomplete(spec, resource)]
        if spec.name != "net":
            continue
        if config.exclusive:
            if resource.get("address"):
                problems.append("net: address cannot be specified for an exclusive IP type")
            if resource.get("defrouter") and resource.get("physical") not in allowed:
                problems.append(
                    f"net: defrouter for {resource.get('physical')} cannot be specified without allowed-address "
                    "for an exclusive IP type"
                )
        else:
            if not resource.get("address"):
                problems.append("net: address not specified")
            if resource.get("allowed-address"):
                problems.append("net: allowed-address cannot be specified for a shared IP type")
    return problems
