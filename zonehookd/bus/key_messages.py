"""What `zonehookctl keys` is answered."""

from __future__ import annotations

from pydantic import BaseModel, Field


class KeysReply(BaseModel):
    """Whose keys open the event stream from now on."""

    listen: str = Field(description="`[events] listen`; empty: nobody is served, whatever keys there are")
    clients: list[str] = Field(description="names of the keys")
    ended: bool = Field(description="a key went: all connections were ended, and whoever still has one connects again")
