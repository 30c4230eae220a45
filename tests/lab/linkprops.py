from __future__ import annotations

from lab.world import Link, World


def apply_stored(world: World, link: Link) -> None:
    """Boot: the stored properties become the active ones."""
