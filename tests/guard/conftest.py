"""One site for all: two gateways, one behind the other."""

from __future__ import annotations

import pytest
from fixtures import Admin, Build
from paper_gateway import DB, EDGE, WAN, WEB, member
from paper_guard import Guarded

DEEP = {"cidr": "10.97.0.0/24", "via": "inner"}
INNER = {"outside": "web", "address": "10.99.0.9", "dhcp": "none", "dns": "none"}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No slow machine is told that the host did not answer in time."""
    monkeypatch.setattr("zonehookd.guard.guard._ANSWER_MAX_S", 60.0)


@pytest.fixture
def guarded(admin: Admin, engine: Build) -> Guarded:
    """Gateway edge with networks web and db, and network deep behind inner, which is not there; halts are guarded."""
    gateways = {"edge": EDGE, "inner": INNER}
    ours = engine({"gateway": gateways}, wan=WAN, web=WEB, db=DB, deep=DEEP)
    member(admin, "edge")
    guarded = Guarded(ours, halt="deny")
    guarded.converge()
    return guarded
