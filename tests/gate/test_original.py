"""The gate program becomes the brand's own hook: its arguments, streams, output, exit status and signals."""

from __future__ import annotations

import subprocess

import pytest
from rig import Rig

ARGUMENTS = 'echo $#; for each in "$@"; do echo "<$each>"; done'


@pytest.mark.parametrize(
    "words",
    [
        ("2", "0"),
        ("2", "0", ""),
        ("2", "0", "/a"),
        ("4", "4"),
        ("2", "1", "", ""),
    ],
)
def test_the_original_gets_what_the_brand_would_have_given_it(rig: Rig, words: tuple[str, ...]) -> None:
    original = rig.script("original", ARGUMENTS + "; pwd; echo $_ZONEADM_LOCK_HELD; exit 3")
    without = subprocess.run(
        [original, "web1", "/zones/a b", *words], capture_output=True, text=True, check=False, cwd="/"
    )
    done = rig.hook("prestatechange", *words, original=f"{original} web1 '/zones/a b'", streams="")
    assert (done.status, done.out.splitlines()[:-2], done.err) == (3, without.stdout.splitlines()[:-2], "")


def test_uninstall_arguments_pass(rig: Rig) -> None:
    rig.guard("policy uninstall block")
    done = rig.uninstall("-F", "--all", "*", original=rig.script("original", ARGUMENTS))
    assert done.out == "3\n<-F>\n<--all>\n<*>\n"


@pytest.mark.parametrize("status", [0, 1, 4, 64, 253, 254, 255])
def test_its_exit_status_is_the_originals(rig: Rig, status: int) -> None:
    assert rig.ready(original=rig.script("original", f"exit {status}")).status == status


@pytest.mark.parametrize("number", [1, 9, 13, 15])
def test_a_signal_that_ends_the_original_is_seen(rig: Rig, number: int) -> None:
    """13: what we ignored for ourselves is not ignored by who comes after."""
    assert rig.ready(original=rig.script("original", f"kill -{number} $$; exit 0")).status == -number


def test_no_descriptor_of_ours_is_left_to_it(rig: Rig) -> None:
    original = rig.script("original", "exec ls /proc/self/fd")
    with rig.says("allow fine\n"):
        with_daemon = rig.ready(original=original).out.split()
    assert with_daemon == rig.ready(original=original).out.split() == ["0", "1", "2", "3"], "3 is the folder itself"


@pytest.mark.parametrize("streams", ["<&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_stay_so(rig: Rig, streams: str) -> None:
    """On gate they may be anything (zones sheet 5.5): ours never takes the place of one."""
    heard = rig.run / "heard"
    original = rig.script("original", f"(echo in >&0) 2>/dev/null; echo out; echo err >&2; echo done > {heard}")
    with rig.says("allow fine\ntext\n") as requests:
        done = rig.ready(original=original, streams=streams)
    assert requests == [b"1 ready web1 prestatechange 2 0\n"] and done.status == 0
    assert heard.read_text() == "done\n"
    assert done.out == ("" if ">&- 2" in streams and streams.startswith("<&- >&-") else "text\nout\n")


@pytest.mark.parametrize(("text", "status"), [(None, 127), ("not executable", 126)])
def test_an_original_that_cannot_run_is_said_so(rig: Rig, text: str | None, status: int) -> None:
    original = rig.state / "original"
    if text is not None:
        original.write_text(text)
    done = rig.ready(original=str(original))
    assert done.status == status
    assert f"cannot run the brand's own prestatechange, {original}" in done.out


def test_a_script_without_an_interpreter_line_runs_as_with_a_shell(rig: Rig) -> None:
    original = rig.state / "original"
    original.write_text("echo plain $1\n")
    original.chmod(0o755)
    assert rig.ready(original=str(original)).out == "plain 2\n"
