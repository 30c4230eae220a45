"""The file for those who ask while the daemon is down: what is in it, how it is read, who is answered what."""

from __future__ import annotations

from pathlib import Path

import pytest

from zonehookd.errors import ZonehookError
from zonehookd.guard.replies import recorded_reply, verdict_reply
from zonehookd.guard.standing import Known, Standing, alone, read, refuse_unknown, standing, written
from zonehookd.model.guard import Dependent, Verdict

NOW_S = 1_000_000.0
HEAD = "zonehookd 1\n"
ODD = ("a", "-", "web-1.example.org", "_x", "0", "zone_" + "z" * 58)  # letters, digits, _ - . (zones sheet 4.1)


def known(tmp_path: Path, text: str | bytes) -> Known:
    path = tmp_path / "guard"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path)


def wrote(tmp_path: Path, uninstall: str = "block", **gateways: Standing) -> Path:
    path = tmp_path / "guard"
    path.write_text(written(Known(uninstall, "allow", gateways)))
    return path


def many(count: int, networks: int = 1) -> tuple[Dependent, ...]:
    return tuple(sorted(Dependent(f"net{n % networks:04}", f"z{n:05}", "address", "running") for n in range(count)))


# -- writing and reading


def test_what_is_written_is_read() -> None:
    found = (
        Dependent("db", "old", "link", "installed"),
        Dependent("deep", "db1", "attribute", "running", "inner"),
        Dependent("web", "old", "address", "installed"),
    )
    one = standing(found, 12.9)
    assert one == Standing(
        2,
        12,
        (
            "  network db: old (installed)",
            "  network deep, through zone inner: db1 (running)",
            "  network web: old (installed)",
        ),
        found,
    ), "a zone on two networks is counted once"
    assert one.left_out == 0


def test_zones_that_may_depend_count_where_nobody_is_known_to() -> None:
    unread = {"a": "cannot read it:\n no\nsuch", "b": "x" * 1000}
    assert standing((), 0.0, unread) == Standing(
        2, 0, ("  whether zone a depends on it is not known: cannot read it: no such",)
    )
    assert standing(many(1), 0.0, unread) == standing(many(1), 0.0)
    assert len(standing((), 0.0, {"b": "x" * 1000}).lines[0]) < 400


def test_round_trip(tmp_path: Path) -> None:
    told = Known("record", "deny", {"edge": standing(many(3), 0.0), "inner": Standing(0, 17, ())})
    assert known(tmp_path, written(told)) == told
    assert known(tmp_path, written(Known("block", "allow", {}))) == Known("block", "allow", {})
    placed = {"edge": standing(many(3), 0.0, {}, "/zones/my edge"), "inner": Standing(0, 17, (), (), "/zones/inner")}
    told = Known("record", "deny", placed, "/etc/my zones/index")
    assert known(tmp_path, written(told)) == told


def test_odd_but_legal_names(tmp_path: Path) -> None:
    gateways = {name: standing((Dependent("web", name, "address", "installed"),), 0.0) for name in ODD}
    assert known(tmp_path, written(Known("block", "allow", gateways))).gateways == gateways


def test_ten_thousand_dependents_are_a_few_lines() -> None:
    one = standing(many(10_000), 0.0)
    assert one.count == 10_000 and len(one.lines) == 1
    assert one.lines[0].count("(running)") == 8 and one.lines[0].endswith("and 9992 more")
    one = standing(many(10_000, networks=500), 0.0)
    assert one.count == 10_000 and len(one.lines) == 21 and one.lines[-1] == "  and 480 networks more"
    longest = tuple(Dependent("n" * 31, f"{n:05}" + "z" * 58, "address", "shutting_down") for n in range(10_000))
    assert all(len(line) < 1000 for line in standing(longest, 0.0).lines), "a page holds it (zones sheet 5.5)"


def test_a_thousand_gateways_are_read_whole(tmp_path: Path) -> None:
    gateways = {f"g{n:04}": standing(many(500, networks=30), 0.0) for n in range(1000)}
    text = written(Known("block", "allow", gateways))
    assert len(text) < 4 << 20, "what is written can be read"
    read_back = known(tmp_path, text).gateways
    assert {name: (each.count, each.lines) for name, each in read_back.items()} == {
        name: (each.count, each.lines) for name, each in gateways.items()
    }
    assert read_back["g0000"].dependents == gateways["g0000"].dependents
    assert read_back["g0999"].left_out == 500, "there was no more room"
    assert sum(len(each.dependents) for each in read_back.values()) > 10_000


def test_ten_thousand_dependents_are_a_page_of_text(tmp_path: Path) -> None:
    """All that zoneadmd passes on, the way out included (zones sheet 5.5)."""
    text, hint = "halt of gateway zone edge is refused: zones depend on it", "move or delete them first; or WHY"
    zones = (f"{n:05}" + "z" * 58 for n in range(10_000))
    longest = tuple(Dependent(f"{'n' * 27}{n % 500:04}", zone, "link", "running") for n, zone in enumerate(zones))
    for found in (many(10_000), many(10_000, networks=500), longest):
        lines = Verdict("edge", "halt", False, "dependents", text, found, hint).lines()
        assert lines[0] == text and lines[-1] == f"  {hint}"
        assert sum(len(line) + 1 for line in lines) < 4096
        assert all(part in "".join(lines) for part in (" more", "network n"))


# -- what is no such file


@pytest.mark.parametrize(
    "text", ["", "\n", "zonehookd 2\n", "zonehookd\n", " zonehookd 1\n", "ELF\0", b"\xff\xfe", b"zonehookd 1\n\xff\n"]
)
def test_garbage_is_no_record(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(ValueError):
        known(tmp_path, text)
    verdict = alone(tmp_path / "guard", "edge", "uninstall", NOW_S)
    assert not verdict.allowed and "left no record" in verdict.text


def test_why_there_is_no_record_is_said_in_words(tmp_path: Path) -> None:
    verdict = alone(tmp_path / "guard", "edge", "uninstall", NOW_S)
    assert verdict.text.endswith(f"left no record ({tmp_path}/guard: No such file or directory)")


@pytest.mark.parametrize("line", ["gateway edge one 0", "gateway edge 1 later", "gateway edge 1 1.5"])
def test_half_a_gateway_is_no_record(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError):
        known(tmp_path, f"{HEAD}{line}\n")
    assert not alone(tmp_path / "guard", "edge", "delete", NOW_S).allowed


def test_lines_that_we_do_not_know_are_passed_over(tmp_path: Path) -> None:
    text = f"{HEAD}|nobody's\nfuture x y z\npolicy uninstall allow\ngateway edge 1 0\n\n|  network web: z (running)\n"
    assert known(tmp_path, text) == Known("allow", "allow", {"edge": Standing(1, 0, ("  network web: z (running)",))})


def test_no_file_and_no_leave_to_read_are_no_record(tmp_path: Path) -> None:
    assert not alone(tmp_path / "guard", "edge", "uninstall", NOW_S).allowed
    (tmp_path / "guard").mkdir()
    assert not alone(tmp_path / "guard", "edge", "uninstall", NOW_S).allowed


# -- who is answered what


@pytest.mark.parametrize(
    "policy, count, allowed",
    [("block", 0, False), ("block", 2, False), ("record", 0, True), ("record", 2, False), ("allow", 0, True),
     ("allow", 2, True), ("nonsense", 0, False)],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["uninstall", "delete"])
def test_the_policy_answers(tmp_path: Path, policy: str, count: int, allowed: bool, operation: str) -> None:
    path = wrote(tmp_path, policy, edge=standing(many(count), 0.0))
    verdict = alone(path, "edge", operation, NOW_S)
    assert (verdict.allowed, verdict.code) == (allowed, "no-daemon")
    assert allowed or "svcadm enable, clear or restart zonehookd" in verdict.hint
    if not allowed and count:
        assert "  network net0000: z00000 (running), z00001 (running) (when last seen)" in verdict.lines()
    assert verdict.dependents == many(count) and verdict.recorded == path.stat().st_mtime


def test_the_answer_has_the_same_shape_with_and_without_a_daemon(tmp_path: Path) -> None:
    live = Verdict("edge", "uninstall", False, "dependents", "it is refused", many(2))
    known = verdict_reply(alone(wrote(tmp_path, edge=standing(many(2), 0.0)), "edge", "uninstall", NOW_S)).model_dump()
    assert known.keys() == (shown := verdict_reply(live).model_dump()).keys()
    assert known["dependents"] == shown["dependents"] and len(known["dependents"]) == 2
    assert shown["recorded"] is None and known["recorded"] > 0
    few = wrote(tmp_path, edge=Standing(3, 0, (), many(1)))
    assert verdict_reply(alone(few, "edge", "uninstall", NOW_S)).left_out == 2
    nobody = alone(tmp_path / "elsewhere", "edge", "uninstall", NOW_S)
    assert (nobody.recorded, nobody.dependents) == (None, ())


def test_a_halt_is_never_held_up(tmp_path: Path) -> None:
    assert alone(tmp_path / "guard", "edge", "halt", NOW_S).allowed
    assert alone(wrote(tmp_path, edge=standing(many(2), 0.0)), "edge", "halt", NOW_S).allowed


def test_who_was_no_gateway_is_free(tmp_path: Path) -> None:
    path = wrote(tmp_path, edge=Standing(1, 0, ()))
    assert alone(path, "web1", "uninstall", NOW_S).allowed
    assert alone(path, "edg", "uninstall", NOW_S).allowed and alone(path, "edge2", "uninstall", NOW_S).allowed


def test_a_zone_that_nobody_has_is_none(tmp_path: Path) -> None:
    path, index = wrote(tmp_path, edge=Standing(1, 0, ())), tmp_path / "index"
    refuse_unknown(path, "nosuch", index)  # who cannot look does not say so
    index.write_text("global:installed:/\nweb1:installed:/zones/web1\n")
    for zone in ("web1", "edge", "global"):
        refuse_unknown(path, zone, index)
    for record in (path, tmp_path / "elsewhere"):
        with pytest.raises(ZonehookError, match="there is no zone 'nosuch'"):
            refuse_unknown(record, "nosuch", index)


@pytest.mark.parametrize(
    "until, allowed", [(NOW_S + 1, True), (NOW_S + 86_401, True), (NOW_S + 86_402, False), (NOW_S, False),
                       (NOW_S - 1, False), (0, False)],
)  # fmt: skip
def test_a_permit_outlives_the_daemon_and_ends(tmp_path: Path, until: float, allowed: bool) -> None:
    path = wrote(tmp_path, edge=standing(many(2), until))
    assert alone(path, "edge", "uninstall", NOW_S).allowed is allowed


# -- every gateway, without a daemon


def test_every_gateway_by_the_record_and_the_index(tmp_path: Path) -> None:
    index = tmp_path / "index"
    told = {
        "away": standing((), 0.0, {}, "/zones/away"),  # nobody misses it
        "early": standing(many(1), 0.0),  # declared, and never made
        "edge": standing(many(2), NOW_S + 60, {}, "/zones/edge"),
        "gone": standing(many(1), 0.0, {}, "/zones/gone"),
        "leave": standing(many(1), NOW_S + 60, {}, "/zones/leave"),  # deleted with leave
        "moved": standing(many(1), 0.0, {}, "/zones/moved"),
        "moved2": standing(many(1), 0.0),  # so it is written for who is known by his old name
        "unread": standing((), 0.0, {"web1": "cut off"}, "/zones/unread"),
    }
    record = Known("record", "deny", told, str(index))
    index.write_text(
        "global:installed:/\nedge:installed:/zones/edge\nmoved2:installed:/zones/moved\nunread:configured:/zones/unread\n"
    )
    reply = recorded_reply(record, NOW_S - 5, index, NOW_S)
    assert (reply.recorded, reply.networks) == (NOW_S - 5, [])
    assert reply.without_daemon is not None and reply.without_daemon.model_dump() == {
        "uninstall": "record",
        "boot": "deny",
    }
    assert {row.name: (row.state, row.kept) for row in reply.gateways} == {
        "away": ("absent", True),
        "early": ("absent", None),
        "edge": ("installed", True),
        "gone": ("lost", True),
        "leave": ("absent", True),
        "moved": ("lost", True),
        "unread": ("configured", True),
    }
    rows = {row.name: row for row in reply.gateways}
    assert rows["edge"].permit_until == NOW_S + 60 and rows["gone"].permit_until is None
    assert [each.zone for each in rows["edge"].dependents] == ["z00000", "z00001"]
    assert (rows["edge"].left_out, rows["unread"].left_out) == (0, 1), "one that may depend on it"
    assert {name for name, row in rows.items() if row.text} == {"gone", "moved"}
    assert "zonecfg -z moved2 set zonename=moved" in rows["moved"].text
    for text in (None, "", "half a line\n"):
        index.unlink() if text is None else index.write_text(text)
        rows = {row.name: row for row in recorded_reply(record, NOW_S, index, NOW_S).gateways}
        assert {row.state for row in rows.values()} == {"unknown"} and all(row.text for row in rows.values())
