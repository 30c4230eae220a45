"""A section of a Markdown file of the repository, to be shown on a page: one source, included, not copied."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Files that a page shows whole.
PAGES = {"smf/README.md": "admin/service.md", "zonehookd/illumos/COMMANDS.md": "reference/host_commands.md"}
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#]+)(#[^)]*)?\)")


def section(file: str, heading: str) -> str:
    """What stands below `heading` in `file`, up to the next heading of its level. Raises KeyError for one that is not
    there. Links to the site's pages become such; other files of the repository are named.
    """
    text = (ROOT / file).read_text(encoding="utf-8")
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    if found is None:
        raise KeyError(f"{file} has no section {heading!r}")
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", _without_code(rest), re.MULTILINE)
    return _LINK.sub(lambda link: _linked(file, link), rest[: end.start()] if end else rest).strip("\n") + "\n"


def _without_code(text: str) -> str:
    """The same length, with nothing in fenced blocks that looks like a heading."""
    return re.sub(r"^```.*?^```", lambda block: "".join("\n" if c == "\n" else " " for c in block[0]), text,
                  flags=re.MULTILINE | re.DOTALL)  # fmt: skip


def _linked(file: str, link: re.Match[str]) -> str:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(file), link[2]))
    page = PAGES.get(target, target.removeprefix("docs/") if target.startswith("docs/") else "")
    if page:
        return f"[{link[1]}](/{page}{link[3] or ''})"
    return f"{link[1]} (`{target}`)" if link[1].strip("`") != target else f"`{target}`"
