"""What goes wrong around a proxy, as its admin would do it: what was good last serves on without losing a request, the
cause is in `zonehookctl status`, and the next look repairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from machine import Machine
from proxied import Case, Proxied, Traffic

pytestmark = [pytest.mark.namespaces, pytest.mark.timeout(300)]

CASES = [Case("haproxy", "omnios", "edge"), Case("nginx", "vanilla", "edge")]
KEEP = "keep.example.org"
LONG = 5
DEATHS_MIN = 4
TEMPLATES = "/etc/zonehookd/templates"
OURS = {"haproxy": "haproxy.cfg.j2", "nginx": "location.conf.j2"}
NONSENSE = "\nnonsense here;\n"
PIDS = {
    Case("haproxy", "omnios", "edge"): "/var/opt/ooce/haproxy/run/haproxy.pid",
    Case("nginx", "vanilla", "edge"): "/opt/tribblix/nginx/logs/nginx.pid",
}


@pytest.fixture(scope="module", params=CASES, ids=str)
def here(request: pytest.FixtureRequest) -> Iterator[Proxied]:
    """Zone keep stays as it is; what zone shop serves is what is changed while something is broken."""
    host = Machine(*(["--omnios"] if request.param.dialect == "omnios" else []))
    here = Proxied(host, request.param)
    try:
        here.begin()
        here.declare()
        here.zone("keep", KEEP)
        here.zone("shop", "first.example.org")
        here.until_answers(KEEP, "200 keep")
        here.until_answers("first.example.org", "200 shop")
        yield here
        here.daemon.stop()
    finally:
        host.close()


@contextmanager
def uninterrupted(here: Proxied) -> Iterator[None]:
    """Nobody who asks for zone keep hears of what happens here, nor who has been talking to it all the time."""
    traffic = Traffic(here, [f"{KEEP} / keep"], rate=50, long=LONG)
    traffic.until_up(LONG)
    yield
    report = traffic.end()
    assert report["failed"] == 0 and report["ok"] == report["sent"], report["examples"]
    assert report["long"]["cut"] == 0, report["long"]["cuts"]


def wants(here: Proxied, name: str) -> str:
    """Zone shop serves another host from now on."""
    host = f"{name}.example.org"
    here.change("shop", "zh.route0", host)
    return host


def at_rest(here: Proxied, host: str) -> bool:
    matches = {each["match"] for each in here.routes()["routes"]}
    return matches == {f"{KEEP}/", f"{host}/"} and here.quiet() and here.daemon.ctl("plan")["changes"] == 0


def well_again(here: Proxied, host: str) -> None:
    here.daemon.settle()
    here.until_answers(host, "200 shop")
    here.until(here.quiet, "all is well")


def test_an_admins_template_is_broken(here: Proxied) -> None:
    folder = f"{TEMPLATES}/{here.case.program}"
    with uninterrupted(here):
        here.host.do("mkdir", "-p", folder)
        here.host.write(f"{folder}/{OURS[here.case.program]}", "# fine\n{{ nobody.knows }}\n")
        host = wants(here, "template")
        here.until(lambda: "nobody" in here.trouble(), "the cause is said")
        assert f"{folder}/{OURS[here.case.program]}" in here.trouble(), here.trouble()
        here.host.do("rm", "-r", folder)
        well_again(here, host)


def test_an_admin_breaks_the_programs_own_file(here: Proxied) -> None:
    good = here.in_zone("cat", here.main)
    with uninterrupted(here):
        here.write(here.main, good + NONSENSE)
        host = wants(here, "main")
        here.until(lambda: "nonsense" in here.trouble(), "its own words are said")
        assert here.state() == "online"
        now = here.in_zone("cat", here.main)
        assert NONSENSE in now, "the admin's lines are the admin's"
        here.write(here.main, now.replace(NONSENSE, "\n"))
        well_again(here, host)


def test_the_disk_is_full(here: Proxied) -> None:
    folder = f"/var/zonehookd/{here.case.program}"
    script = (f"mkdir /var/small && cp -a {folder}/. /var/small && mount -t tmpfs -o size=512k tmpfs {folder} && "
              f"cp -a /var/small/. {folder} && cat /dev/zero > {folder}/filler")  # fmt: skip
    done = here.host.run("zlogin", "edge", f"sh -c '{script}; ls {folder}/filler'")
    assert "filler" in done.out, done
    with uninterrupted(here):
        host = wants(here, "full")
        here.until(lambda: "No space left" in here.trouble(), "the cause is said")
        here.in_zone("rm", f"{folder}/filler")
        well_again(here, host)


def test_it_is_disabled_by_hand(here: Proxied) -> None:
    here.host.do("svcadm", "-z", "edge", "disable", "-s", here.fmri)
    here.daemon.settle()
    here.until(lambda: here.state() == "online", "it runs again")
    well_again(here, wants(here, "disabled"))


def test_it_is_killed_and_nobody_of_us_is_there(here: Proxied) -> None:
    """SMF starts it again, and its files say all that it was told live."""
    host = wants(here, "killed")
    here.until_answers(host, "200 shop")
    here.until(lambda: at_rest(here, host), "all is well, and what it served before is gone")
    assert here.daemon.stop() == 0
    _, contract = here.service()
    kill(here)
    here.until(lambda: here.service()[0] == "online" and here.service()[1] != contract, "SMF started it")
    here.until_answers(KEEP, "200 keep")
    here.until_answers(host, "200 shop")
    here.daemon.start()
    here.until(here.quiet, "all is well")
    assert here.told() == {}, "nothing had to be done"


def test_it_is_killed_and_routes_change_meanwhile(here: Proxied) -> None:
    kill(here)
    host = wants(here, "meanwhile")
    here.until_answers(host, "200 shop")
    here.until_answers(KEEP, "200 keep")
    here.until(here.quiet, "all is well")


def kill(here: Proxied) -> None:
    pids = here.pids()
    assert pids
    here.host.do("kill", "-KILL", *map(str, pids))


def test_a_pid_file_tells_nothing(here: Proxied) -> None:
    with uninterrupted(here):
        here.write(PIDS[here.case], "4711\n")
        host = wants(here, "pid")
        here.until_answers(host, "200 shop")
        here.until(here.quiet, "all is well")


def test_the_runtime_socket_or_the_pid_file_is_gone(here: Proxied) -> None:
    """By the one haproxy is told; the other nobody needs, for nginx is told by its contract."""
    if here.case.program == "haproxy":
        gone = here.in_zone("sh", "-c", "grep -h 'stats socket' " + here.main).split()[2]
    else:
        gone = PIDS[here.case]
    with uninterrupted(here):
        here.in_zone("rm", gone)
        host = wants(here, "socket")
        well_again(here, host)


@pytest.mark.timeout(1000)
def test_the_daemon_is_killed_at_every_command_boundary(here: Proxied) -> None:
    """A route comes and goes however often it dies on the way; then nothing is doubled and nothing is left."""
    files = here.in_zone("sh", "-c", f"ls /var/zonehookd/{here.case.program}; ls $(dirname {here.main})")
    with uninterrupted(here):
        for moment in ("caller-before", "caller-after"):
            for what in ("zlogin edge *", "zlogin -n edge *"):
                here.host.fault("add", moment, what, "--skip", "1", "--times", "6")
            host = wants(here, moment)
            deaths = keep_alive_until(here, lambda host=host: here.fetch(host) == "200 shop")  # type: ignore[misc]
            assert deaths >= DEATHS_MIN, "the faults struck"
            here.host.fault("clear")
            keep_alive_until(here, lambda host=host: at_rest(here, host))  # type: ignore[misc]
    assert here.in_zone("sh", "-c", f"ls /var/zonehookd/{here.case.program}; ls $(dirname {here.main})") == files


def keep_alive_until(here: Proxied, check: Callable[[], object]) -> int:
    """What SMF does: whoever dies is started again. How often it died."""
    deaths = 0

    def step() -> bool:
        nonlocal deaths
        if here.host.wait(here.daemon.pid, 0.0) is not None:
            deaths += 1
            here.daemon.start(wait=False)
        return bool(check())

    here.until(step, "the end state", 240.0)  # a dozen starts, of some ten seconds each on a busy machine
    return deaths
