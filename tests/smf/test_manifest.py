"""The manifest, the method and the fragments: what an illumos host would refuse, and what must agree between them."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from lab.dispatch import run_text
from lab.world import World

from zonehookd.warden.watch import Limits

ROOT = Path(__file__).resolve().parents[2]
SMF = ROOT / "smf"
MANIFEST = SMF / "zonehookd.xml"
DTD = Path(__file__).with_name("service_bundle.dtd")


def root() -> ElementTree.Element:
    return ElementTree.parse(MANIFEST).getroot()  # noqa: S314 - our own file


def xmllint(file: Path) -> subprocess.CompletedProcess[str]:
    argv = ["xmllint", "--noout", "--nonet", "--dtdvalid", str(DTD), str(file)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_manifest_is_valid_by_the_dtd() -> None:
    done = xmllint(MANIFEST)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("    <single_instance/>\n", "    <stability value='Evolving'/>\n    <single_instance/>\n"),
        (" restart_on='none' type='service'", " type='service'"),
        ("grouping='optional_all'", "grouping='optional'"),
        ("type='count'", "type='number'"),
        ("timeout_seconds='420'", ""),
    ],
)
def test_the_dtd_sees_mistakes_and_so_does_the_lab(what: str, instead: str, vanilla: World, tmp_path: Path) -> None:
    text = MANIFEST.read_text()
    assert what in text
    file = tmp_path / "changed.xml"
    file.write_text(text.replace(what, instead))
    assert xmllint(file).returncode != 0
    vanilla.path("/changed.xml").write_bytes(file.read_bytes())
    done = run_text(vanilla, ["svccfg", "validate", "/changed.xml"])
    assert done.status != 0


def test_svccfg_takes_it(world: World) -> None:
    world.path("/zonehookd.xml").write_bytes(MANIFEST.read_bytes())
    for verb in ("validate", "import"):
        done = run_text(world, ["svccfg", verb, "/zonehookd.xml"])
        assert (done.status, done.err) == (0, "")
    assert run_text(world, ["svcs", "-H", "-o", "state", "svc:/site/zonehookd:default"]).out.strip() == "disabled"
    depends = run_text(world, ["svcs", "-H", "-o", "fmri", "-d", "svc:/system/zones:default"]).out.split()
    assert "svc:/site/zonehookd:default" in depends


def test_a_stop_never_signals_the_contract() -> None:
    methods = {each.get("name"): each.get("exec", "") for each in root().iter("exec_method")}
    assert set(methods) == {"start", "stop", "refresh"}
    assert all(re.fullmatch(r"/opt/zonehookd/lib/svc-zonehookd \w+", each) for each in methods.values())
    method = (SMF / "svc-zonehookd").read_text()
    assert "kill" not in method and "%{" not in "".join(methods.values())


def test_time_limits_leave_room_for_what_the_warden_may_take() -> None:
    limit = {each.get("name"): int(each.get("timeout_seconds", "0")) for each in root().iter("exec_method")}
    value = {each.get("name"): each.get("value", "") for each in root().iter("propval")}
    ours = {"ready": int(value["ready_s"]), "watchdog": int(value["watchdog_s"]), "grace": int(value["grace_s"])}
    assert ours == vars(Limits()), "the manifest and the warden say the same"
    # A start may first have to stop a warden of an earlier start, then time out, then stop what it had started.
    assert limit["start"] > ours["ready"] + 2 * ours["grace"] + 30
    assert limit["stop"] > ours["grace"] + 30 and limit["refresh"] > 0
    assert ours["grace"] > 65, "a dladm gets 60 s, and 5 to die"


def test_the_method_reads_the_properties_that_the_manifest_has() -> None:
    config = next(each for each in root().iter("property_group") if each.get("name") == "config")
    known = {each.get("name"): each.get("value") for each in config.iter("propval")}
    read = dict(re.findall(r"property (\w+) ([^)]+)\)", (SMF / "svc-zonehookd").read_text()))
    assert read == {name: value for name, value in known.items() if name != "value_authorization"}


def test_refresh_never_fails() -> None:
    method = (SMF / "svc-zonehookd").read_text()
    refresh = method.partition("refresh)\n")[2].partition(";;")[0]
    assert "||" in refresh and "exit" not in refresh


def test_authorizations_are_declared_where_they_are_used() -> None:
    names = {line.partition(":")[0] for line in (SMF / "rbac/auth_attr").read_text().splitlines()}
    used = {each.get("value") for each in root().iter("propval") if "authorization" in str(each.get("name"))}
    assert used == names
    granted = set(re.findall(r"auths=([^;\n]+)", (SMF / "rbac/prof_attr").read_text()))
    assert granted == names


def test_rbac_lines_have_their_fields() -> None:
    """[services sheet 3.9]: NAME:::SHORT::ATTR, PROFILE:::DESC:ATTR, PROFILE:solaris:cmd:::PATH:ATTR."""
    fields = {"auth_attr": 6, "prof_attr": 5, "exec_attr": 7}
    profiles = set()
    for name, number in fields.items():
        for line in (SMF / "rbac" / name).read_text().splitlines():
            parts = line.split(":")
            assert len(parts) == number, line
            if name == "prof_attr":
                profiles.add(parts[0])
                assert parts[1:3] == ["", ""] and parts[3]
            if name == "exec_attr":
                assert (
                    parts[0] in profiles and parts[1:5] == ["solaris", "cmd", "", ""] and parts[5].startswith("/opt/")
                )


def test_the_log_line_is_what_logadm_takes_over() -> None:
    """One line per log, its name first; the post-command makes the daemon open the new file, and is no refresh."""
    lines = [line for line in (SMF / "logadm.conf").read_text().splitlines() if not line.startswith("#")]
    (line,) = lines
    assert line.startswith("/var/log/zonehookd/audit.jsonl ") and "\\" not in line
    assert line.endswith("-a '/opt/zonehookd/lib/zonehookd-warden reopen'")


@pytest.mark.parametrize("shell", ["dash", "ksh93"])  # ksh93 is /sbin/sh of illumos
@pytest.mark.parametrize("script", ["svc-zonehookd", "install.sh", "packaging/package.sh", "packaging/postinstall",
                                    "packaging/preremove", "packaging/postremove"])  # fmt: skip
def test_scripts_are_read_by_either_shell(script: str, shell: str) -> None:
    done = subprocess.run([shell, "-n", str(SMF / script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
