"""`make install`, `make uninstall` into a folder, and the lists of the two kinds of packages, compared with it."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "etc/zonehookd/zonehookd.toml"
Files = Mapping[str, int]  # path -> mode


def make(target: str, where: Path, **words: str) -> str:
    argv = ["make", "-s", target, f"DESTDIR={where}", f"PYTHON={sys.executable}", "DEPS=no"]
    argv += [f"{name}={value}" for name, value in words.items()]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(where: Path) -> Files:
    found = (each for each in where.rglob("*") if not each.is_dir())
    return {str(each.relative_to(where)): stat.S_IMODE(each.stat().st_mode) for each in found}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("stage")
    make("install", where)
    return where


@pytest.fixture(scope="module")
def lists() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lists", ROOT / "smf/packaging/lists.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_where(stage: Path) -> None:
    found = files(stage)
    system = {path: mode for path, mode in found.items() if not path.startswith("opt/zonehookd/lib/python/")}
    assert system == {
        "etc/logadm.d/zonehookd": 0o444,  # logadm-upgrade takes no other mode
        "etc/security/auth_attr.d/zonehookd": 0o644,
        "etc/security/exec_attr.d/zonehookd": 0o644,
        "etc/security/prof_attr.d/zonehookd": 0o644,
        CONFIG: 0o644,
        "lib/svc/manifest/site/zonehookd.xml": 0o444,
        "opt/zonehookd/LICENSE": 0o644,
        "opt/zonehookd/bin/zonehookctl": 0o755,
        "opt/zonehookd/bin/zonehookd": 0o755,
        "opt/zonehookd/lib/svc-zonehookd": 0o755,
        "opt/zonehookd/lib/zonehookd-warden": 0o755,
        "opt/zonehookd/lib/zonehookd.toml": 0o644,
    }
    python = {path.removeprefix("opt/zonehookd/lib/python/") for path in found} - {*system}
    tracked = subprocess.run(["git", "ls-files", "zonehookd", "plugins"], cwd=ROOT, capture_output=True, text=True)
    wanted = {
        path for path in tracked.stdout.split() if "/tests/" not in path and not path.endswith((".md", "conftest.py"))
    }
    assert wanted <= python
    assert not [path for path in python if "__pycache__" in path or "/tests/" in path or "conftest" in path]


def test_what_is_installed_runs_by_itself(stage: Path, tmp_path: Path) -> None:
    """Not from the checkout, and whatever the environment says: it runs as root."""
    shutil.copytree(stage / "opt/zonehookd", tmp_path / "moved")
    for each in (tmp_path / "moved").rglob("zonehookd*"):
        if each.is_file() and os.access(each, os.X_OK):
            each.write_text(each.read_text().replace("/opt/zonehookd", str(tmp_path / "moved")))
    (tmp_path / "zonehookd.py").write_text("raise SystemExit('planted')")
    config = tmp_path / "good.toml"
    config.write_text('[network.dmz]\ncidr = "10.1.0.0/24"\n')
    environ = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    argv = [str(tmp_path / "moved/bin/zonehookd"), "--check", "--config", str(config)]
    done = subprocess.run(argv, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "1 networks, plugins etherstub," in done.stdout
    code = "import zonehookd.daemon, sys; print(zonehookd.daemon.__file__)"
    launcher = (tmp_path / "moved/bin/zonehookd").read_text()
    where = subprocess.run(
        [sys.executable, "-I", "-c", launcher.partition("from zonehookd")[0] + code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(tmp_path / "moved/lib/python"))


def test_another_prefix_is_in_every_file_that_names_it(tmp_path: Path) -> None:
    make("install", tmp_path, PREFIX="/usr/local/zonehookd", MANIFESTDIR="/var/svc/manifest/site")
    for path in files(tmp_path):
        if "/lib/python/" not in path:
            assert "/opt/zonehookd" not in (tmp_path / path).read_text(), path
    assert (
        "exec='/usr/local/zonehookd/lib/svc-zonehookd start'"
        in (tmp_path / "var/svc/manifest/site/zonehookd.xml").read_text()
    )


def test_an_install_over_an_old_one_leaves_no_old_modules_and_the_configuration(tmp_path: Path) -> None:
    make("install", tmp_path)
    old = tmp_path / "opt/zonehookd/lib/python/plugins/gone/plugin.py"
    old.parent.mkdir()
    old.write_text("raise SystemExit")
    (tmp_path / CONFIG).write_text('[network.mine]\ncidr = "10.1.0.0/24"\n')
    make("install", tmp_path)
    assert not old.exists() and "network.mine" in (tmp_path / CONFIG).read_text()
    assert "is yours, and stays" in make("uninstall", tmp_path, MANIFESTDIR="/lib/svc/manifest/site")
    assert set(files(tmp_path)) == {CONFIG}


def without_index(folder: Path) -> dict[str, str]:
    return {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}


@pytest.mark.parametrize("fault", ["dependencies", "the gate program"])
def test_what_cannot_be_installed_leaves_nothing_and_an_old_one_whole(tmp_path: Path, fault: str) -> None:
    stage, empty = tmp_path / "stage", tmp_path / "empty"
    empty.mkdir()
    words = ["DEPS=yes"] if fault == "dependencies" else ["DEPS=no", "CC=/bin/false"]
    argv = ["make", "-s", "install", f"DESTDIR={stage}", f"PYTHON={sys.executable}", *words]

    def fails() -> None:
        done = subprocess.run(argv, cwd=ROOT, env=without_index(empty), capture_output=True, text=True, check=False)
        assert done.returncode != 0 and fault in done.stderr and "nothing was installed" in done.stderr, done

    fails()
    assert not stage.exists()
    make("install", stage)
    before = {path: (stage / path).stat().st_mtime_ns for path in files(stage)}
    fails()
    assert {path: (stage / path).stat().st_mtime_ns for path in files(stage)} == before


def test_dependencies_replace_those_of_before(tmp_path: Path) -> None:
    """pip is another's program; here one that only makes files."""
    pip = tmp_path / "python"
    pip.write_text(
        '#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" = --target ] && target=$2; shift; done\n'
        'mkdir -p "$target/bin" "$target/zmq"; touch "$target/bin/tool" "$target/zmq/__init__.py"\n'
    )
    pip.chmod(0o755)
    old = tmp_path / "stage/opt/zonehookd/lib/deps/old/__init__.py"
    old.parent.mkdir(parents=True)
    old.touch()
    argv = ["make", "-s", "install", f"DESTDIR={tmp_path / 'stage'}", f"PYTHON={pip}"]
    subprocess.run(argv, cwd=ROOT, check=True)
    found = {path for path in files(tmp_path / "stage") if "/lib/deps/" in path}
    assert found == {"opt/zonehookd/lib/deps/zmq/__init__.py"}


def test_uninstall_leaves_nothing(tmp_path: Path) -> None:
    make("install", tmp_path)
    make("uninstall", tmp_path)
    assert not files(tmp_path)
    assert not (tmp_path / "opt/zonehookd").exists() and not (tmp_path / "etc/zonehookd").exists()


def test_the_ips_manifest_lists_what_is_staged(stage: Path, lists: ModuleType) -> None:
    listed: dict[str, int] = {}
    for line in lists.ips(stage, "0.1.0", "runtime/python-312").splitlines():
        action, *words = shlex.split(line)
        plain = [word for word in words if "=" not in word]
        values = dict(word.split("=", 1) for word in words if "=" in word)
        if action in ("file", "dir"):
            assert values["owner"] == "root" and values["group"] in ("bin", "sys")
            assert re.fullmatch(r"0[0-7]{3}", values["mode"])
            assert (stage / values["path"]).is_dir() is (action == "dir")
        if action == "file":
            assert plain == [values["path"]], "what is in the stage goes where it is in the stage"
            listed[values["path"]] = int(values["mode"], 8)
            start = values["path"]
            if start.startswith("etc/security/"):
                assert values["restart_fmri"] == "svc:/system/rbac:default"
            if start.startswith("etc/logadm.d/"):
                assert values["restart_fmri"] == "svc:/system/logadm-upgrade:default"
            if start.startswith("lib/svc/manifest/"):
                assert values["restart_fmri"] == "svc:/system/manifest-import:default"
                assert values["disable_fmri"] == "svc:/site/zonehookd:default"
            assert (values.get("preserve") == "renamenew") is (start == CONFIG)
        else:
            assert action in ("set", "depend", "license", "dir"), line
    assert listed == files(stage)


def test_the_prototype_lists_what_is_staged(tmp_path: Path, lists: ModuleType) -> None:
    make("install", tmp_path, MANIFESTDIR="/var/svc/manifest/site")
    listed: dict[str, int] = {}
    scripts = set()
    for line in lists.svr4(tmp_path).splitlines():
        words = line.split()
        if words[0] == "i":
            scripts.add(words[1])
            continue
        kind, group_of_files, path, mode, owner, group = words
        assert (kind, group_of_files, owner) in (("f", "none", "root"), ("d", "none", "root"))
        assert group in ("bin", "sys") and (tmp_path / path).is_dir() is (kind == "d") and "=" not in path
        if kind == "f":
            listed[path] = int(mode, 8)
    staged = files(tmp_path)
    assert listed == {path: mode for path, mode in staged.items() if path != CONFIG}
    assert scripts == {"pkginfo", "postinstall", "preremove", "postremove"}
    assert all((ROOT / "smf/packaging" / name).is_file() for name in scripts)


def test_pkginfo_has_what_pkgmk_asks_for() -> None:
    lines = dict(line.split("=", 1) for line in (ROOT / "smf/packaging/pkginfo").read_text().splitlines())
    assert {"PKG", "NAME", "ARCH", "VERSION", "CATEGORY"} <= lines.keys() and lines["CLASSES"] == "none"


def test_postinstall_makes_fragments_new_and_keeps_a_configuration(tmp_path: Path) -> None:
    make("install", tmp_path, MANIFESTDIR="/var/svc/manifest/site")
    fragments = [*tmp_path.glob("etc/security/*.d/zonehookd"), tmp_path / "etc/logadm.d/zonehookd"]
    for each in fragments:
        os.utime(each, (0, 0))
    (tmp_path / CONFIG).unlink()
    environ = {"PKG_INSTALL_ROOT": str(tmp_path), "PATH": os.environ["PATH"]}
    script = ["sh", str(ROOT / "smf/packaging/postinstall")]
    subprocess.run(script, env=environ, check=True)
    assert len(fragments) == 4 and all(each.stat().st_mtime > 0 for each in fragments)
    assert (tmp_path / CONFIG).read_text() == (ROOT / "smf/zonehookd.toml").read_text()
    (tmp_path / CONFIG).write_text("# mine\n")
    subprocess.run(script, env=environ, check=True)
    assert (tmp_path / CONFIG).read_text() == "# mine\n"


def test_both_packages_can_be_made_ready(tmp_path: Path) -> None:
    for kind, made in (("ips", "zonehookd.p5m"), ("svr4", "prototype")):
        out = tmp_path / kind
        said = make(f"package-{kind}", Path(), OUT=str(out))
        assert "then: pkg" in said and (out / made).stat().st_size > 1000
    assert "VERSION=0." in (tmp_path / "svr4/pkginfo").read_text()


def test_the_dependencies_are_those_of_the_lock() -> None:
    def pins(file: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+==\S+) ", (ROOT / file).read_text(), re.M))

    ours = pins("smf/packaging/requirements.txt")
    assert ours <= pins("requirements.lock")
    direct = re.findall(
        r'^    "([a-z-]+)[>=]', (ROOT / "pyproject.toml").read_text().partition("[project.optional")[0], re.M
    )
    assert direct and {*direct} <= {pin.partition("==")[0] for pin in ours}
