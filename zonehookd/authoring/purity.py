"""What in a `plan` looks like a clock, chance, a file or a command: read, not run, and so no more than a remark."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from zonehookd.errors import PluginRefused
from zonehookd.plugin import finding
from zonehookd.plugin.finding import Found

_MODULES = frozenset(
    {"time", "datetime", "date", "random", "secrets", "uuid", "os", "subprocess", "socket", "urllib", "requests"}
)
_FUNCTIONS = frozenset({"open", "print", "input"})
_FILES = frozenset({"read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file", "stat", "iterdir"})
_PURE = frozenset({"fromtimestamp", "timedelta", "fspath", "environ"})


def smells(found: Found) -> Iterator[str]:
    """One line each, with its cure. Of plugins in Python only; of a file that cannot be read, nothing."""
    if found.shape == "executable":
        return
    try:
        files = [file for file in finding.stamps(found) if file.suffix == ".py"]
    except (OSError, PluginRefused):
        return
    for file in files:
        if "tests" not in file.parts:
            yield from _of_file(found.name, file)


def _of_file(plugin: str, file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text())
    except (OSError, ValueError, SyntaxError):
        return  # whoever loads it says so
    for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        if not any(ast.unparse(base).split("[")[0].endswith("Plugin") for base in cls.bases):
            continue
        for method in cls.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name == "plan":
                for call in (node for node in ast.walk(method) if isinstance(node, ast.Call)):
                    if _smells(call.func):
                        said = ast.unparse(call.func)
                        yield (
                            f"plugin {plugin}: plan calls {said} ({file}:{call.lineno}): the same in must be the same "
                            "out (hint: ask for it in observe)"
                        )


def _smells(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in _FUNCTIONS
    if not isinstance(called, ast.Attribute):
        return False
    root: ast.expr = called
    while isinstance(root, ast.Attribute):
        root = root.value
    if called.attr in _FILES:
        return True
    return isinstance(root, ast.Name) and root.id in _MODULES and called.attr not in _PURE
