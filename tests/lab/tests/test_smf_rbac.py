"""svc:/system/rbac merges what packages drop beside the main files [services 3.9]."""

from __future__ import annotations

import os
from pathlib import Path

from lab.tests.zone_host import Host


def test_fragments_newer_than_the_main_file_are_merged_and_never_taken_out(tmp_path: Path) -> None:
    host = Host(tmp_path)
    main, folder = host.file("/etc/security/prof_attr"), host.file("/etc/security/prof_attr.d")
    folder.mkdir(parents=True)
    main.write_text("All:::every command:\n")
    for name, line, seconds in (("old", "Old:::x:", -60), ("mine", "Mine:::y:auths=a.b", 60)):
        (folder / name).write_text(f"# a comment\n{line}\n")
        when = main.stat().st_mtime + seconds
        os.utime(folder / name, (when, when))
    assert host.good("svcs", "-Ho", "state", "rbac") == "online\n"
    for word in ("restart", "refresh"):
        host.good("svcadm", word, "svc:/system/rbac:default")
        assert main.read_text() == "All:::every command:\nMine:::y:auths=a.b\n"
    (folder / "mine").unlink()
    host.good("svcadm", "restart", "rbac")
    assert main.read_text().endswith("Mine:::y:auths=a.b\n")
    users = host.file("/etc/user_attr.d/mine")
    users.parent.mkdir()
    users.write_text("zonehook::::type=role\n")
    host.good("svcadm", "restart", "rbac")
    assert host.file("/etc/user_attr").read_text() == "zonehook::::type=role\n"
