"""Over TCP: who has a key hears; nobody else hears anything, and a key that goes is gone at once."""

from __future__ import annotations

import socket as socketlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from subscribing import PATIENCE_S, Running, key_file, until, wait_for_pulses
from zmq.utils.monitor import recv_monitor_message

from zonehookd.bus import keys
from zonehookd.bus.announcements import Announcement, BlindData
from zonehookd.bus.keys import ClientKey
from zonehookd.bus.remote import Remote
from zonehookd.errors import ConfigError

Start = Callable[..., Running]


class Subscriber:
    """A SUB socket with what ZeroMQ says about its connection."""

    def __init__(self, endpoint: str, key: ClientKey | None = None, user: str = "") -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self.socket.setsockopt(zmq.IPV6, 1)
        if key is not None:
            self.socket.setsockopt(zmq.CURVE_SERVERKEY, key.server)
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, key.public)
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, key.secret)
        if user:
            self.socket.setsockopt(zmq.PLAIN_USERNAME, user.encode())
            self.socket.setsockopt(zmq.PLAIN_PASSWORD, b"secret")
        self._monitor = self.socket.get_monitor_socket()
        self.socket.subscribe("")
        self.socket.connect(endpoint)

    def hear(self) -> Announcement:
        assert self.socket.poll(PATIENCE_S * 1000), "nothing is heard"
        return Announcement.model_validate_json(self.socket.recv_multipart()[1])

    def silent(self) -> bool:
        return not self.socket.poll(0)

    def refused(self) -> None:
        """Returns when the connection was ended by the other side before it served."""
        ended = {zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
                 zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_DISCONNECTED}  # fmt: skip
        until(lambda: self._next_event() in ended, "it is refused")

    def _next_event(self) -> int:
        if not self._monitor.poll(100):
            return 0
        return int(recv_monitor_message(self._monitor)["event"])

    def close(self) -> None:
        self.socket.disable_monitor()
        self._context.destroy(linger=0)


Subscribe = Callable[..., Subscriber]


@pytest.fixture
def subscribe() -> Iterator[Subscribe]:
    made: list[Subscriber] = []

    def start(endpoint: str, key: ClientKey | None = None, user: str = "") -> Subscriber:
        made.append(Subscriber(endpoint, key, user))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def here(running: Start, folder: Path) -> Running:
    return running(listen="127.0.0.1:0", pulse_s=0.05)


def stranger(server: bytes) -> ClientKey:
    return ClientKey(*zmq.curve_keypair(), server)


def test_who_has_a_key_hears_the_same_as_the_owner(here: Running, folder: Path, subscribe: Subscribe) -> None:
    file = key_file(folder, "a")
    here.do(here.publisher.take_keys)
    far, near = subscribe(here.remote_endpoint, keys.client(file)), subscribe(here.endpoint)
    for each in (far, near):
        assert each.hear().topic == "pulse"
    here.do(lambda: here.publisher.say(BlindData(error="x")))
    said = []
    for each in (far, near):
        while (heard := each.hear()).topic == "pulse":
            pass
        said.append(heard)
    assert said[0] == said[1] and here.came == ["a"] and here.refused() == 0


@pytest.mark.parametrize("who", ["no key", "a password", "an unknown key", "another server", "a revoked key"])
def test_nobody_else_hears_anything(here: Running, folder: Path, subscribe: Subscribe, who: str) -> None:
    server = keys.load(folder).public
    if who == "a revoked key":
        revoked = keys.client(key_file(folder, "gone"))
        keys.revoke(folder, "gone")
        here.do(here.publisher.take_keys)
    key = {
        "an unknown key": stranger(server),
        "another server": stranger(zmq.curve_keypair()[0]),
        "a revoked key": revoked if who == "a revoked key" else None,
    }.get(who)
    subscriber = subscribe(here.remote_endpoint, key, "admin" if who == "a password" else "")
    subscriber.refused()
    wait_for_pulses(here.endpoint, 5)
    assert subscriber.silent() and here.came == [] and here.subscribers("tcp") == 0
    assert (here.refused() > 0) is (who in ("an unknown key", "a revoked key")), "the others do not even get so far"


def test_revoking_ends_who_is_there_at_once_and_others_know_what_they_missed(
    here: Running, folder: Path, subscribe: Subscribe
) -> None:
    files = {name: key_file(folder, name) for name in ("stays", "goes")}
    assert here.do(here.publisher.take_keys).clients == ["goes", "stays"]
    stays, goes = (subscribe(here.remote_endpoint, keys.client(files[name])) for name in ("stays", "goes"))
    assert stays.hear().topic == goes.hear().topic == "pulse"
    keys.revoke(folder, "goes")
    reply = here.do(here.publisher.take_keys)
    assert reply.ended and reply.clients == ["stays"]
    for number in range(100):
        here.do(lambda number=number: here.publisher.say(BlindData(error=str(number))))
    goes.refused()
    while (heard := stays.hear()).topic != "pulse" or heard.data["seq"]["blind"] < 100:
        pass
    wait_for_pulses(here.endpoint, 5)
    while not goes.silent():
        assert goes.hear().topic == "pulse", "nothing that was said after he went"
    assert here.subscribers("tcp") == 1 and here.came.count("stays") >= 2 and here.came.count("goes") == 1


def test_a_key_that_comes_ends_nobody(here: Running, folder: Path, subscribe: Subscribe) -> None:
    first = key_file(folder, "first")
    here.do(here.publisher.take_keys)
    subscriber = subscribe(here.remote_endpoint, keys.client(first))
    subscriber.hear()
    key_file(folder, "second")
    reply = here.do(here.publisher.take_keys)
    assert not reply.ended and reply.clients == ["first", "second"]
    subscriber.hear()
    assert here.came == ["first"]


def test_another_key_of_the_daemon_ends_everybody(here: Running, folder: Path, subscribe: Subscribe) -> None:
    old = keys.client(key_file(folder, "a"))
    here.do(here.publisher.take_keys)
    subscriber = subscribe(here.remote_endpoint, old)
    subscriber.hear()
    for each in ("server.key", "server.key_secret"):
        (folder / each).unlink()
    keys.init(folder)
    assert here.do(here.publisher.take_keys).ended
    subscriber.refused()
    new = ClientKey(old.public, old.secret, keys.load(folder).public)
    assert subscribe(here.remote_endpoint, new).hear().topic == "pulse"


def test_a_folder_that_is_not_in_order_changes_nothing(here: Running, folder: Path, subscribe: Subscribe) -> None:
    file = key_file(folder, "a")
    here.do(here.publisher.take_keys)
    (folder / "clients" / "note.txt").write_text("")
    with pytest.raises(ConfigError, match=r"note\.txt"):
        here.do(here.publisher.take_keys)
    assert subscribe(here.remote_endpoint, keys.client(file)).hear().topic == "pulse"


def test_while_nobody_judges_the_keys_nobody_is_let_in(here: Running, folder: Path, subscribe: Subscribe) -> None:
    """A part of ours that broke must not open the door: ZeroMQ alone would let every key in then."""
    file = key_file(folder, "a")
    here.do(here.publisher.take_keys)
    remote = here.publisher._remote
    assert remote is not None
    here.do(remote._authenticator.stop)
    subscriber = subscribe(here.remote_endpoint, keys.client(file))
    subscriber.refused()
    wait_for_pulses(here.endpoint, 5)
    assert subscriber.silent() and here.subscribers("tcp") == 0


def test_who_only_knocks_delays_nobody(here: Running, folder: Path, subscribe: Subscribe) -> None:
    """Connections that say nothing, and one that says nonsense."""
    file = key_file(folder, "a")
    here.do(here.publisher.take_keys)
    host, _, port = here.remote_endpoint.removeprefix("tcp://").rpartition(":")
    silent = [socketlib.create_connection((host, int(port))) for _ in range(50)]
    silent[0].sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
    assert subscribe(here.remote_endpoint, keys.client(file)).hear().topic == "pulse"
    for each in silent:
        each.close()


def test_a_port_that_is_taken_is_said(folder: Path) -> None:
    with socketlib.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"events.listen: cannot listen on '{address}'"):
            Remote(address, folder, 100, lambda name: None)


def test_ipv6(running: Start, folder: Path, subscribe: Subscribe) -> None:
    file = key_file(folder, "a")
    here = running(listen="[::1]:0")
    assert subscribe(here.remote_endpoint, keys.client(file)).hear().topic == "pulse"
