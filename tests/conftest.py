"""Fixtures for every test below."""

from fixtures import admin, engine, vanilla, world

__all__ = ["admin", "engine", "vanilla", "world"]
