"""Imports point one way. The table is the picture in the README, with a reason in each row."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINES_MAX = 400  # aim at 150, ask at 300, stop here

# part -> (what it may import of ours, the reason)
ALLOWED: dict[str, tuple[set[str], str]] = {
    "errors": (set(), "everything may fail, so errors know nobody"),
    "model": ({"model"}, "nouns have no opinion about who uses them"),
    "config": ({"errors"}, "what an admin may write depends on nothing we build from it"),
    "log": ({"model"}, "logging is set up once and known to none; a line says to which change it belongs"),
    "illumos": ({"errors", "model", "illumos"}, "the machine's language is pure: it never starts anything"),
    "host": ({"errors", "model", "illumos", "host"}, "the door to the machine does not know who knocks"),
    "store": ({"errors", "model", "store"}, "the books do not know who reads them"),
    "declaration": (
        {"config", "declaration", "errors", "illumos", "model"},
        "what is declared is checked without looking",
    ),
    "checked": (
        {"bus", "config", "declaration", "errors", "foreign", "model", "plugin"},
        "what a file decides is checked before anything is built from it",
    ),
    "importing": (
        {"config", "declaration", "errors", "illumos", "importing", "model"},
        "an import makes a declaration out of texts, and touches nothing",
    ),
    "plugin": ({"errors", "model", "illumos", "host", "plugin"}, "the contract knows no engine: plugins outlive it"),
    "wire": (
        {"errors", "illumos", "model", "plugin", "wire"},
        "what is sent to plugins elsewhere is the contract, as JSON",
    ),
    "worker": (
        {"errors", "host", "illumos", "model", "plugin", "wire"},
        "a plugin's own process has the contract and the wire, and nothing of the daemon",
    ),
    "engine": (
        {"errors", "model", "illumos", "host", "store", "plugin", "engine"},
        "the heart knows no ZeroMQ, no metrics, no configuration file",
    ),
    "foreign": (
        {"bus", "config", "engine", "errors", "foreign", "host", "illumos", "model", "plugin", "wire"},
        "plugins that are not ours are asked for the engine; their code is another process's",
    ),
    "sources": (
        {"errors", "illumos", "model", "host", "sources"},
        "sources only say where to look, some by a command; they are strangers to the engine",
    ),
    "bus": (
        {"errors", "model", "illumos", "store", "engine", "bus"},
        "the bus shows what the engine knows, and decides nothing",
    ),
    "hooks": (
        {"bus", "config", "engine", "errors", "foreign", "hooks", "host", "log", "model", "plugin", "store", "wire"},
        "hooks are told what the engine has seen; what they refuse, the gate and the dispatcher are told by the daemon",
    ),
    "lines": ({"engine", "host", "model"}, "the log listens; nobody asks it"),
    "metrics": ({"__init__", "errors", "model", "engine"}, "metrics listen; nobody asks them"),
    "traffic": (
        {"engine", "errors", "host", "illumos"},
        "counters of links are read beside the engine, and only shown: it knows no metrics",
    ),
    "supervisor": (set(), "what we tell the supervisor is told by the daemon"),
    "footing": ({"errors", "host", "store"}, "one lock and one set of books, whoever uses them"),
    "routes": (
        {"bus", "engine", "errors", "model", "plugin", "routes", "store"},
        "routes are shown from the engine and the books; what is done about them is for plugins",
    ),
    "tracing": (
        {"bus", "engine", "errors", "illumos", "model", "plugin", "store", "tracing"},
        "what happened and what would happen is read from the engine and the host, never decided",
    ),
    "answers": (
        {"__init__", "bus", "engine", "errors", "illumos", "model", "plugin", "routes", "store"},
        "answers are read from the engine",
    ),
    "provisioning": (
        {
            "bus",
            "config",
            "declaration",
            "engine",
            "errors",
            "host",
            "illumos",
            "model",
            "plugin",
            "provisioning",
            "store",
        },
        "one command writes one declaration; the engine does the work",
    ),
    "guard": (
        {"bus", "config", "declaration", "engine", "errors", "guard", "host", "illumos", "model", "store"},
        "the guard answers from the engine's truth, and changes nothing itself",
    ),
    "gate": (
        {"bus", "engine", "errors", "gate", "host", "illumos", "log", "model"},
        "the gate asks the engine about one zone, and is told the rest by whoever joins it",
    ),
    "authoring": (
        {"authoring", "config", "errors", "foreign", "host", "model", "plugin", "testing", "wire", "worker"},
        "plugins are looked at before they work, each in a process of its own, and without a daemon",
    ),
    "trial": (
        {"bus", "config", "engine", "errors", "foreign", "host", "model", "plugin", "trial"},
        "one plugin is asked as a look asks it, and what it answers is shown and not done",
    ),
    "scaffold": ({"errors", "model", "plugin", "scaffold"}, "a new plugin is text; who writes it needs no daemon"),
    "cli": (
        {"__init__", "bus", "cli", "config", "errors", "gate", "guard", "importing", "model", "scaffold", "authoring"},
        "the command line speaks to the daemon, not for it; alone it reads the guard's record, and undoes the gate",
    ),
    "testing": (
        {"engine", "errors", "host", "illumos", "model", "plugin", "store", "testing", "wire", "worker"},
        "plugins are tested by the code that runs them, on a host in memory",
    ),
    "warden": ({"warden"}, "it outlives a daemon that breaks, so it shares nothing with it"),
    "in_force": (
        {"answers", "bus", "checked", "engine", "errors", "guard", "host", "log", "metrics", "model", "store"},
        "which configuration holds is decided by who is attached, and told to whoever shows it",
    ),
    "hooked": (
        {"bus", "config", "engine", "foreign", "gate", "hooks", "host", "metrics", "model", "store", "tracing"},
        "hooks know neither who listens to them nor whom they hold up: here they are joined",
    ),
    "daemon": ({"*"}, "the one place where parts are joined"),
    "__main__": ({"*"}, "starts the daemon"),
    "__init__": (set(), "tells the story, imports nothing"),
}
PLUGINS_MAY = {"plugin", "illumos", "model"}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module: str) -> str | None:
    words = module.split(".")
    if words[0] != "zonehookd":
        return None
    return words[1] if len(words) > 1 and words[1] in ALLOWED else "__init__" if len(words) == 1 else None


def product_files() -> list[Path]:
    return sorted((ROOT / "zonehookd").rglob("*.py"))


@pytest.mark.parametrize("file", product_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_down(file: Path) -> None:
    part = file.relative_to(ROOT / "zonehookd").parts[0].removesuffix(".py")
    assert part in ALLOWED, f"{part} has no floor yet: give it a row, with a reason"
    allowed, reason = ALLOWED[part]
    for module in imports(file):
        wanted = part_of(module)
        if wanted is None or "*" in allowed or wanted == part:
            continue
        if wanted == "__init__" and module in ("zonehookd",):
            continue  # `from zonehookd import x` is judged by x
        assert wanted in allowed, f"{file.name} imports {module}: {reason}"


@pytest.mark.parametrize("file", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_plugins_use_the_public_face(file: Path) -> None:
    if "tests" in file.parts:
        return
    for module in imports(file):
        wanted = part_of(module)
        assert wanted in {None, *PLUGINS_MAY}, f"{file} imports {module}: a plugin sees the contract and the language"
        assert not module.startswith("lab"), "nothing of the product knows the lab"


def test_product_and_lab_are_strangers() -> None:
    for file in product_files():
        assert not any(module.split(".")[0] == "lab" for module in imports(file)), file
    for file in (ROOT / "tests" / "lab").rglob("*.py"):
        assert not any(module.split(".")[0] in ("zonehookd", "plugins") for module in imports(file)), file


def test_traffic_knows_neither_what_it_tests_nor_where() -> None:
    for file in (ROOT / "tests" / "traffic").glob("*.py"):
        known = {"traffic", *sys.stdlib_module_names}
        assert {module.split(".")[0] for module in imports(file)} <= known, f"{file}: it judges, and shares nothing"
    for file in [*product_files(), *(ROOT / "tests" / "lab").rglob("*.py")]:
        assert not any(module.split(".")[0] == "traffic" for module in imports(file)), file


def test_only_one_file_starts_processes() -> None:
    doors = {"create_subprocess_exec", "create_subprocess_shell", "system", "popen", "posix_spawn", "fork", "execv"}
    for file in product_files():
        if file.name == "process.py":
            continue
        if file.parent.name == "warden":  # the daemon's parent: what starts the daemon cannot be a part of it
            continue
        assert "subprocess" not in set(imports(file)), file
        used = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
        assert not used & doors, f"{file} uses {used & doors}"


@pytest.mark.parametrize(
    "file",
    [*product_files(), *sorted((ROOT / "plugins").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_files_stay_small(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    assert lines <= LINES_MAX, f"{file.relative_to(ROOT)} has {lines} lines: it is more than one room by now"
