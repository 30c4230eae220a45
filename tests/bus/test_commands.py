"""`zonehookctl keys` and `events` where no daemon runs."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zonehookd.bus import keys
from zonehookd.bus.client import NoDaemon, ask
from zonehookd.cli.main import main


class Admin:
    """Types commands for one configuration file."""

    def __init__(self, at: Path) -> None:
        self.folder = at / "keys"
        self.config = at / "z.toml"
        self.config.write_text(f'[paths]\nrun = "{at}/run"\n[events]\nkeys = "{self.folder}"\n')

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), "--timeout", "0.3", *words])


@pytest.fixture
def admin(tmp_path: Path) -> Admin:
    return Admin(tmp_path)


def test_keys_are_made_before_a_daemon_can_start(admin: Admin, tmp_path: Path) -> None:
    assert admin("keys", "new", "a").exit_code == 1, "first the daemon's own"
    assert "keys init makes the keys" in admin("keys", "list").stderr
    assert admin("keys", "init").exit_code == 0
    done = admin("keys", "init")
    assert done.exit_code == 1 and "is there already, and stays" in done.stderr
    printed = admin("keys", "new", "printed")
    assert printed.exit_code == 0 and "the keys are taken when zonehookd starts" in printed.stderr
    file = tmp_path / "printed.key_secret"
    keys.write_new(file, printed.stdout)
    written = tmp_path / "written.key_secret"
    done = admin("keys", "new", "written", "--out", str(written))
    assert (done.exit_code, done.stdout) == (0, "") and stat.S_IMODE(written.stat().st_mode) == 0o600
    listed = json.loads(admin("--json", "keys", "list").stdout)
    assert {row["name"]: row["key"].encode() for row in listed["clients"]} == {
        "printed": keys.client(file).public,
        "written": keys.client(written).public,
    }
    assert listed["server"] == {"listen": "", "key": keys.client(file).server.decode()}
    shown = admin("keys", "list").stdout
    assert "listens nowhere" in shown and "printed" in shown and keys.client(written).public.decode() in shown


def test_a_key_that_cannot_be_delivered_is_no_key(admin: Admin, tmp_path: Path) -> None:
    admin("keys", "init")
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert admin("keys", "new", "a", "--out", str(taken)).exit_code == 1
    assert admin("keys", "new", "a", "--out", str(tmp_path / "no" / "where")).exit_code == 1
    assert keys.load(admin.folder).names == [] and taken.read_text() == "mine"


def test_a_revocation_that_nobody_took_is_said(admin: Admin) -> None:
    admin("keys", "init")
    admin("keys", "new", "a")
    done = admin("keys", "revoke", "a")
    assert done.exit_code == 3 and "is not listening" in done.stderr
    assert keys.load(admin.folder).names == []
    assert admin("keys", "revoke", "a").exit_code == 1


def test_who_does_not_answer_is_not_started_but_waited_for(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon, match=r"not listening .*svcadm clear zonehookd"):
        ask(tmp_path, "status", timeout_s=0.1)
    with socket.socket(socket.AF_UNIX) as held_open:
        held_open.bind(str(tmp_path / "control.sock"))
        held_open.listen()
        with pytest.raises(NoDaemon, match=r"did not answer status .*it may hang") as found:
            ask(tmp_path, "status", timeout_s=0.1)
    assert "--config" not in str(found.value)


def test_nothing_is_written_where_the_configuration_cannot_be_read(admin: Admin) -> None:
    admin.config.write_text('[events]\nkyes = "/etc"\n')
    done = admin("keys", "init")
    assert done.exit_code == 1 and "events.kyes: unknown key (did you mean 'keys'?)" in done.stderr


def test_events_of_another_host_need_both_words(admin: Admin, tmp_path: Path) -> None:
    assert admin("events", "--connect", "tcp://127.0.0.1:9633").exit_code == 64
    assert admin("events", "--key", "file").exit_code == 64
    done = admin("events", "--connect", "tcp://127.0.0.1:9633", "--key", str(tmp_path / "nobody"))
    assert done.exit_code == 1 and "cannot read it" in done.stderr
    assert admin("events").exit_code == 3
