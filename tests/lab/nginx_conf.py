"""nginx' configuration language, as far as it must be known which directives stand at its top."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

_TOKEN = re.compile(r"""\#[^\n]*|([;{}])|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|((?:\\.|\$\{|[^\s;{}\\])+)""", re.S)
_DEEPEST = 8  # files that include files


def top(text: str, folder: str, root: Path, depth: int = 0) -> Iterator[str]:
    """Names of the directives at the top of `text` and of what it includes there, blocks among them.

    Relative includes are below `folder`, a path as nginx sees it; files are looked for below `root`. Tolerant: what is
    wrong with a file is for nginx to say.
    """
    words: list[str] = []
    level = 0
    for token in _TOKEN.finditer(text):
        mark = token[1]
        if mark is None:
            if not token[0].startswith("#") and level == 0:
                words.append(next(part for part in token.groups()[1:] if part is not None))
            continue
        if words and level == 0:
            yield words[0]
            if words[0] == "include" and len(words) > 1 and depth < _DEEPEST:
                for file in files(words[1], folder, root):
                    yield from top(file.read_text(errors="replace"), folder, root, depth + 1)
        words = []
        level = max(0, level + {"{": 1, "}": -1}.get(mark, 0))


def files(pattern: str, folder: str, root: Path) -> list[Path]:
    """The files an include names, seen from the lab."""
    whole = pattern if pattern.startswith("/") else f"{folder}/{pattern}"
    found = sorted(glob.glob(f"{glob.escape(str(root))}/{whole.lstrip('/')}"))  # noqa: PTH207 - the root is escaped
    return [Path(name) for name in found if Path(name).is_file()]
