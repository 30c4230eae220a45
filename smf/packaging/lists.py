"""What a staged install becomes in a package: `lists.py ips|svr4 STAGE [VERSION PYTHON-PACKAGE]` prints its list.

One table says who owns what, for both kinds of package; a test compares the lists with the stage.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_OWN = ("opt/zonehookd", "etc/zonehookd")  # folders that are the package's; all others belong to the system
_IMPORT, _RBAC, _LOGADM = (f"svc:/system/{name}:default" for name in ("manifest-import", "rbac", "logadm-upgrade"))
_NAME = re.compile(r"[A-Za-z0-9_.+/-]+")  # what needs no quotes in either list
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


class Entry(NamedTuple):
    """`kind`: dir | file | link. `actuators`: of a file."""

    kind: str
    path: str
    mode: int
    group: str
    actuators: str
    target: str = ""


def entries(stage: Path) -> Iterator[Entry]:
    """Every file and link, and the folders that are the package's own. Raises ValueError for a name that neither list
    can hold."""
    for each in sorted(stage.rglob("*")):
        path = str(each.relative_to(stage))
        if not _NAME.fullmatch(path):
            raise ValueError(f"{path!r} cannot be in a package: it has other than letters, digits and _ . + - / in it")
        kind = "link" if each.is_symlink() else "dir" if each.is_dir() else "file"
        if kind == "dir" and not path.startswith(_OWN):
            continue
        group, actuators = next((group, more) for start, group, more in _RULES if path.startswith(start))
        if kind == "link":
            yield Entry(kind, path, 0, group, "", str(each.readlink()))
        else:
            mode = 0o755 if kind == "dir" else each.stat().st_mode & 0o777
            yield Entry(kind, path, mode, group, actuators if kind == "file" else "")


def ips(stage: Path, version: str, python: str) -> str:
    """An IPS manifest (OmniOS): actions with their actuators, for `pkgsend publish -d STAGE`."""
    lines = [_HEAD.format(version=version, python=python)]
    for each in entries(stage):
        attributes = f"owner=root group={each.group} mode={each.mode:04o} {each.actuators}".rstrip()
        match each.kind:
            case "link":
                lines.append(f"link path={each.path} target={each.target}\n")
            case "dir":
                lines.append(f"dir path={each.path} {attributes}\n")
            case _:
                lines.append(f"file {each.path} path={each.path} {attributes}\n")
    return "".join(lines)


def svr4(stage: Path) -> str:
    """A prototype (Tribblix), for `pkgmk -r STAGE`. The configuration is not in it: pkgadd would write over the
    administrator's; postinstall puts it there if there is none."""
    lines = [f"i {name}\n" for name in ("pkginfo", "postinstall", "preremove", "postremove")]
    for each in entries(stage):
        if each.kind == "link":
            lines.append(f"s none {each.path}={each.target}\n")
        elif each.path != CONFIG:
            lines.append(f"{each.kind[0]} none {each.path} {each.mode:04o} root {each.group}\n")
    return "".join(lines)


if __name__ == "__main__":
    kind, where, *rest = sys.argv[1:]
    sys.stdout.write(ips(Path(where), *rest) if kind == "ips" else svr4(Path(where)))
