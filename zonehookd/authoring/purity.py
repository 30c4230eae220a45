"""What in a `plan` looks like a clock, chance, a file or a command, and which of our inner modules are imported: read,
not run, and so no more than a remark."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from zonehookd.errors import PluginRefused
from zonehookd.plugin import finding
from zonehookd.plugin.finding import Found

_MODULES = frozenset({"os", "random", "requests", "secrets", "socket", "subprocess", "time"})
_FUNCTIONS = frozenset({"input", "open", "print"})
_METHODS = frozenset({
    "exists", "is_dir", "is_file", "isdir", "isfile", "iterdir", "now", "read_bytes", "read_text", "stat", "today",
    "urlopen", "utcnow", "uuid1", "uuid4", "write_bytes", "write_text",
})  # fmt: skip


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
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            for inner in filter(_inner, _imported(node)):
                yield (
                    f"plugin {plugin}: imports {inner} ({file}:{node.lineno}), which may change at any time (hint: all "
                    "that a plugin needs is in zonehookd.plugin)"
                )
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


def _imported(node: ast.ImportFrom | ast.Import) -> list[str]:
    """Modules; of one's own package, none."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if node.level or node.module is None:
        return []
    return [f"zonehookd.{each.name}" for each in node.names] if node.module == "zonehookd" else [node.module]


def _inner(module: str) -> bool:
    package, _, rest = module.partition(".")
    return package == "zonehookd" and rest.partition(".")[0] not in ("plugin", "testing")


def _smells(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in _FUNCTIONS
    if not isinstance(called, ast.Attribute):
        return False
    module, _, rest = ast.unparse(called).partition(".")
    return called.attr in _METHODS or (module in _MODULES and not rest.startswith(("path.", "fspath")))
