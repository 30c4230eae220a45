"""What is said of the brands while no daemon answers: by their files alone."""

from __future__ import annotations

import shutil

import pytest
from brand_host import Host, document

from zonehookd.errors import ZonehookError
from zonehookd.gate import offline


def kept_and_brands(host: Host) -> dict[str, tuple[int, bytes]]:
    found = [*host.state.parent.rglob("*")]
    return {str(each): (each.lstat().st_mtime_ns, each.read_bytes() if each.is_file() else b"") for each in found}


def test_what_is_seen_without_a_daemon(host: Host) -> None:
    """As its next check would find it; nothing is changed, not even put right."""

    def rows() -> dict[str, tuple[bool, str, str]]:
        before = kept_and_brands(host)
        found = offline.status(host.state, host.run, None, host.brands)
        assert kept_and_brands(host) == before, "not even a lock"
        assert all(row.zones is None for row in found)
        return {row.name: (row.enabled, row.gate, row.text) for row in found}

    none = (False, "none", "")
    assert rows() == {"lx": none, "sparse": none}
    keeper = host.keeper()
    keeper.enable("sparse", ["web1"])
    enabled, gate, text = rows()["sparse"]
    assert enabled and gate == "missing" and f"the gate program {host.state / 'gate'} is missing; boots" in text
    (host.state / "gate").touch(0o700)
    assert rows() == {"lx": none, "sparse": (True, "in place", "")}
    (row,) = offline.status(host.state, host.run, "sparse", host.brands)
    assert row.old_hooks == ["web1"]
    with pytest.raises(ZonehookError, match="there is no brand 'nosuch'") as unknown:
        offline.status(host.state, host.run, "nosuch", host.brands)
    assert unknown.value.code == "not-found" and "lx, sparse" in unknown.value.hint
    host.file().chmod(0o644)
    host.file().write_bytes(host.file().read_bytes().replace(b"/b/install1", b"/b/mine"))
    assert rows()["sparse"] == (True, "edited", "somebody else has changed the file besides")
    host.package("sparse", document("sparse", "2"))
    enabled, gate, text = rows()["sparse"]
    assert enabled and gate == "missing" and "an update of its package" in text and "again by zonehookd" in text
    host.package("sparse", b"<brand")
    enabled, gate, text = rows()["sparse"]
    assert enabled and gate == "missing" and "zonehookctl brand disable sparse" in text
    shutil.rmtree(host.file().parent)
    assert rows()["sparse"] == (True, "missing", "the brand is not installed")
    host.package("sparse", document("sparse"))
    keeper.enable("sparse", [])
    shutil.rmtree(host.state / "brand")
    assert rows()["sparse"] == (True, "in place", ""), "by the edit itself"
    keeper.enable("sparse", [])
    (host.kept().parent / "leaving").touch()
    enabled, gate, text = rows()["sparse"]
    assert (enabled, gate) == (False, "none") and "was being disabled" in text
    keeper.disable("sparse")
    assert rows() == {"lx": none, "sparse": none}


def test_what_is_not_ours_to_read_is_not_taken_for_nothing(host: Host) -> None:
    (host.state / "brand").touch()
    with pytest.raises(OSError):
        offline.status(host.state, host.run, None, host.brands)
