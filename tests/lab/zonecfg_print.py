"""`zonecfg info` and `zonecfg export` [zones 4.6, 4.7]."""

from __future__ import annotations

from collections.abc import Iterator

from lab.world import Dialect
from lab.zonecfg_model import ALIASES, EXPORT_ORDER, MEMORY, RCTL, TOP, Spec, alias_value, matches, show_amount, specs
from lab.zonexml import Resource, ZoneConfig


def top_value(config: ZoneConfig, name: str) -> str:
    if name == "zonename":
        return config.name
    if name == "autoboot":
        return "true" if config.autoboot else "false"
    if name == "ip-type":
        return config.ip_type
    return config.attributes.get(name, "")


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def _rctl_value(child: Resource) -> str:
    return f"(priv={child.get('priv')},limit={child.get('limit')},action={child.get('action')})"


def _net_attr(child: Resource) -> str:
    return f'(name={child.get("name")},value="{child.get("value")}")'


def info_resource(spec: Spec, resource: Resource) -> Iterator[str]:
    """One resource, as lines."""
    yield f"{spec.name}:"
    for name, attribute in spec.properties.items():
        value = resource.get(attribute)
        if spec is MEMORY and value:
            value = show_amount(value)
        yield f"\t{name}: {_quoted(value)}" if value else f"\t{name} not specified"
    if spec.name == "fs":
        options = [child.get("name") for child in resource.children if child.tag == "fsoption"]
        yield "\toptions: [" + ",".join(f'"{each}"' if "=" in each else each for each in options) + "]"
    elif spec is RCTL:
        yield from (f"\tvalue: {_rctl_value(child)}" for child in resource.children)
    else:
        yield from (f"\tproperty: {_net_attr(child)}" for child in resource.children if child.tag == "net-attr")


def info_alias(config: ZoneConfig, alias: str) -> Iterator[str]:
    value = alias_value(config, alias)
    if value:
        yield f"[{alias}: {show_amount(value) if alias == 'max-shm-memory' else value}]"


def info_all(config: ZoneConfig, dialect: Dialect) -> Iterator[str]:
    for name in TOP:
        yield f"{name}: {top_value(config, name)}"
    for alias in ALIASES:
        yield from info_alias(config, alias)
    for spec in specs(dialect).values():
        yield from info_type(config, spec)


def info_type(config: ZoneConfig, spec: Spec, wanted: dict[str, str] | None = None) -> Iterator[str]:
    for resource in config.of(spec.tag):
        if not wanted or matches(spec, resource, wanted):
            yield from info_resource(spec, resource)


def _export_resource(spec: Spec, resource: Resource) -> Iterator[str]:
    yield f"add {spec.name}"
    for name in spec.exported:
        value = resource.get(spec.properties[name])
        if value:
            yield f'set {name}="{show_amount(value) if spec is MEMORY else value}"'
    for child in resource.children:
        if child.tag == "fsoption":
            option = child.get("name")
            yield f'add options "{option}"' if "=" in option else f"add options {option}"
        elif child.tag == "rctl-value":
            yield f"add value {_rctl_value(child)}"
        elif child.tag == "net-attr":
            yield f"add property {_net_attr(child)}"
    yield "end"


def export(config: ZoneConfig, dialect: Dialect) -> Iterator[str]:
    """Top-level values are not quoted, even with blanks."""
    yield "create -b"
    if config.zonepath:
        yield f"set zonepath={config.zonepath}"
    if config.brand and config.brand != "native":
        yield f"set brand={config.brand}"
    yield f"set autoboot={top_value(config, 'autoboot')}"
    for name in ("bootargs", "pool", "limitpriv", "scheduling-class"):
        if config.attributes.get(name):
            yield f"set {name}={config.attributes[name]}"
    if config.exclusive:
        yield "set ip-type=exclusive"
    for name in ("hostid", "fs-allowed"):
        if config.attributes.get(name):
            yield f"set {name}={config.attributes[name]}"
    known = specs(dialect)
    for name in EXPORT_ORDER:
        for resource in config.of(known[name].tag):
            yield from _export_resource(known[name], resource)
