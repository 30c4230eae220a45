"""Plugin tests get the paper host, an admin at its keyboard, and the engine."""

from fixtures import admin, engine, vanilla, world

__all__ = ["admin", "engine", "vanilla", "world"]
