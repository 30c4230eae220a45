"""Compiles native/ when a source is newer than what was made of it. Needs a C compiler and libc6-dev."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

NATIVE = Path(__file__).resolve().parent / "native"
BUILD = NATIVE / "build"
LAUNCHER = BUILD / "launch"
LIBZONECFG = BUILD / "libzonecfg.so.1"
ON_A_HOST = ("answerd", "libone_id.so", "libpatient.so")  # what lies beside the launcher there

_FLAGS = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]
_RECIPES = {
    LAUNCHER: ["-static", *(str(NATIVE / name) for name in ("launch.c", "inside.c", "init.c", "contract.c"))],
    LIBZONECFG: [
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
        "-pthread",
        "-Wl,-soname,libzonecfg.so.1",
        str(NATIVE / "libzonecfg.c"),
    ],
    BUILD / "answerd": ["-static", str(NATIVE / "answerd.c"), str(NATIVE / "answerd_http.c")],
    BUILD / "libone_id.so": ["-shared", "-fPIC", str(NATIVE / "one_id.c")],
    BUILD / "libpatient.so": ["-shared", "-fPIC", str(NATIVE / "patient.c")],
}


class CannotBuild(Exception):
    """No compiler, or the compiler's complaint."""


def _stale(target: Path) -> bool:
    if not target.exists():
        return True
    made = target.stat().st_mtime_ns
    return any(source.stat().st_mtime_ns > made for source in NATIVE.glob("*.[ch]"))


def build() -> Path:
    """The folder that holds the launcher and the library, up to date. Safe to call from several processes at once."""
    if not any(_stale(target) for target in _RECIPES):
        return BUILD
    try:
        BUILD.mkdir(exist_ok=True)
        with (BUILD / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for target, recipe in _RECIPES.items():
                if _stale(target):
                    fresh = target.with_name(f"{target.name}.{os.getpid()}")
                    subprocess.run(
                        ["cc", *_FLAGS, "-o", str(fresh), *recipe], check=True, capture_output=True, text=True
                    )
                    fresh.rename(target)
            entry = BUILD / "zonelab-enter"
            entry.unlink(missing_ok=True)
            entry.hardlink_to(LAUNCHER)
    except FileNotFoundError as problem:
        raise CannotBuild("no C compiler: apt-get install gcc libc6-dev") from problem
    except subprocess.CalledProcessError as problem:
        raise CannotBuild(problem.stderr) from problem
    except PermissionError as problem:
        raise CannotBuild(
            f"{BUILD} is out of date and not ours to write; run `zonelab build` as its owner"
        ) from problem
    return BUILD
