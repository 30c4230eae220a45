"""The wire, of routes: who is behind each, what is refused, who is drained."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from zonehookd.bus.messages import NoteRow


class ProxyRow(BaseModel):
    """The proxy of a gateway. `trouble`: why what is said below may not be so now."""

    gateway: str
    program: str
    http: int
    https: int
    tls: bool
    trouble: list[NoteRow]


class BackendRow(BaseModel):
    """`state`: ``in`` gets requests, ``drain`` only finishes some, ``out`` gets none. `held`: it flaps, and stays as it
    is. `code` is as a Seat's in plugin/routing/book.py; also ``new``, ``no-zone``, ``no-address``. `since`: unix
    seconds.
    """

    zone: str
    address: str
    port: int
    weight: int
    check: str
    source: str
    state: Literal["in", "drain", "out"]
    held: bool = False
    code: str
    why: str = ""
    since: float | None = None


class RouteRow(BaseModel):
    """`match`: ``HOST/PATH/`` or ``tcp/PORT``; `owner`: the zone that has it, or the configuration."""

    gateway: str
    match: str
    protocol: str
    owner: str
    group: str
    backends: list[BackendRow]


class RefusedRouteRow(BaseModel):
    """What a zone offers and cannot have. `source`: the attribute."""

    zone: str
    source: str
    code: str
    text: str
    owner: str
    hint: str


class DrainedRow(BaseModel):
    """A zone that is drained. `until`: unix seconds."""

    zone: str
    until: float
    reason: str


class RoutesReply(BaseModel):
    """`text`: for a person, where there is no proxy."""

    proxies: list[ProxyRow]
    routes: list[RouteRow]
    refused: list[RefusedRouteRow]
    drained: list[DrainedRow]
    text: str = ""


class DrainReply(BaseModel):
    """`until`: unix seconds; None: not drained. `still`: routes on which the zone is not out yet, with the state;
    `limit_s`: after which all of them should be over."""

    zone: str
    until: float | None
    still: list[str]
    limit_s: float = 0.0
    text: str
