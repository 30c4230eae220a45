"""Zone templates and brands of a freshly installed host [zones 4.8, 5.6].

Of each brand only the hooks are named whose programs exist in the lab.
"""

from __future__ import annotations

from pathlib import Path

from lab import (
    brand_hooks,
    zone_dtd,
    zoneadm_software,  # noqa: F401 -- registers the built-in install and uninstall
)
from lab.brands import NATIVE_HEAD, ORDER
from lab.world import Dialect, World
from lab.zonexml import ZoneConfig, render

SHUTDOWN = "/usr/sbin/shutdown -y -g0 -i5"
GATE_BRANDS = ("ipkg", "sparse", "sparse-root", "whole-root")
OMNIOS_BRANDS = {"ipkg": "ipkg", "lipkg": "ipkg", "sparse": "sparse", "pkgsrc": "sparse", "lx": "lx", "bhyve": "bhyve"}
GATE_TEMPLATES = {"SUNWdefault": "ipkg", "SUNWblank": "ipkg", "TRIBsparse": "sparse-root", "TRIBwhole": "whole-root"}
OMNIOS_TEMPLATES = {
    "SUNWdefault": "ipkg", "SUNWblank": "ipkg", "SUNWipkg": "ipkg", "OMNIlipkg": "lipkg", "OMNIsparse": "sparse",
    "OMNIpkgsrc": "pkgsrc", "OMNIlx": "lx", "OMNIbhyve": "bhyve",
}  # fmt: skip

HEADER = (
    '<?xml version="1.0"?>\n'
    '<!DOCTYPE brand PUBLIC "-//Sun Microsystems Inc//DTD Brands//EN" "file:///usr/share/lib/xml/dtd/brand.dtd.1">\n'
)


def brand_document(name: str, hooks: dict[str, str]) -> str:
    """A config.xml that passes its DTD; `hooks` maps an element to its text."""
    elements = {
        "modname": "",
        "initname": "/sbin/init",
        "login_cmd": "/usr/bin/login -z %Z %u",
        "forcedlogin_cmd": "/usr/bin/login -z %Z -f %u",
        "user_cmd": "/usr/bin/getent passwd %u",
        **hooks,
    }
    body = "".join(f"  <{tag}>{elements[tag]}</{tag}>\n" for tag in ORDER if tag in elements)
    privilege = '  <privilege set="default" name="contract_event"/>\n'
    return f'{HEADER}<brand name="{name}">\n{body}{privilege}</brand>\n'


def _script(world: World, path: str, native: str, text: str) -> None:
    """An executable file: `text` where processes can run, the one line that names a function where not."""
    file = world.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text if world.floor.real and text else f"{NATIVE_HEAD}{native}\n")
    file.chmod(0o755)


def _software(world: World, name: str) -> dict[str, str]:
    """Install and uninstall, done by the lab itself on either floor."""
    base = f"/usr/lib/brand/{name}"
    for word in ("install", "uninstall"):
        _script(world, f"{base}/{word}", word, "")
    return {"install": f"{base}/install %z %R", "uninstall": f"{base}/uninstall %z %R"}


def _write(world: World, name: str, hooks: dict[str, str]) -> None:
    folder = world.path(f"/usr/lib/brand/{name}")
    folder.mkdir(parents=True, exist_ok=True)
    document = brand_document(name, {**_software(world, name), **hooks})
    if not (folder / "config.xml").exists():
        (folder / "config.xml").write_text(document)


def _gate_brand(world: World, name: str) -> None:
    base = f"/usr/lib/brand/{name}"
    for word in ("prestate", "poststate"):
        _script(world, f"{base}/{word}", "nothing", brand_hooks.NOTHING)
    hooks = {
        "sysboot": f"{base}/prestate %z %R 2 0",
        "prestatechange": f"{base}/prestate %z %R",
        "poststatechange": f"{base}/poststate %z %R",
    }
    if name in ("ipkg", "sparse"):
        hooks["shutdown"] = SHUTDOWN
    _write(world, name, hooks)


def _omnios_brand(world: World, name: str, family: str) -> None:
    base = f"/usr/lib/brand/{family}"
    if family == "bhyve":
        _script(world, f"{base}/support", "support", brand_hooks.ON_DEMAND)
        pre, post = f"{base}/support prestate %z %R", f"{base}/support poststate %z %R"
    else:
        for word in ("prestate", "poststate"):
            call = brand_hooks.ON_DEMAND.replace("\nexec </dev/null", f'\nset -- {word} "$@"\nexec </dev/null', 1)
            _script(world, f"{base}/{word}", word, call)
        pre, post = f"{base}/prestate %z %R", f"{base}/poststate %z %R"
    hooks = {"prestatechange": pre, "poststatechange": post}
    if family in ("ipkg", "sparse"):
        hooks |= {"sysboot": f"{base}/prestate %z %R 99 0", "shutdown": SHUTDOWN}
    if family == "sparse":
        _script(world, f"{base}/verifyadm", "nothing", brand_hooks.NOTHING)
        hooks["verify_adm"] = f"{base}/verifyadm %z %R "
    _write(world, name, hooks)


def _templates(world: World, templates: dict[str, str]) -> None:
    for name, brand in templates.items():
        attributes = {"name": name, "zonepath": "", "autoboot": "false", "brand": brand}
        if not name.startswith(("SUNWdefault", "SUNWblank", "TRIB")):
            attributes["ip-type"] = "exclusive"
        file: Path = world.path(f"/etc/zones/{name}.xml")
        if not file.exists():
            file.write_text(render(ZoneConfig(attributes)))
            file.chmod(0o644)


def furnish_zones(world: World) -> None:
    """Write the DTD, the templates and the brands of the world's dialect."""
    file = world.path(zone_dtd.PATH)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(zone_dtd.dtd(world.dialect))
    if world.dialect is Dialect.OMNIOS:
        for name, family in OMNIOS_BRANDS.items():
            _omnios_brand(world, name, family)
        _templates(world, OMNIOS_TEMPLATES)
    else:
        for name in GATE_BRANDS:
            _gate_brand(world, name)
        _templates(world, GATE_TEMPLATES)
