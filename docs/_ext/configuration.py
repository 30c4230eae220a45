"""Every section of the configuration file and every option in it; every plugin's options; as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from docs._ext import schema
from docs._ext.schema import Field, Schema
from zonehookd.config import Config
from zonehookd.in_force import AT_NEXT_START
from zonehookd.plugin import finding, loader
from zonehookd.plugin.contract import AnyPlugin

_HEADS = ("option", "type", "default", "meaning")
_ABOUT = re.compile(r"^(One )?`\[.*?\]`: ")  # the heading says it


def sections() -> str:
    """A heading and a table for each section."""
    root = schema.of(Config)
    return "\n".join(_told(title, table, root["$defs"]) for title, table in walk(root))


def walk(root: Schema) -> Iterator[tuple[str, Schema]]:
    """(how the section is written, its schema), outer ones first; the file itself is ``""``."""
    yield "", root
    yield from _below(root, "", root["$defs"])


def _below(table: Schema, path: str, defs: Schema) -> Iterator[tuple[str, Schema]]:
    for name, each in table["properties"].items():
        for how, model in schema.refers_to(each):
            here = f"{path}.{name}".lstrip(".") + (".NAME" if how == "table" else "")
            yield f"[[{here}]]" if how == "list" else f"[{here}]", defs[model]
            yield from _below(defs[model], here, defs)


def _told(title: str, table: Schema, defs: Schema) -> str:
    rows = [_row(each) for each in schema.fields(table) if not _is_section(table, each.name, defs)]
    about = _ABOUT.sub("", table.get("description", "")) if title else "What stands before the first section."
    waits = [name for name in AT_NEXT_START if title.startswith(f"[{name}")] if title else []
    more = "\nA change holds from the daemon's next start on.\n" if waits else ""
    head = f"## {f'`{title}`' if title else 'The file itself'}"
    return f"{head}\n\n{about[:1].upper()}{about[1:]}\n{more}\n{schema.table(_HEADS, rows)}"


def _is_section(table: Schema, name: str, defs: Schema) -> bool:
    return any(model in defs for _, model in schema.refers_to(table["properties"][name]))


def _row(field: Field) -> tuple[str, ...]:
    return f"`{field.name}`", field.type, "must be given" if field.required else field.default, field.meaning


def plugins() -> dict[str, type[AnyPlugin]]:
    """Ours, by name, in the order in which a configuration lists them by default; others after them."""
    found = finding.bundled()
    order = {name: number for number, name in enumerate(Config().plugins.enabled)}
    names = sorted(found, key=lambda name: (order.get(name, len(order)), name))
    return {name: loader.plugin_class(found[name]) for name in names}


def about(plugin: type[AnyPlugin]) -> str:
    """The first line of its `plugin.py`."""
    text = inspect.getdoc(inspect.getmodule(plugin)) or ""
    return text.partition("\n")[0]


def options() -> str:
    """A heading and a table for each plugin."""
    told = []
    for name, plugin in plugins().items():
        rows = [_row(each) for each in schema.fields(schema.of(plugin.Options))]
        after = ", ".join(f"`{each}`" for each in plugin.after)
        where = f"For each {plugin.kind}{f', after {after}' if after else ''}."
        table = schema.table(_HEADS, rows) if rows else "It has no options.\n"
        told.append(f"## `{name}`\n\n{about(plugin)} {where}\n\n{table}")
    return "\n".join(told)


def options_table() -> str:
    """One table of all, for plugins/README.md, which a test keeps equal."""
    rows: list[tuple[str, ...]] = []
    for name, plugin in plugins().items():
        found = list(schema.fields(schema.of(plugin.Options)))
        rows += [(name, each.name, each.default, each.meaning) for each in found]
        rows += [] if found else [(name, schema.NONE, "", about(plugin))]
    return schema.table(("plugin", "option", "default", "meaning"), rows)


def undescribed() -> list[str]:
    """Options of which nothing is said."""
    tables = [*walk(schema.of(Config)), *((name, schema.of(plugin.Options)) for name, plugin in plugins().items())]
    return [
        f"{title} {name}".strip()
        for title, table in tables
        for name, each in table.get("properties", {}).items()
        if not each.get("description") and not any(schema.refers_to(each))
    ]
