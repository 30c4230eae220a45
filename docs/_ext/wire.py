"""The control socket: verbs, what each is answered, and the shapes of all messages; as Markdown."""

from __future__ import annotations

import importlib
import pkgutil
import re
import typing
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from pydantic import BaseModel

import zonehookd
from docs._ext import schema
from zonehookd import bus
from zonehookd.bus import messages

_HEADS = ("field", "type", "default", "meaning")
_ENVELOPE = (messages.Request, messages.Reply)


def verbs() -> str:
    """Each verb, who answers it, and with what."""
    rows = [
        (f"`{verb}`", _linked(f"list of {shape.__name__}" if many else shape.__name__))
        for verb, (shape, many) in answers()
    ]
    return schema.table(("verb", "`data` of the reply"), sorted(rows))


def answers() -> list[tuple[str, tuple[type[BaseModel], bool]]]:
    """verb -> (the shape of its answer, whether it is a list of them), from the signatures of who answers."""
    found = {}
    for answering in _answering():
        try:
            handlers = answering.handlers(object.__new__(answering))
        except AttributeError:  # it passes on what others answer, who are found, too
            continue
        for verb, method in handlers.items():
            said = typing.get_type_hints(method)["return"]
            many = typing.get_origin(said) is list
            found[verb] = (typing.get_args(said)[0] if many else said, many)
    return sorted(found.items())


def _answering() -> Iterator[Any]:
    """Every class of the product that answers verbs."""
    for module in _modules(zonehookd):
        for each in vars(module).values():
            if isinstance(each, type) and each.__module__ == module.__name__ and "handlers" in vars(each):
                yield each


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def envelope() -> str:
    return "\n".join(_told(shape) for shape in _ENVELOPE)


def shapes() -> str:
    """A heading and a table for each shape a reply may have, or a part of one."""
    return "\n".join(_told(shape) for shape in sorted(_shapes(), key=lambda shape: shape.__name__))


def _shapes() -> Iterator[type[BaseModel]]:
    for module in _modules(bus):
        if not module.__name__.endswith("messages"):
            continue
        for each in vars(module).values():
            ours = isinstance(each, type) and issubclass(each, BaseModel) and each.__module__ == module.__name__
            if ours and each not in (*_ENVELOPE, messages.Message):
                yield each


def _linked(kind: str) -> str:
    """Names of shapes become links to where they are told on the same page."""
    names = {shape.__name__ for shape in _shapes()}
    return re.sub(r"\w+", lambda word: f"[{word[0]}](#{word[0].lower()})" if word[0] in names else word[0], kind)


def _told(shape: type[BaseModel]) -> str:
    rows = [
        (f"`{each.name}`", _linked(each.type), "always there" if each.required else each.default, each.meaning)
        for each in schema.fields(schema.of(shape))
    ]
    said = any(row[-1] for row in rows)
    table = schema.table(_HEADS if said else _HEADS[:-1], rows if said else (row[:-1] for row in rows))
    about = (shape.__doc__ or "") if "__doc__" in vars(shape) else ""
    return f"## {shape.__name__}\n\n{' '.join(about.split())}\n\n{table}"
