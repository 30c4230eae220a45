"""Zones that mean harm, zones that flap, ports that clash: each is refused or held by name, and harms nobody else."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

import pytest
from machine import CONFIG, ROOT, Machine
from proxied import Case, Proxied, Traffic

pytestmark = [pytest.mark.namespaces, pytest.mark.timeout(300)]

CASES = [Case("haproxy", "omnios", "edge"), Case("nginx", "vanilla", "edge")]
KEEP = "keep.example.org"
EVENTS = "/var/log/events"
FORWARD = '[[gateway.edge.forward]]\nport = 5450\nto = "keep"\nto_port = 80\n'
HOSTS = '[gateway.edge.proxy.hosts]\n"*.example.org" = ["keep"]\n"*.org" = ["keep"]\n'
HARM = {  # value of an attribute -> code of its refusal
    'shop.example.com"; return 200 "': "malformed-route",
    "shop.example.com'": "malformed-route",
    "shop.example.com\\": "malformed-route",
    "shop.example.com\n};\nserver{": "malformed-route",
    "shop.example.com\r\nbind :22": "malformed-route",
    "{{ 7 * 7 }}.example.com": "malformed-route",
    "{%endfor%}": "malformed-route",
    "{#": "malformed-route",
    "shop.example.com;": "malformed-route",
    "shop.example.com#": "malformed-route",
    "$host.example.com": "malformed-route",
    "$(touch /owned).example.com": "malformed-route",
    "%[env(HOME)].example.com": "malformed-route",
    "sh\u00f6p.example.com": "malformed-route",
    "shop.example.com/../../etc": "malformed-route",
    "shop.example.com/%2e%2e": "malformed-route",
    "shop.example.com//x": "malformed-route",
    f"shop.example.com/{'a' * 240}": "malformed-route",
    "a" * 255: "malformed-route",
    f"{KEEP}:80": "malformed-route",
    "shop.example.com port=80;": "malformed-route",
    "shop.example.com weight=0": "malformed-route",
    'shop.example.com check=/"$(reboot)': "malformed-route",
    "shop.example.com check=/%0d%0aHost:x": "malformed-route",
    "shop.example.com group=a{b": "malformed-route",
    "shop.example.com on=nowhere": "no-network",
    KEEP: "host-not-allowed",
    f"{KEEP.upper()}.": "host-not-allowed",
    f"{KEEP} group=keep": "host-not-allowed",
    "new.example.org": "host-not-allowed",
    "*.org": "malformed-route",
    "keep.example.net/": "host-taken",
    "tcp=22": "port-not-allowed",
    "tcp=80": "port-not-allowed",
    "tcp=5450": "port-taken",
}


@pytest.fixture(scope="module", params=CASES, ids=str)
def here(request: pytest.FixtureRequest) -> Iterator[Proxied]:
    host = Machine(*(["--omnios"] if request.param.dialect == "omnios" else []))
    here = Proxied(host, request.param)
    try:
        here.begin()
        here.zone("keep", KEEP, "keep.example.net group=net")
        here.declare(HOSTS + FORWARD)
        here.until_answers(KEEP, "200 keep")
        yield here
        here.daemon.stop()
    finally:
        host.close()


def test_whatever_an_attribute_holds_it_is_refused_by_name(here: Proxied) -> None:
    """Not all of it can be typed into zonecfg: a zone's file may hold it nevertheless."""
    here.zone("mallory", "mallory.example.com", "replaced.example.com")
    here.until_answers("mallory.example.com", "200 mallory")
    wanted = {f"zh.route.h{number}": code for number, code in enumerate(HARM.values())}
    lines = "".join(f'<attr name="zh.route.h{number}" type="string" value={quoteattr(text)}/>'
                    for number, text in enumerate(HARM))  # fmt: skip
    file = "/etc/zones/mallory.xml"
    good = here.host.read(file)
    traffic = Traffic(here, [f"{KEEP} / keep", "keep.example.net / keep"], rate=100, long=10)
    traffic.until_up(10)
    here.daemon.settle()
    here.until(lambda: here.daemon.ctl("plan")["changes"] == 0, "what is gathered was told")
    told = here.told()
    here.host.write(file, good.replace("</zone>", f"{lines}</zone>"))
    here.until(lambda: here.refused("mallory") == wanted, f"each is refused: {here.refused('mallory')}")
    explained = here.daemon.ask("explain", "mallory").out
    assert [name for name in wanted if name not in explained] == []
    rows = here.routes(zone="mallory")["refused"]
    assert all(each["hint"] or each["owner"] for each in rows if each["code"] != "no-network"), rows
    here.daemon.settle()
    assert here.told() == told, "nobody of the proxy was told anything"
    assert here.fetch("mallory.example.com") == "200 mallory", "what it may have it keeps"
    assert here.fetch("new.example.org").startswith("503"), "and gets nothing of others"
    assert here.in_zone("sh", "-c", "ls /owned 2>/dev/null; true") == ""
    report = traffic.end()
    assert report["failed"] == 0 and report["long"]["cut"] == 0, report["examples"]
    here.host.write(file, good)
    here.until(lambda: here.refused("mallory") == {}, "and no more")


def test_a_port_has_one_owner(here: Proxied) -> None:
    here.daemon.configure(here.config(HOSTS + FORWARD + '[[gateway.edge.forward]]\nport = 80\nto = "keep"\n'))
    done = here.daemon.ask("reload")
    assert done.status != 0 and "port 80 is taken by forward" in done.err + done.out, done
    assert "gateway.edge.proxy" in done.err + done.out and "keep" in done.err + done.out
    assert here.fetch(KEEP) == "200 keep", "the one before stays"
    here.reconfigure(here.config(HOSTS + FORWARD))


def test_who_flaps_is_held_and_marked(here: Proxied) -> None:
    for name in ("calm", "flap"):
        here.zone(name, "flap.example.com group=flap")
    match = "flap.example.com/"
    here.until(lambda: here.seats(match) == {"calm": "in", "flap": "in"}, "both are in")
    traffic = Traffic(here, ["flap.example.com / calm,flap", f"{KEEP} / keep"], rate=50, long=0)
    held = {"calm": "in", "flap": "held"}
    for _ in range(10):  # so often within a minute, which may take a slow machine more than three
        here.halt("flap")
        here.until(lambda: here.seats(match).get("flap") in ("out", "held"), "out, or held")
        here.host.do("zoneadm", "-z", "flap", "boot")
        here.until(lambda: here.seats(match).get("flap") in ("in", "held"), "in, or held")
        if here.seats(match) == held:
            said = (here.trouble(), here.daemon.ask("explain", "flap").out)
            served = {here.fetch("flap.example.com") for _ in range(8)}
            if here.seats(match) == held:  # all that time
                break
    else:
        pytest.fail("it is never held")
    assert all("flapping" in each for each in said) and served == {"200 calm"}, (said, served)
    assert traffic.end()["failures"]["wrong_backend"] == 0
    here.until(lambda: here.seats(match) == {"calm": "in", "flap": "in"}, "and is let in again")


def test_a_landslide_is_looked_at_twice(here: Proxied) -> None:
    names = [f"many{number}" for number in range(8)]
    here.zone("mover", "mover.example.com")
    for name in names:
        here.zone(name, "many.example.com group=many")
    here.until(lambda: set(here.seats("many.example.com/").values()) == {"in"}, "all are in")
    here.until(lambda: len(here.seats("many.example.com/")) == len(names), "all of them")
    follow = ["env", f"PYTHONPATH={ROOT}", "PYTHONUNBUFFERED=1", sys.executable, "-m", "zonehookd.cli.main", "--config",
              CONFIG, "--json", "events", "--follow"]  # fmt: skip
    follower = here.host.start(*follow, log=EVENTS)
    for number in range(100):  # a subscription takes effect a moment after it is made
        if here.host.read(EVENTS):
            break
        here.change("mover", "zh.route0", f"mover{number}.example.com")
        here.daemon.settle()
    here.host.signal(here.daemon.pid, signal.SIGSTOP)  # so that one look finds all of them gone
    here.host.do("xargs", "-P", "8", "-I@", "zoneadm", "-z", "@", "halt", stdin="".join(f"{each}\n" for each in names))
    here.host.signal(here.daemon.pid, signal.SIGCONT)
    here.until(lambda: set(here.seats("many.example.com/").values()) == {"out"}, "all are out")
    here.until(lambda: "more than half would go at once" in here.host.read(EVENTS), "a second look was asked for")
    here.host.signal(follower, signal.SIGTERM)
    here.until_answers("many.example.com", "503 503 Service Unavailable: nobody serves this now")
    assert here.fetch(KEEP) == "200 keep"
