"""What goes wrong with a real nginx: the last good configuration serves on, the cause is in `status`, and it mends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from machine import Machine, until
from proxied import FMRIS, Case, Proxied, attribute

pytestmark = [pytest.mark.namespaces, pytest.mark.timeout(300)]

SHOP, WIKI, DISK, BACK1 = "shop.example.org", "wiki.example.org", "disk.example.org", "back.example.org"
TEMPLATES = "/etc/zonehookd/templates"
LOCATION = TEMPLATES + "/web/nginx/location.conf.j2"
BACK = """
[network.back]
cidr = "10.98.0.0/24"
via = "edge"
"""
LISTENER = """
import socket, time
with socket.socket() as taken:
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("", 5432))
    taken.listen()
    print("taken", flush=True)
    time.sleep(600)
"""


def made(dialect: str) -> Iterator[Proxied]:
    host = Machine(*(["--omnios"] if dialect == "omnios" else []))
    here = Proxied(host, Case("nginx", dialect, "edge"), BACK)
    here.begin()
    here.declare()
    here.zone("web1", SHOP)
    here.until_answers(SHOP, "200 web1")
    yield here
    here.daemon.stop()
    host.close()


@pytest.fixture(scope="module")
def vanilla() -> Iterator[Proxied]:
    yield from made("vanilla")


@pytest.fixture(scope="module")
def omnios() -> Iterator[Proxied]:
    yield from made("omnios")


def says(here: Proxied, *words: str) -> None:
    """In the trouble of the gateway."""
    until(lambda: all(word in here.trouble() for word in words), f"{words} in status: {here.trouble()}")


def look(here: Proxied) -> None:
    """The next look at everything, now."""
    assert here.daemon.ask("apply").status in (0, 1)


def well(here: Proxied) -> None:
    look(here)
    until(here.quiet, f"all is well again: {here.trouble()}")


def master(here: Proxied) -> str:
    _, contract = here.service()
    return here.in_zone("pgrep", "-o", "-c", contract).strip()


def test_an_admins_broken_configuration_keeps_nobody_from_serving(vanilla: Proxied) -> None:
    here = vanilla
    _, contract = here.service()
    good = here.in_zone("cat", here.main)
    here.write(here.main, good.replace("events {", "nonsense on; events {"))
    here.change("web1", "zh.route0", f"{SHOP} {WIKI}")
    says(here, 'unknown directive "nonsense"', "what it had before stays")
    assert here.fetch(SHOP) == "200 web1"
    here.write(here.main, good)
    here.until_answers(WIKI, "200 web1")
    well(here)
    assert here.service() == ("online", contract), "nothing was restarted"
    here.change("web1", "zh.route0", SHOP)
    here.until_answers(WIKI, "503 503 Service Unavailable: nobody serves this now")


def test_a_template_that_breaks_costs_its_own_network_only(vanilla: Proxied) -> None:
    here = vanilla
    here.host.do("mkdir", "-p", f"{TEMPLATES}/web/nginx")
    wishes = attribute("zh.net0", "back") + attribute("zh.route0", BACK1)
    here.bare("back1", f"add net; set physical=back1_0; end; {wishes}")
    here.host.do("zonelab", "answer", "back1")
    here.host.write(LOCATION, "\n{{ nonsense }}\n")
    until(lambda: "back1_0" in here.host.links(), "the link of back1")
    here.host.do("zoneadm", "-z", "back1", "boot")
    here.until_answers(BACK1, "200 back1")
    says(here, f"{LOCATION}:2", "'nonsense' is undefined", "network web")
    assert here.fetch(SHOP) == "200 web1"
    here.host.write(LOCATION, "location {{ locations[0] }} { proxy_pass http://{{ upstream }}; frobnicate; }\n")
    says(here, "templates of network web are not used", 'unknown directive "frobnicate"')
    assert here.fetch(SHOP) == "200 web1" and here.fetch(BACK1) == "200 back1"
    here.host.write(LOCATION, "location {{ locations[0] }} { proxy_pass http://{{ upstream }}; add_header X 1; } }\n")
    says(here, "leaves a brace")
    here.host.write(LOCATION, "location {{ locations[0] }} { return 200 'the admin says\n'; }\n")
    here.until_answers(SHOP, "200 the admin says")
    well(here)
    here.host.do("rm", LOCATION)
    here.until_answers(SHOP, "200 web1")
    here.halt("back1")


def test_a_full_disk(vanilla: Proxied) -> None:
    here = vanilla
    here.in_zone("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", "/var/zonehookd/nginx")
    here.change("web1", "zh.route0", f"{SHOP} {DISK}")
    says(here, "gateway edge", "No space left")
    assert here.fetch(SHOP) == "200 web1"
    here.in_zone("umount", "/var/zonehookd/nginx")
    here.until_answers(DISK, "200 web1")
    well(here)


def test_its_master_is_killed(vanilla: Proxied) -> None:
    """Its workers go on, and are deaf: it is started again, with no word from anybody."""
    here = vanilla
    _, contract = here.service()
    here.in_zone("kill", "-9", master(here))
    look(here)
    until(lambda: (now := here.service())[0] == "online" and now[1] != contract, f"another: {here.service()}", 90)
    here.until_answers(SHOP, "200 web1")
    well(here)


def test_all_of_it_is_killed(vanilla: Proxied) -> None:
    here = vanilla
    _, contract = here.service()
    here.in_zone("pkill", "-9", "-c", contract)
    here.change("web1", "zh.route0", f"{SHOP} killed.example.org")
    until(lambda: here.service()[1] not in ("", "-", contract), f"another: {here.service()}")
    here.until_answers("killed.example.org", "200 web1")
    assert here.fetch(SHOP) == "200 web1"
    well(here)


def test_its_pid_file_is_nonsense(vanilla: Proxied) -> None:
    here = vanilla
    here.write("/opt/tribblix/nginx/logs/nginx.pid", "1\n")
    here.change("web1", "zh.route0", f"{SHOP} pid.example.org")
    here.until_answers("pid.example.org", "200 web1")
    well(here)


def test_it_is_disabled(vanilla: Proxied) -> None:
    here = vanilla
    here.host.do("svcadm", "-z", "edge", "disable", "-s", here.fmri)
    look(here)
    here.until_answers(SHOP, "200 web1")
    well(here)


def test_haproxy_takes_over_and_gives_it_back(omnios: Proxied) -> None:
    """Each waits until the other has let go of the ports, and goes on with the same books."""
    here = omnios
    text = here.config()
    seats = here.seats(f"{SHOP}/")
    here.reconfigure(text.replace('program = "nginx"', 'program = "haproxy"'))
    other = FMRIS["haproxy", "omnios"]
    until(lambda: "online" in here.host.do("svcs", "-z", "edge", "-H", "-o", "state", other), "haproxy runs")
    until(lambda: here.state() == "disabled", f"nginx does not: {here.trouble()}")
    here.until_answers(SHOP, "200 web1")
    here.until(lambda: here.seats(f"{SHOP}/") == seats, "the same seats")
    here.reconfigure(text)
    until(lambda: here.state() == "online", f"nginx runs again: {here.trouble()}")
    here.until_answers(SHOP, "200 web1")
    stopped = ("svcs", "-z", "edge", "-H", "-o", "state", other)
    here.until(lambda: here.host.do(*stopped).strip() == "disabled", "haproxy does not")
    well(here)
    assert here.seats(f"{SHOP}/") == seats


def test_a_port_that_is_taken_costs_its_own_route_only(omnios: Proxied) -> None:
    here = omnios
    _, contract = here.service()
    here.host.write("/zones/edge/root/var/taken.py", LISTENER)
    taken = here.host.start("zlogin", "edge", "python3 /var/taken.py", log="/var/log/taken")
    until(lambda: "taken" in here.host.read("/var/log/taken"), "the port is taken")
    here.zone("web2", "tcp=5432 port=5433", "tcp=5433", WIKI, answers="--http 80 --tcp 5433")
    here.until_answers(WIKI, "200 web2")
    here.until_answers("tcp", "web2", port=5433)
    says(here, "route tcp/5432 is left out", "5432 failed (98: Address already in use)")
    assert here.seats("tcp/5432") == {"web2": "out"}
    assert here.service() == ("online", contract)
    here.in_zone("pkill", "-f", "taken.py")
    here.host.wait(taken)
    here.change("web2", "zh.route0", "")
    until(lambda: "left out" not in here.trouble(), f"nobody wants it any more: {here.trouble()}")


def test_its_error_log_cannot_be_read(omnios: Proxied) -> None:
    here = omnios
    log = "/var/log/opt/ooce/nginx/error.log"
    here.in_zone("mv", log, f"{log}.kept")
    here.in_zone("mkdir", log)
    here.change("web1", "zh.route0", f"{SHOP} www.example.org")
    says(here, log, "what it had before stays")
    assert here.fetch(SHOP) == "200 web1"
    here.in_zone("rmdir", log)
    here.in_zone("mv", f"{log}.kept", log)
    until(lambda: here.fetch("www.example.org") == "200 web1", f"tried again: {here.trouble()}", 90)
    well(here)
