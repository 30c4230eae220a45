"""The story of a proxy for the table of commands, on the paper floor, and what a running nginx would answer there."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from command_table import Said
from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Engine
from paper_gateway import wish

WEB = {"cidr": "10.99.0.0/24", "via": "edge"}
IDLE: dict[str, object] = {"nat": False, "dhcp": "none", "dns": "none"}
_FILE = "zones/edge/root/var/zonehookd/nginx/http.conf"


@dataclass
class Running:
    """What nginx in zone edge says, a question late: so that it is asked why, too."""

    late: dict[Path, str] = field(default_factory=dict)  # root of the world -> its last answer

    def answer(self, command: Said, root: Path) -> str | None:
        """None: that is not asked of it."""
        if command.words[0] != "bash":
            return None
        if command.words[2] == "_ERRORS":
            return "2026/11/21 21:00:00\n"
        if command.words[2] != "_STATUS":
            return ""
        file = root / _FILE
        found = re.search(r'return 200 "([0-9a-f]{16})', file.read_text()) if file.exists() else None
        said, now = self.late.get(root, "refused\n"), f"HTTP/1.1 200 OK\r\n\r\n{found[1]}\n" if found else "refused\n"
        self.late[root] = now
        return said


def served_by_nginx(root: Path, dialect: Dialect) -> None:
    """A gateway zone whose nginx has a route, then two, then none."""
    (root / "host").mkdir(parents=True)
    admin = Admin(paper_world(str(root / "host"), dialect))
    plugins = {"options": {"nginx": {"pace_s": 0}}}
    gateway = {**IDLE, "proxy": {"program": "nginx"}}
    ours = Engine(admin.world, root / "state.db", {"web": WEB}, gateway={"edge": gateway}, plugins=plugins)
    admin.zone("edge")
    for name in ("web1", "web2"):
        route = f'add attr; set name=zh.route; set type=string; set value="{name}.example.org check=no"; end'
        admin.zone(name, f"set physical={name}_0", extra=f"{wish(0, 'web')}{route}")
    looks(ours)
    for name in ("edge", "web1"):
        admin.do("zoneadm", "-z", name, "boot")
    looks(ours)
    admin.do("zoneadm", "-z", "web2", "boot")
    looks(ours)
    ours.redeclare({"web": WEB}, {"edge": IDLE})
    looks(ours)


def looks(ours: Engine) -> None:
    for _ in range(8):
        ours.look()
        time.sleep(0.02)  # for services, whose manager takes its time
