"""Every line that the product's source can write into the log: its word and its keys, read from the source itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LEVELS = {"debug", "info", "warning", "error"}


def _calls_log(call: ast.Call) -> bool:
    """``self._log.info(…)``, ``logger.warning(…)``, or one of two of them chosen just before."""
    every = [node for node in ast.walk(call.func) if isinstance(node, ast.Attribute) and node.attr in _LEVELS]
    return any(ast.unparse(node.value).split(".")[-1] in ("_log", "log", "logger") for node in every)


def _words(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _words(node.body)
        yield from _words(node.orelse)


def _chosen(function: ast.AST) -> set[str]:
    """Names that stand for a level of the log inside this function: ``say = log.info if … else log.warning``."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and _calls_log(ast.Call(node.value, [], [])):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def said() -> Mapping[str, set[str]]:
    """Word -> its keys, as far as they stand there by name."""
    found: dict[str, set[str]] = {}
    for file in sorted((ROOT / "zonehookd").rglob("*.py")):
        tree = ast.parse(file.read_text())
        for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
            chosen = _chosen(function)
            for call in [node for node in ast.walk(function) if isinstance(node, ast.Call) and node.args]:
                named = isinstance(call.func, ast.Name) and call.func.id in chosen
                if named or _calls_log(call):
                    keys = {each.arg for each in call.keywords if each.arg}
                    for word in _words(call.args[0]):
                        found.setdefault(word, set()).update(keys)
    return found
