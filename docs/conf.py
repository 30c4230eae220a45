"""The documentation site. `make docs` builds it; a warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the reference is made from the product itself

from zonehookd import __version__  # noqa: E402 # not before it can be found

project = "zonehookd"
version = release = __version__
extensions = ["myst_parser", "docs._ext.reference"]
exclude_patterns = ["_ext", "examples", "**/README.md"]
myst_heading_anchors = 4
highlight_language = "text"  # of blocks that do not say their own
html_theme = "furo"
html_title = f"zonehookd {version}"
html_copy_source = False
html_show_sphinx = False
