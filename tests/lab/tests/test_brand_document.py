"""config.xml of a brand: what its DTD refuses, and texts that are too long [zones 5.1]."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import brands, furnish_zones
from lab.dispatch import Completed
from lab.tests.zone_host import Host
from lab.world import Dialect
from lab.zonefiles import state_of


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.install("web1")
    return host


def test_every_furnished_brand_is_valid(tmp_path: Path) -> None:
    for dialect, names in (
        (Dialect.VANILLA, furnish_zones.GATE_BRANDS),
        (Dialect.OMNIOS, tuple(furnish_zones.OMNIOS_BRANDS)),
    ):
        host = Host(tmp_path / dialect.value, dialect)
        for name in names:
            brand = brands.open_brand(host.world, name)
            for text in brand.elements.values():
                word = text.split(" ")[0]
                if word.startswith("/usr/lib/brand/"):
                    assert host.file(word).exists(), (name, text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<!DOCTYPE brand", "<!DOCTYPE zone"),
        ('<brand name="sparse">', '<brand name="other">'),
        ("  <modname>", "  <unknown></unknown>\n  <modname>"),
        ("  <user_cmd>/usr/bin/getent passwd %u</user_cmd>\n", ""),
        ("</brand>", "  <sysboot>x</sysboot>\n</brand>"),
        ("</brand>", ""),
        ('<brand name="sparse">', '<brand name="sparse" by="me">'),
        ('"file:///usr/share/lib/xml/dtd/brand.dtd.1"', '"file:///usr/share/lib/xml/dtd/zonecfg.dtd.1"'),
        ("<install>", '<install by="me">'),
        ("</install>", "<b/></install>"),
        ("</install>", "</install> and more"),
        ("</install>", " &more;</install>"),
        ('<privilege set="default"', '<privilege set="any"'),
        ('set="default" name="contract_event"', 'set="default"'),
    ],
)
def test_a_document_that_does_not_pass_its_dtd_makes_the_brand_unusable(host: Host, old: str, new: str) -> None:
    config = host.file("/usr/lib/brand/sparse/config.xml")
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    expected = "zoneadm: zone 'web1': missing or invalid brand\n"
    assert host.zoneadm("web1", "boot") == Completed(1, "", expected)
    done = host.zonecfg("web1", "info")
    assert done == Completed(1, "", 'Zone web1 uses non-existent brand "sparse".  Unable to continue\n')


def test_a_module_need_not_be_named(host: Host) -> None:
    config = host.file("/usr/lib/brand/sparse/config.xml")
    config.write_text(config.read_text().replace("  <modname></modname>\n", "  <!-- none -->\n"))
    assert host.zoneadm("web1", "boot").status == 0


def test_macros() -> None:
    assert brands.expand("a %z %R %Z %u %% %q%", "web1", "/zones/web1") == "a web1 /zones/web1 global root % "


def test_a_text_that_fills_its_buffer_is_no_hook_at_all(host: Host) -> None:
    """`exec `, macros and the arguments included; then nobody boots, halts or uninstalls."""
    host.zoneadm("web1", "boot")
    long = "/usr/lib/brand/sparse/prestate %z " + "x" * (1024 - len("exec /usr/lib/brand/sparse/prestate web1 "))
    host.element("sparse", "uninstall", f"<preuninstall>{long}</preuninstall>")
    host.element("sparse", "poststatechange", f"<prestatechange>{long}</prestatechange>")
    config = host.file("/usr/lib/brand/sparse/config.xml")
    config.write_text(re.sub("  <prestatechange>[^x]*?</prestatechange>\n", "", config.read_text()))
    assert host.zoneadm("web1", "halt").status == 0, "it has the hooks that it was booted with"
    done = host.zoneadm("web1", "boot")
    assert (done.status, done.err.splitlines()[0]) == (
        1, "failed to initialize brand state change hooks: No such file or directory",
    )  # fmt: skip
    assert state_of(host.world, "web1") == "installed"
    expected = "zoneadm: zone 'web1': invalid brand configuration: missing preuninstall resource\n"
    assert host.zoneadm("web1", "uninstall", "-F") == Completed(1, "", expected)
    config.write_text(config.read_text().replace(long, long[:-1]))
    assert host.zoneadm("web1", "boot").status == 0
    assert host.zoneadm("web1", "halt").status == 0
    expected = "zoneadm: zone 'web1': Command line too long\n"
    assert host.zoneadm("web1", "uninstall", "-F") == Completed(1, "", expected)
    assert state_of(host.world, "web1") == "installed"
