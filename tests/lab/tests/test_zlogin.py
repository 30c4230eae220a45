"""zlogin's own words, and what becomes of its arguments. Entering a real zone is in test_namespaces."""

from __future__ import annotations

import pytest

from lab.call import Become
from lab.commands.zlogin import USAGE
from lab.dispatch import run_text
from lab.faults import Fault
from lab.world import KernelZone, Status, World
from lab.zonexml import ZoneConfig, render


@pytest.fixture
def host(vanilla: World) -> World:
    vanilla.path("/etc/zones/index").write_text(
        "global:installed:/\nconf:configured:/zones/conf:\nbad:incomplete:/zones/bad:\ninst:installed:/zones/inst:\n"
        "web1:installed:/zones/web1:\n"
    )
    vanilla.path("/etc/zones/web1.xml").write_text(
        render(ZoneConfig({"name": "web1", "zonepath": "/zones/web1", "autoboot": "false", "brand": "ipkg"}))
    )
    vanilla.kernel_zones["web1"] = KernelZone("web1", 1, "ipkg", True, "/zones/web1", Status.RUNNING)
    vanilla.stacks["web1"] = type(vanilla.stacks["global"])("web1")
    etc = vanilla.path("/zones/web1/root/etc")
    etc.mkdir(parents=True)
    (etc / "passwd").write_text("root:x:0:0:root:/root:/usr/bin/bash\nbob:x:100:10:Bob:/home/bob:\n")
    return vanilla


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["ghost", "ls"], "zlogin: zone 'ghost' unknown\n"),
        (["conf", "ls"], "zlogin: cannot login to a zone which is 'configured'\n"),
        (["bad", "ls"], "zlogin: cannot login to a zone which is 'incomplete'\n"),
        (["inst", "ls"], "zlogin: login allowed only to running zones (inst is 'installed').\n"),
        (["global", "ls"], "zlogin: 'zlogin' not applicable to the global zone\n"),
    ],
)
def test_refusals(host: World, argv: list[str], text: str) -> None:
    done = run_text(host, ["zlogin", *argv])
    assert (done.status, done.out, done.err) == (1, "", text)


@pytest.mark.parametrize("text", ["<zone", None])
def test_its_brand_is_read_though_it_runs(host: World, text: str | None) -> None:
    file = host.path("/etc/zones/web1.xml")
    file.unlink() if text is None else file.write_text(text)
    done = run_text(host, ["zlogin", "web1", "zonename"])
    assert (done.status, done.err) == (1, "zlogin: could not get brand for zone web1\n")


@pytest.mark.parametrize("argv", [[], ["-x", "web1"], ["-e"], ["-n"]])
def test_bad_usage(host: World, argv: list[str]) -> None:
    done = run_text(host, ["zlogin", *argv])
    assert (done.status, done.err) == (2, USAGE)


def test_only_from_the_global_zone(host: World) -> None:
    done = run_text(host, ["zlogin", "web1", "ls"], zone="web1")
    assert (done.status, done.err) == (1, "zlogin: 'zlogin' may only be used from the global zone\n")


@pytest.mark.parametrize("argv", [["-C", "web1"], ["-d", "web1"], ["-S", "-l", "root", "web1", "ls"]])
def test_the_console_is_not_emulated(host: World, argv: list[str]) -> None:
    done = run_text(host, ["zlogin", *argv])
    assert done.status != 0
    assert done.err.startswith("zonelab: not emulated: zlogin -")


def test_on_paper_a_command_of_the_lab_is_played_in_the_zone(host: World) -> None:
    assert run_text(host, ["zlogin", "web1", "zonename"]).out == "web1\n"
    assert run_text(host, ["zlogin", "-n", "web1", "/usr/bin/zonename", "-t"]).out == "exclusive\n"
    assert run_text(host, ["zlogin", "web1", "'zonename' '-t'"]).out == "exclusive\n"


@pytest.mark.parametrize(
    "command", ["ls /", "zonename; zonename", "zonename | cat", "zonename > x", "'zonename", "echo $HOME"]
)
def test_on_paper_anything_else_is_refused(host: World, command: str) -> None:
    done = run_text(host, ["zlogin", "web1", command])
    assert done.status != 0
    assert done.err == f"zonelab: not emulated: zlogin to run {command!r} on the data-only floor\n"


def test_a_scripted_failure(host: World) -> None:
    host.faults.add(Fault("fail", "zlogin web1 *", status="cannot enter"))
    done = run_text(host, ["zlogin", "web1", "zonename"])
    assert (done.status, done.out, done.err) == (1, "", "zlogin: cannot enter\n")


class TestBecome:
    """What the caller's process turns into on the real floor."""

    @pytest.fixture
    def real(self, host: World) -> World:
        host.floor.real = True
        return host

    def become(self, world: World, *argv: str) -> Become:
        with pytest.raises(Become) as wish:
            run_text(world, ["zlogin", *argv])
        return wish.value

    def test_arguments_are_joined_with_blanks_and_a_trailing_one(self, real: World) -> None:
        wish = self.become(real, "web1", "echo", "a  b", "$HOME")
        assert wish.argv == ["/usr/bin/bash", "-c", "echo a  b $HOME "]
        assert (wish.zone, wish.cwd, wish.no_stdin) == ("web1", "/root", False)
        assert wish.environ == {
            "PATH": "/usr/sbin:/usr/bin", "LOGNAME": "root", "HOME": "/root", "MAIL": "/var/mail/root",
            "SHELL": "/usr/bin/bash",
        }  # fmt: skip

    def test_safe_mode_needs_nothing_of_the_zone(self, real: World) -> None:
        real.path("/zones/web1/root/etc/passwd").unlink()
        wish = self.become(real, "-S", "web1", "id")
        assert wish.argv == ["/sbin/sh", "-c", "id "]
        assert wish.environ == {"HOME": "/", "SHELL": "/sbin/sh", "PATH": "/usr/sbin:/usr/bin"}

    def test_another_user(self, real: World) -> None:
        wish = self.become(real, "-l", "bob", "web1", "id")
        identity = ["--reuid=100", "--regid=10", "--init-groups"]
        assert wish.argv == ["/usr/bin/setpriv", *identity, "--", "/sbin/sh", "-c", "id "]
        assert wish.cwd == "/home/bob"

    def test_no_standard_input(self, real: World) -> None:
        assert self.become(real, "-n", "web1", "cat").no_stdin is True

    def test_options_end_at_the_zone(self, real: World) -> None:
        assert self.become(real, "-QE", "-e", "@", "web1", "ls", "-l").argv[-1] == "ls -l "

    def test_without_a_command_a_shell(self, real: World) -> None:
        assert self.become(real, "web1").argv == ["/usr/bin/bash"]


@pytest.mark.parametrize(("argv", "out"), [([], "global\n"), (["-t"], "shared\n")])
def test_zonename_in_the_global_zone(host: World, argv: list[str], out: str) -> None:
    assert run_text(host, ["zonename", *argv]).out == out
