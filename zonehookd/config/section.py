"""What every section of the configuration is: unknown keys are refused, and nothing in it changes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

NetworkName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
