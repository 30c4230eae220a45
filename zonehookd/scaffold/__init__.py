"""A new plugin, in any of its shapes, with tests that pass: what `zonehookctl plugin new` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import jinja2

from zonehookd.errors import ZonehookError
from zonehookd.model.subject import Kind
from zonehookd.plugin import finding

Shape = Literal["folder", "package", "executable"]
SHAPES: Sequence[str] = get_args(Shape)
KINDS: Sequence[str] = get_args(Kind)
_TEMPLATES = Path(__file__).with_name("templates")


def write(name: str, shape: Shape, kind: Kind, into: Path) -> Sequence[Path]:
    """The files that were written, all below `into`/`name`. Raises ZonehookError for a name that no plugin may have,
    and where there is something already: nothing is ever overwritten."""
    if not finding.is_name(name):
        raise ZonehookError(f"{name!r} is no name for a plugin", hint=finding.NAME_RULE)
    if name in finding.bundled():
        raise ZonehookError(f"{name} is a plugin of ours", hint="choose another name")
    folder = into / name
    if folder.exists():
        raise ZonehookError(f"{folder} is there already", hint="choose another name, or --into another folder")
    words = {"name": name, "kind": kind, "module": name.replace("-", "_"), "cls": _class(name)}
    loader = jinja2.FileSystemLoader([_TEMPLATES / shape, _TEMPLATES])
    # Text of plain files, no page: there is nothing to escape, and the words are checked above.
    templates = jinja2.Environment(  # noqa: S701
        loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )
    written = []
    try:
        for template in sorted((_TEMPLATES / shape).rglob("*.j2")):
            place = str(template.relative_to(_TEMPLATES / shape)).removesuffix(".j2")
            file = folder / place.replace("MODULE", words["module"])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(templates.get_template(f"{place}.j2").render(words))
            file.chmod(0o755 if file.name == "plugin" else 0o644)  # whatever our umask: others may not write to it
            written.append(file)
    except OSError as problem:
        raise ZonehookError(f"cannot write {folder}: {problem}") from problem
    for each in (folder, *(file.parent for file in written)):
        each.chmod(0o755)
    return written


def _class(name: str) -> str:
    return "".join(word.capitalize() for word in name.replace("-", "_").split("_")) or "Plugin"
