"""The plan, from what was seen: pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plugins.dhcpd.live import KEY, Live
from plugins.dhcpd.plugin import Dhcpd, Seen
from plugins.dhcpd.rules import Control, Rules, render, rules
from plugins.dhcpd.tests.views import gateway, macs, member, up
from zonehookd.illumos import dhcpd, omapi, smf
from zonehookd.plugin import (
    Change,
    Forget,
    GatewayView,
    Note,
    Plan,
    Record,
    Remember,
    RemoveFile,
    WriteFile,
    served,
)

SECRET = "A" * 43 + "="
FILE = Path("/etc/dhcpd.d/zonehookd-omapi.conf")
CONTROL = Control(7911, FILE, SECRET)
KEY_TEXT = (
    "# Made by zonehookd, which overwrites it: the key for OMAPI\n"
    f'key zonehookd {{\n  algorithm hmac-md5;\n  secret "{SECRET}";\n}};\n'
)
PLUGIN = Dhcpd(Dhcpd.Options())


def behind_global() -> GatewayView:
    view = gateway({"dmz": "10.1.0.0/24"}, "global")
    object.__setattr__(view, "zone", None)
    member(view, "web1", "dmz", "10.1.0.11/24")
    return view


def record(view: GatewayView, **facts: str) -> Record:
    return Record(KEY, str(FILE), view.subject, "dhcpd", facts)


def serving(view: GatewayView, live: Live, *, by_omapi: bool = True, **how: object) -> Seen:
    """As it is while the server runs with just what is wanted, under contract 7; `how` changes what `served` saw."""
    found = rules(view, up(view), macs(view), dhcpd.Declared(), PLUGIN.options.main)
    wanted = served.Wanted(render(found, live.control if live.on else None, hosts=not by_omapi))
    server = PLUGIN._server(view.where)
    good = wanted.generation(server)
    book = served.Book(exists=True, good=good, contract="7", data=EMPTY)
    assert good.config is not None
    files: dict[Path, str | None] = dict.fromkeys((server.candidate, server.main_candidate))
    files |= {server.main: server.with_us("# not ours\n", server.config), server.config: good.config}
    service = smf.Service(server.fmri, "online", "", 7)
    seen = served.Seen(view.subject, "dhcpd", book, service, files, {}, None, "", 1000.0)
    records = (book.to_record(server, view.subject, "dhcpd"), *([live.record] if live.record else []))
    return Seen(records, True, found, wanted, replace(seen, **how), live)  # type: ignore[arg-type]


EMPTY = "44136fa355b3678a"  # digest of no data files


def there(view: GatewayView, **how: object) -> Live:
    """OMAPI all right, and the server has every host."""
    found = rules(view, up(view), macs(view), dhcpd.Declared(), PLUGIN.options.main)
    live = Live(CONTROL, True, frozenset(found.live()), KEY_TEXT, "-rw-------", "root", "", record(view))
    return replace(live, **how)  # type: ignore[arg-type]


def changes(plan: Plan) -> list[Change]:
    return [step for step in plan.steps if isinstance(step, Change)]


def test_nothing_when_all_is_right() -> None:
    view = behind_global()
    plan = PLUGIN.plan(view, serving(view, there(view)))
    assert plan.empty and [note.kind for note in plan.notes] == ["nothing"]


def test_one_burst_for_all_that_lacks_and_all_that_is_too_much() -> None:
    view = behind_global()
    for number in range(2, 40):
        member(view, f"web{number}", "dmz", f"10.1.0.{100 + number}/24")
    stale = "zonehookd-gone_0-0123456789ab"
    (burst,) = changes(PLUGIN.plan(view, serving(view, there(view, hosts=frozenset({stale})))))
    assert "zonehookd.illumos.omapi" in burst.argv and burst.secret
    assert burst.why == "reservations of dhcpd: 39 to add, 1 to remove"
    assert burst.shows[0] == f"- host {stale}" and len(burst.shows) == 40


@pytest.mark.parametrize(
    ("state", "moving", "contract"), [("maintenance", "", None), ("online", "offline", 7), ("online", "", 8)]
)
def test_no_word_to_a_server_that_does_not_run_with_our_file(state: str, moving: str, contract: int | None) -> None:
    view = behind_global()
    service = smf.Service(PLUGIN.options.fmri, state, moving, contract)
    seen = serving(view, there(view, hosts=frozenset()), service=service)
    assert not [each for each in changes(PLUGIN.plan(view, seen)) if "zonehookd.illumos.omapi" in each.argv]


def test_the_key_is_written_before_the_file_that_includes_it() -> None:
    view = behind_global()
    seen = serving(view, there(view, text=None, mode="", group="", record=None, hosts=frozenset()))
    assert seen.server is not None
    empty = replace(seen.server, book=served.Book(), files=dict.fromkeys(seen.server.files),
                    service=smf.Service(PLUGIN.options.fmri, "disabled"))  # fmt: skip
    steps = PLUGIN.plan(view, replace(seen, server=empty)).steps
    assert steps[0] == Remember(record(view), "a key for OMAPI is made")
    assert isinstance(steps[1], WriteFile) and (steps[1].path, steps[1].mode) == (FILE, 0o600)
    assert steps[1].content == KEY_TEXT
    assert any(isinstance(step, WriteFile) and str(FILE) in step.content for step in steps[2:])
    assert not any(isinstance(step, WriteFile) and SECRET in step.content for step in steps[2:])


def test_the_group_of_dhcpd_reads_the_key_and_nobody_else() -> None:
    view = behind_global()
    wide = there(view, reader="netadm", mode="-rw-r--r--", group="root")
    steps = changes(PLUGIN.plan(view, serving(view, wide)))
    assert [step.argv for step in steps] == [("chmod", "0640", str(FILE)), ("chgrp", "netadm", str(FILE))]
    assert steps[0].cause == "altered"
    assert PLUGIN.plan(view, serving(view, there(view, reader="netadm", mode="-rw-r-----", group="netadm"))).empty
    gone = PLUGIN.plan(view, serving(view, there(view, reader="netadm", text=None))).steps
    assert isinstance(gone[0], WriteFile) and (gone[0].mode, gone[0].cause) == (0o640, "missing")


def test_a_lost_lease_file_is_one_restart_for_each_life_of_the_server() -> None:
    view = behind_global()
    remember, restart = PLUGIN.plan(view, serving(view, there(view, hosts=None))).steps
    assert isinstance(remember, Remember) and isinstance(restart, Change)
    assert restart.argv == ("svcadm", "restart", PLUGIN.options.fmri)
    assert PLUGIN.plan(view, serving(view, there(view, hosts=None, record=remember.record))).empty
    later = serving(view, there(view, hosts=None, record=record(view, restarted="6")))
    assert len(PLUGIN.plan(view, later).steps) == 2


def test_hosts_that_came_through_omapi_leave_by_it_before_the_file_does() -> None:
    view = behind_global()
    seen = replace(serving(view, there(view)), wanted=None, active=False, rules=Rules())
    (burst,) = PLUGIN.plan(view, seen).steps
    assert isinstance(burst, Change) and burst.shows[0].startswith("- host zonehookd-web1_0-")
    after = replace(seen, live=there(view, hosts=frozenset()))
    steps = PLUGIN.plan(view, after).steps
    assert any(isinstance(step, RemoveFile) and step.path.name == "zonehookd.conf" for step in steps)
    assert not any(isinstance(step, RemoveFile) and step.path == FILE for step in steps), "it may have to go back"


def test_a_server_that_is_down_holds_up_no_leaving() -> None:
    view = behind_global()
    service = smf.Service(PLUGIN.options.fmri, "disabled")
    seen = replace(serving(view, there(view), service=service), wanted=None, active=False, rules=Rules())
    steps = PLUGIN.plan(view, seen).steps
    assert not any(isinstance(step, Change) and "zonehookd.illumos.omapi" in step.argv for step in steps)
    assert any(isinstance(step, RemoveFile) for step in steps)


def test_the_key_goes_last() -> None:
    view = behind_global()
    seen = serving(view, there(view, wanted=False, hosts=frozenset()), by_omapi=False)
    assert PLUGIN.plan(view, seen).steps == (
        RemoveFile(FILE, "OMAPI is no longer used"), Forget(KEY, str(FILE), "OMAPI is no longer used"),
    )  # fmt: skip


def test_inner_sides_that_are_down_change_nothing_of_what_is_served() -> None:
    view = behind_global()
    note = Note("waiting", "down", "inner-side-down", "dmz", again_after_s=1.0)
    seen = replace(serving(view, there(view)), wanted=None, rules=Rules(), notes=(note,))
    assert PLUGIN.plan(view, seen) == Plan(notes=(note,))


def test_a_zone_that_is_gone_is_forgotten_and_one_that_rests_is_left() -> None:
    view = gateway({"dmz": "10.1.0.0/24"})
    records = serving(view, there(view)).records
    object.__setattr__(view, "trouble", "its zone is installed")
    assert PLUGIN.plan(view, Seen(records)).empty
    object.__setattr__(view, "zone", None)
    steps = PLUGIN.plan(view, Seen(records)).steps
    assert [type(step) for step in steps] == [Forget, Forget]


@pytest.mark.parametrize(
    ("method", "where", "main", "expected", "codes"),
    [
        ("auto", "global", "", True, []),
        ("auto", "gw", "", False, []),
        ("omapi", "gw", "", False, []),
        ("restart", "global", "", False, []),
        ("auto", "global", "omapi-port 7911;", False, []),
        ("omapi", "global", "omapi-port 7911;", False, ["foreign-omapi"]),
    ],
)
def test_which_method(method: str, where: str, main: str, expected: bool, codes: list[str]) -> None:
    plugin = Dhcpd(Dhcpd.Options.model_validate({"method": method}))
    by_omapi, notes = plugin._method(where, dhcpd.declared(main))
    assert (by_omapi, [note.code for note in notes]) == (expected, codes)


@pytest.mark.parametrize("path", ['/etc/a"b', "etc/dhcpd.d", "/etc/a b", "/etc/{x}"])
def test_a_path_that_would_break_the_file_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        Dhcpd.Options(folder=Path(path))


def test_the_digest_tells_keys_apart_and_tells_nobody_the_key() -> None:
    other = replace(CONTROL, key="B" * 43 + "=")
    assert CONTROL.digest != other.digest and CONTROL.digest not in SECRET
    assert CONTROL.name == omapi.KEY_NAME
