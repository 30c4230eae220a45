"""A host's brands on disk, as the packaging system leaves them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.furnish_zones import brand_document

from zonehookd.gate.brands import gated
from zonehookd.gate.keeper import BrandKeeper

FIRST_NS, LATER_NS = 1_600_000_000_123_456_789, 1_700_000_000_987_654_321


def document(name: str, version: str = "1") -> bytes:
    return brand_document(name, {"install": f"/b/install{version}", "prestatechange": "/b/prestate %z %R"}).encode()


@dataclass(frozen=True)
class Look:
    """All that can be seen of a file."""

    content: bytes
    mode: int
    owner: tuple[int, int]
    mtime_ns: int


class Host:
    def __init__(self, folder: Path) -> None:
        self.state, self.run, self.brands = folder / "state", folder / "run", folder / "brands"
        self.state.mkdir(mode=0o700)
        for name in ("lx", "sparse"):
            self.package(name, document(name))

    def file(self, name: str = "sparse") -> Path:
        return self.brands / name / "config.xml"

    def kept(self, name: str = "sparse") -> Path:
        return self.state / "brand" / name / "config.xml"

    def package(self, name: str, content: bytes, mtime_ns: int = FIRST_NS, mode: int = 0o444) -> None:
        """As the packaging system does: another file under the old name."""
        self.file(name).parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file(name).with_name("fresh")
        fresh.write_bytes(content)
        fresh.chmod(mode)
        os.utime(fresh, ns=(mtime_ns, mtime_ns))
        fresh.rename(self.file(name))

    def look(self, name: str = "sparse") -> Look:
        found = self.file(name).stat()
        return Look(self.file(name).read_bytes(), found.st_mode, (found.st_uid, found.st_gid), found.st_mtime_ns)

    def keeper(self) -> BrandKeeper:
        return BrandKeeper(self.state, self.run, self.brands)

    def wanted(self, content: bytes) -> bytes:
        return gated(content, str(self.state / "gate"), str(self.run))

    def strays(self) -> list[str]:
        return [str(each) for each in self.brands.rglob("*") if each.is_file() and each.name != "config.xml"]
