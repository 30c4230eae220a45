"""`[hooks]`: programs and small functions that are told of what becomes of zones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from zonehookd.config.section import Section

OnFailure = Literal["allow", "refuse"]


class OnFailureSection(Section):
    """`[hooks.on_failure]`: what becomes of what a hook may refuse, when the hook fails or gives no answer in time."""

    before_create: OnFailure = Field("allow", description="refuse: the zone's links are not made until the hook agrees")
    before_start: OnFailure = Field("allow", description="refuse: the zone does not boot")
    before_stop: OnFailure = Field("allow", description="refuse: the zone is not halted or rebooted by `zoneadm`")
    before_delete: OnFailure = Field("allow", description="refuse: the zone is not uninstalled")


class HooksSection(Section):
    """`[hooks]`: programs and small functions that are told of what becomes of zones."""

    enabled: bool = Field(True, description="false: no hook is called, and what happens meanwhile is told to none")
    folder: Path = Field(Path("/etc/zonehookd/hooks.d"), description="where hooks are; it need not be there")
    deadline_s: float = Field(10.0, gt=0, le=600, description="one call; what takes longer is stopped, and has failed")
    retries: int = Field(5, ge=0, le=100, description="a call that failed is made again so often, then given up")
    on_failure: OnFailureSection = OnFailureSection()
    options: Mapping[str, dict[str, Any]] = Field(
        default_factory=dict, description="one table per file of functions, by its name without .py"
    )
