"""What goes wrong around it: haproxy serves on as it was, who is gone is out all the same, and the cause is said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.haproxy.tests.paper_haproxy import ADMINS, FMRI, MAIN, OURS, PROXY, Story
from zonehookd.host.process import Finished
from zonehookd.model.command import Reply
from zonehookd.plugin.served import steps

WEB1, WEB2 = "zh-web-1/web1:10.1.0.5:80:unchecked", "zh-web-2/web2:10.1.0.6:80:unchecked"


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """web1 is served, web2 is halted."""
    monkeypatch.setattr(steps, "SETTLE_S", 0.3)
    made = Story(tmp_path)
    try:
        assert made.settle() == "online"
        yield made
    finally:
        made.close()


def looks(story: Story, times: int = 6) -> None:
    for _ in range(times):
        story.engine.look()


def codes(story: Story) -> dict[str, str]:
    """Code -> text, of what is refused."""
    return {note.code: note.text for note in story.engine.notes("refused")}


def boot(story: Story, zone: str) -> None:
    story.admin.do("zoneadm", "-z", zone, "boot")


def swap(story: Story) -> None:
    """web2 comes, and web1 goes."""
    boot(story, "web2")
    looks(story)
    story.admin.do("zoneadm", "-z", "web1", "halt")
    looks(story)


def break_template(story: Story) -> Callable[[], None]:
    own = story.templates / "haproxy" / "haproxy.cfg.j2"
    own.parent.mkdir(parents=True)
    own.write_text("defaults x\n{{ nothing_of_that_name }}\n")
    return own.unlink


def wrong_template(story: Story) -> Callable[[], None]:
    own = story.templates / "haproxy" / "haproxy.cfg.j2"
    own.parent.mkdir(parents=True)
    own.write_text("defaults x\n    no such keyword\n")
    return own.unlink


def break_main(story: Story) -> Callable[[], None]:
    main = story.inside / MAIN
    whole = main.read_text()
    main.write_text(whole.replace("    maxconn 500\n", "    maxcon 500\n"))

    def mend() -> None:
        main.write_text(main.read_text().replace("    maxcon 500\n", "    maxconn 500\n"))

    return mend


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (break_template, "bad-template", "haproxy.cfg.j2:2: 'nothing_of_that_name' is undefined"),
        (
            wrong_template,
            "bad-config",
            "our part of /etc/haproxy/haproxy.cfg : unknown keyword",
        ),
        (
            break_main,
            "bad-config",
            "what it had before stays: /etc/haproxy/haproxy.cfg:2 : unknown keyword 'maxcon'",
        ),
    ],
)
def test_what_cannot_be_written_is_told_all_the_same(
    story: Story, damage: Callable[[Story], Callable[[], None]], code: str, words: str
) -> None:
    """The files stay as they were, the running one follows; mended, the files do, too."""
    mend = damage(story)
    main = (story.inside / MAIN).read_text()
    swap(story)
    assert words in codes(story)[code]
    assert (story.inside / MAIN).read_text() == main
    assert story.running()[0] == {WEB2}
    mend()
    assert story.settle() == "online" and not codes(story)
    assert story.running() == story.on_disk() and story.running()[0] == {WEB2}
    assert (story.starts, story.reloads) == (1, 0)


def test_a_full_disk_keeps_nobody_in_who_is_gone(story: Story) -> None:
    boot(story, "web2")
    story.settle()
    run, full = story.engine.commands.run, True

    async def without_room(command: Any, **why: Any) -> Finished:
        if full and "zonehookd-new" in " ".join(command.argv):
            return Finished(Reply(1, "", "cat: write error: No space left on device\n"), 0.0)
        return await run(command, **why)

    story.engine.commands.run = without_room  # type: ignore[method-assign,assignment]
    story.admin.do("zoneadm", "-z", "web1", "halt")
    said = [each.error for _ in range(3) for each in story.engine.look().values() if each.error]
    assert said and all("No space left" in each for each in said)
    assert story.running()[0] == {WEB2}, "and web2 is served on"
    full = False
    assert story.settle() == "online" and story.running() == story.on_disk()


def test_a_socket_that_is_gone_is_had_again_by_a_reload(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another name, for the old one is handed over from worker to worker; nobody is cut off."""
    plugin = next(each for each in story.engine.reconciler.plugins if each.name == "haproxy")
    monkeypatch.setattr(sys.modules[type(plugin).__module__], "_SILENT_S", 0.1)
    before = story.socket
    (story.inside / OURS[1:] / f"zonehookd-{before}.sock").unlink()
    assert any("there is no socket" in note.text for note in story.engine.notes("waiting"))
    boot(story, "web2")
    assert story.settle() == "online"
    assert story.socket != before and story.running() == story.on_disk()
    assert story.running()[0] == {WEB1, WEB2} and (story.starts, story.reloads) == (1, 1)


def test_killed_and_started_by_somebody_it_has_what_lies_there(story: Story) -> None:
    boot(story, "web2")
    story.settle()
    told = len([each for each in story.done if each.startswith("tell")])
    story.haproxy.stop()
    story.admin.do("svcadm", "-z", "edge", "restart", FMRI)
    assert story.settle() == "online"
    assert story.running()[0] == {WEB1, WEB2} and story.starts == 2
    assert len([each for each in story.done if each.startswith("tell")]) == told, "nothing had to be told"


def test_disabled_by_somebody_it_is_enabled_again(story: Story) -> None:
    story.admin.do("svcadm", "-z", "edge", "disable", FMRI)
    assert story.settle() == "online" and story.running()[0] == {WEB1}


def test_what_somebody_told_it_is_put_right(story: Story) -> None:
    lines = [f"set server {WEB1} state maint", f"del map {OURS}/http.map w1.example.org/"]
    story.haproxy.told('nc -U "$1"', f"{OURS}/zonehookd-{story.socket}.sock", "\n".join(["prompt", *lines, "quit", ""]))
    assert not story.running()[0]
    story.settle()
    assert story.running() == story.on_disk() and story.running()[0] == {WEB1}
    assert (story.starts, story.reloads) == (1, 0)


def test_a_port_that_the_admin_binds_is_his(story: Story) -> None:
    """Where he had it before us."""
    main, offer = story.inside / MAIN, {"tcp": 5432, "to": "web1", "check": "no"}
    main.write_text(main.read_text().replace(ADMINS, f"{ADMINS}frontend mine\n    bind *:5432\n"))
    story.redeclare(proxy=PROXY, route=[offer])
    looks(story)
    assert "port 5432 of gateway edge is bound in" in codes(story)["port-taken"]
    assert "already: bind *:5432" in codes(story)["port-taken"]
    assert story.settle() == "online" and main.read_text().count("bind *:5432") == 1
    main.write_text(main.read_text().replace("frontend mine\n    bind *:5432\n", ""))
    assert story.settle() == "online" and "bind *:5432 name 5432" in main.read_text() and not codes(story)


def test_a_port_that_the_admin_binds_while_we_serve_it_stays_ours(story: Story) -> None:
    """Zones come and go all the same; what needs a reload waits until he has let go of it."""
    main, offer = story.inside / MAIN, {"tcp": 5432, "to": "web1", "check": "no"}
    ours = main.read_text()
    main.write_text(ours.replace(ADMINS, f"{ADMINS}frontend mine\n    bind *:80\n"))
    swap(story)
    assert "too: bind *:80; haproxy is told of zones" in codes(story)["port-taken"]
    assert story.settle() == "online" and story.running() == story.on_disk() and story.running()[0] == {WEB2}
    assert main.read_text().count("bind *:80") == 2 and (story.starts, story.reloads) == (1, 0)
    boot(story, "web1")
    story.redeclare(proxy=PROXY, route=[offer])
    looks(story)
    assert set(codes(story)) == {"port-taken"} and story.reloads == 0 and "*:5432" not in main.read_text()
    assert story.running()[0] >= {WEB1, WEB2}, "told of it"
    main.write_text(main.read_text().replace("frontend mine\n    bind *:80\n", ""))
    assert story.settle() == "online" and not codes(story)
    assert "*:5432" in main.read_text() and (story.starts, story.reloads) == (1, 1)


def test_a_port_that_somebody_else_has_costs_its_own_route_only(story: Story) -> None:
    """haproxy's own test binds nothing, and a reload that fails for it stops everything for more than a second."""
    run, somebody = story.engine.commands.run, ["5432"]

    async def asked(command: Any, **why: Any) -> Finished:
        if "/dev/tcp/$3" not in " ".join(command.argv):
            return await run(command, **why)
        lines = [line.split() for line in command.stdin.splitlines()]
        said = "".join(f"{words[0]} {'up' if words[3] in somebody else 'refused'}\n" for words in lines)
        return Finished(Reply(0, said, ""), 0.0)

    story.engine.commands.run = asked  # type: ignore[method-assign,assignment]
    offers = [{"tcp": port, "to": "web1", "check": "no"} for port in (5432, 5433)]
    story.redeclare(proxy=PROXY, route=offers)
    looks(story, 12)
    assert codes(story)["port-taken"] == "port 5432 of gateway edge is in use in its zone already"
    main = story.inside / MAIN
    assert "*:5433" in main.read_text() and "*:5432" not in main.read_text()
    assert (story.starts, story.reloads) == (1, 1)
    somebody.clear()
    assert story.settle() == "online" and "*:5432" in main.read_text()
    somebody += ["80", "5432", "5433"]  # what it has itself is not somebody else's
    looks(story)
    assert not codes(story) and (story.starts, story.reloads) == (1, 2)


def test_what_stands_behind_our_block_comes_before_it(story: Story) -> None:
    """Else it would have our defaults."""
    main = story.inside / MAIN
    main.write_text(f"{main.read_text()}listen theirs\n    bind 127.0.0.1:9999\n")
    story.settle()
    assert main.read_text().startswith(f"{ADMINS}listen theirs\n    bind 127.0.0.1:9999\n# BEGIN zonehookd haproxy\n")
    story.redeclare()
    story.settle()
    assert main.read_text() == f"{ADMINS}listen theirs\n    bind 127.0.0.1:9999\n"


def test_a_template_of_one_network(story: Story) -> None:
    """How backends behave, for the routes of that network, which move to backends of their own."""
    own = story.templates / "dmz" / "haproxy" / "backends.cfg.j2"
    own.parent.mkdir(parents=True)
    own.write_text("    balance first\n")
    assert story.settle() == "online"
    assert story.running()[0] == {WEB1.replace("zh-web-1", "zh-web:dmz-1")} and story.running() == story.on_disk()
    assert "defaults zonehookd-web:dmz from zonehookd-http\n    balance first\n" in (story.inside / MAIN).read_text()
    story.redeclare(proxy={**PROXY, "balance": "source"})
    assert story.settle() == "online" and "hash-type consistent" in (story.inside / MAIN).read_text()


def certificate(folder: Path, name: str) -> str:
    made = folder / f"{name}.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*words, "-subj", f"/CN={name}", "-keyout", made, "-out", f"{made}.crt"], check=True)
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return str(made)


def test_a_broken_certificate_is_left_out_alone(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is there from the start, or others come later; mended, it is used after a while."""
    good, bad, gone = certificate(tmp_path, "good"), certificate(tmp_path, "bad"), str(tmp_path / "gone.pem")
    whole = Path(bad).read_text()
    Path(bad).write_text(Path(f"{bad}.crt").read_text())  # without its key
    main = story.inside / MAIN
    tls = [{"certificate": each} for each in (bad, gone)]
    story.redeclare(proxy={**PROXY, "tls": tls})
    looks(story, 12)
    refused = {note.object: note.text for note in story.engine.notes("refused") if note.code == "bad-certificate"}
    assert refused == {
        bad: f"certificate {bad} is not used: No Private Key found in '{bad}.key'.",
        gone: f"certificate {gone} is not used: unable to stat SSL certificate from file '{gone}' : "
        "No such file or directory.",
    }
    assert set(codes(story)) == {"bad-certificate"} and "*:443" not in main.read_text()
    boot(story, "web2")
    looks(story)
    assert story.running()[0] == {WEB1, WEB2} and story.running() == story.on_disk()
    story.redeclare(proxy={**PROXY, "tls": [*tls, {"certificate": good}]})
    looks(story, 12)
    assert f"bind *:443 ssl crt {good} alpn" in main.read_text() and set(codes(story)) == {"bad-certificate"}
    Path(bad).write_text(whole)
    Path(gone).write_text(whole)
    plugin = next(each for each in story.engine.reconciler.plugins if each.name == "haproxy")
    monkeypatch.setattr(sys.modules[type(plugin).__module__].left, "_AGAIN_S", 0.0)
    assert story.settle() == "online" and not codes(story)
    assert all(f"crt {each}" in main.read_text() for each in (good, bad, gone)) and story.starts == 1


def test_what_the_admin_has_added_since_outlives_us(story: Story) -> None:
    """haproxy served nobody before us; with nothing but us in it, it is disabled."""
    main = story.inside / MAIN
    theirs = f"{ADMINS}frontend mine\n    bind *:8404\n    http-request return status 200\n"
    main.write_text(main.read_text().replace(ADMINS, theirs))
    assert story.settle() == "online"
    story.redeclare()
    assert story.settle() == "online" and main.read_text() == theirs and story.starts == 2
    assert not [each for each in story.engine.store.all() if each.plugin == "haproxy"]
