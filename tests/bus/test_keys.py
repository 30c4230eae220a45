"""The folder of keys: what is made is private, and what is not in order is refused, with the file and the cure."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from pydantic import ValidationError
from subscribing import key_file

from zonehookd.bus import keys
from zonehookd.checked import check
from zonehookd.config import EventsSection
from zonehookd.errors import ConfigError, ZonehookError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_is_made_is_private_from_its_first_moment(folder: Path) -> None:
    file = key_file(folder, "dashboard")
    assert [mode(each) for each in (folder, folder / "clients", folder / "server.key_secret", file)] == [
        0o700, 0o700, 0o600, 0o600,
    ]  # fmt: skip
    known = keys.load(folder)
    mine = keys.client(file)
    assert known.clients == {mine.public: "dashboard"} and mine.server == known.public
    assert mine.public == zmq.curve_public(mine.secret) and known.public == zmq.curve_public(known.secret)
    assert mine.secret.decode() not in "".join(each.read_text() for each in folder.rglob("*.key*"))


def test_nothing_is_written_over(folder: Path) -> None:
    secret = (folder / "server.key_secret").read_text()
    with pytest.raises(ZonehookError, match="is there already, and stays"):
        keys.init(folder)
    assert (folder / "server.key_secret").read_text() == secret
    keys.new(folder, "dashboard")
    public = (folder / "clients" / "dashboard.key").read_text()
    with pytest.raises(ZonehookError, match="there is a key of dashboard already"):
        keys.new(folder, "dashboard")
    assert (folder / "clients" / "dashboard.key").read_text() == public


def test_revoked_is_gone_and_others_stay(folder: Path) -> None:
    for name in ("a", "b"):
        keys.new(folder, name)
    keys.revoke(folder, "a")
    assert keys.load(folder).names == ["b"]
    with pytest.raises(ZonehookError, match=r"there is no key of a \(hint: there are: b\)"):
        keys.revoke(folder, "a")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a" * 65, "ä", "a b"])
def test_a_name_is_a_plain_word(folder: Path, name: str) -> None:
    with pytest.raises(ZonehookError, match="is no name for a key"):
        keys.new(folder, name)
    with pytest.raises(ZonehookError, match="there is no key of"):
        keys.revoke(folder, name)


def _another(folder: Path) -> None:
    (folder / "clients" / "other.key").write_text((folder / "clients" / "a.key").read_text())
    (folder / "clients" / "other.key").chmod(0o600)


def _foreign_pair(folder: Path) -> None:
    text = (folder / "server.key_secret").read_text()
    ours, theirs = (keys.load(folder).secret.decode(), zmq.curve_keypair()[1].decode())
    (folder / "server.key_secret").write_text(text.replace(ours, theirs))


def _secret_of_a_client(folder: Path) -> None:
    (folder / "clients" / "a.key").write_text((folder / "server.key_secret").read_text())


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a secret others can read": (lambda at: (at / "server.key_secret").chmod(0o640), "others may read it .* chmod"),
    "a folder others can write": (lambda at: at.chmod(0o770), "others may change it"),
    "a folder of clients others can write": (lambda at: (at / "clients").chmod(0o702), "others may change it"),
    "a key others can write": (lambda at: (at / "clients/a.key").chmod(0o660), "others may change it"),
    "an unknown file": (lambda at: (at / "server.key~").write_text(""), "server.key~: no file of ours"),
    "an unknown file of a client": (lambda at: (at / "clients/a.txt").write_text(""), "a.txt: no public key"),
    "no secret": (lambda at: (at / "server.key_secret").unlink(), "is not there .*keys init"),
    "no clients": (lambda at: (at / "clients").rename(at / "away"), "is not there .*keys init"),
    "a secret of a client": (_secret_of_a_client, "holds a secret key"),
    "a link": (lambda at: (at / "clients/b.key").symlink_to(at / "clients/a.key"), "is no plain file"),
    "the same key twice": (_another, "is the same key as .*a.key"),
    "a pair that is none": (_foreign_pair, "does not belong to its public key"),
    "no key in it": (lambda at: (at / "clients/a.key").write_text("curve\n"), "no public key in it"),
    "a key that is none": (lambda at: (at / "clients/a.key").write_text('public-key = "x"\n'), "its public key is no"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_folder_that_is_not_in_order_is_refused(folder: Path, wrong: str) -> None:
    keys.new(folder, "a")
    assert keys.load(folder).names == ["a"]
    do, said = WRONG[wrong]
    do(folder)
    with pytest.raises(ConfigError, match=f"{folder}.*{said}"):
        keys.load(folder)


def test_it_is_refused_when_the_configuration_is_read(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "z.toml"
    listening = f'[events]\nlisten = "127.0.0.1:9633"\nkeys = "{folder}"\n'
    file.write_text(listening)
    assert check(file).config.events.keys == folder
    (folder / "server.key_secret").chmod(0o644)
    with pytest.raises(ConfigError, match=rf"{file}: events.keys: {folder}/server.key_secret: others may read it"):
        check(file)
    file.write_text(listening.replace(str(folder), f"{tmp_path}/nowhere"))
    with pytest.raises(ConfigError, match=rf"{file}: events.keys: {tmp_path}/nowhere: is not there"):
        check(file)
    file.write_text(listening.replace("127.0.0.1:9633", ""))
    assert not check(file).config.events.listen, "without listen nobody looks there"


BAD = ("9633", "host:9633", "127.0.0.1:0", "127.0.0.1:65536", "::1:9633", "[127.0.0.1]:9633", "*:9633", "127.0.0.1")


@pytest.mark.parametrize("listen", BAD)
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="expected ADDRESS:PORT"):
        EventsSection(listen=listen)
    assert EventsSection(listen="[::1]:9633").listen == "[::1]:9633"


def test_a_subscribers_file_that_is_not_in_order_is_refused(folder: Path, tmp_path: Path) -> None:
    file = key_file(folder, "a")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read it"):
        keys.client(file)
    file.chmod(0o600)
    file.write_text("\n".join(line for line in file.read_text().splitlines() if "server-key" not in line))
    with pytest.raises(ConfigError, match="the daemon's public key is not in it"):
        keys.client(file)
    with pytest.raises(ConfigError, match="cannot read it"):
        keys.client(tmp_path / "nobody")
