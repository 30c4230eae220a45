"""What one plugin is, as far as a process of its own could tell."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from zonehookd.wire.messages import Kind


class Sheet(BaseModel):
    """`faults`: one line each, with its cure; then nothing else is known. `wants`: files that it would write whole, on
    a site made up for it."""

    faults: list[str] = Field(default_factory=list)
    kind: Kind | None = None
    after: list[str] = Field(default_factory=list)
    about: str = ""
    schema_of_options: dict[str, Any] = Field(default_factory=dict)
    wants: list[str] = Field(default_factory=list)
