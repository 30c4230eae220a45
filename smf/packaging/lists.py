"""What a staged install becomes in a package: `lists.py ips|svr4 STAGE [VERSION PYTHON-PACKAGE]` prints its list.

One table says who owns what, for both kinds of package; a test compares the lists with the stage.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

_OWN = ("opt/zonehookd", "etc/zonehookd")  # folders that are the package's; all others belong to the system
_IMPORT, _RBAC, _LOGADM = (f"svc:/system/{name}:default" for name in ("manifest-import", "rbac", "logadm-upgrade"))
_SERVICE = "svc:/site/zonehookd:default"
CONFIG = "etc/zonehookd/zonehookd.toml"

# start of the path -> group, what pkg is to do besides. The first that fits; the owner is always root.
_RULES = (
    (CONFIG, "sys", "preserve=renamenew"),
    ("etc/zonehookd", "sys", ""),
    ("etc/security/", "sys", f"restart_fmri={_RBAC}"),
    ("etc/logadm.d/", "sys", f"restart_fmri={_LOGADM}"),
    ("lib/svc/manifest/", "sys", f"restart_fmri={_IMPORT} disable_fmri={_SERVICE}"),
    ("var/svc/manifest/", "sys", ""),
    ("opt/zonehookd/lib/", "bin", f"restart_fmri={_SERVICE}"),
    ("", "bin", ""),
)

_HEAD = """\
set name=pkg.fmri value=pkg:/network/zonehookd@{version}
set name=pkg.summary value="The network of zones follows the zones"
set name=pkg.description value="Links, addresses, NAT, DHCP and names of illumos zones, made and kept by a daemon"
set name=info.classification value="org.opensolaris.category.2008:System/Administration and Configuration"
depend type=require fmri=pkg:/{python}
license opt/zonehookd/LICENSE license=MIT
"""


def entries(stage: Path) -> Iterator[tuple[str, bool, int, str, str]]:
    """(path, whether a folder, mode, group, actions): every file, and the folders that are the package's own."""
    for each in sorted(stage.rglob("*")):
        path = str(each.relative_to(stage))
        if each.is_dir() and not path.startswith(_OWN):
            continue
        group, more = next((group, more) for start, group, more in _RULES if path.startswith(start))
        mode = 0o755 if each.is_dir() else each.stat().st_mode & 0o777
        yield path, each.is_dir(), mode, group, "" if each.is_dir() else more


def ips(stage: Path, version: str, python: str) -> str:
    """An IPS manifest (OmniOS): actions with their actuators, for `pkgsend publish -d STAGE`."""
    lines = [_HEAD.format(version=version, python=python)]
    for path, folder, mode, group, more in entries(stage):
        action = "dir" if folder else f"file {path}"
        lines.append(f"{action} path={path} owner=root group={group} mode={mode:04o} {more}".rstrip() + "\n")
    return "".join(lines)


def svr4(stage: Path) -> str:
    """A prototype (Tribblix), for `pkgmk -r STAGE`. The configuration is not in it: pkgadd would write over the
    administrator's; postinstall puts it there if there is none."""
    lines = [f"i {name}\n" for name in ("pkginfo", "postinstall", "preremove", "postremove")]
    for path, folder, mode, group, _ in entries(stage):
        if path != CONFIG:
            lines.append(f"{'d' if folder else 'f'} none {path} {mode:04o} root {group}\n")
    return "".join(lines)


if __name__ == "__main__":
    kind, where, *rest = sys.argv[1:]
    sys.stdout.write(ips(Path(where), *rest) if kind == "ips" else svr4(Path(where)))
