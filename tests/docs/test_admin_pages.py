"""What the pages for admins show is good: their configuration, taken together, can be declared."""

from __future__ import annotations

import re
from pathlib import Path

from zonehookd.config import load
from zonehookd.declaration import declare

PAGES = Path(__file__).resolve().parents[2] / "docs" / "admin"


def test_the_configuration_shown_is_good(tmp_path: Path) -> None:
    shown = [
        block
        for name in ("gateways", "proxies", "guard")
        for block in re.findall(r"```toml\n(.*?)```", (PAGES / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL)
    ]
    file = tmp_path / "z.toml"
    file.write_text("".join(shown), encoding="utf-8")
    config = load(file)
    gateway = declare(config).gateways["edge"]
    assert len(shown) == 3 and gateway.proxy is not None and gateway.forwards and gateway.statics
    assert config.guard.model_fields_set == set(type(config.guard).model_fields), "all of [guard] is shown"
