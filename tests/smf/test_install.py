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

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
CONFIG = "etc/zonehookd/zonehookd.toml"
Files = Mapping[str, int]  # path -> mode


def make(target: str, where: Path, **words: str) -> str:
    argv = ["make", "-s", target, f"DESTDIR={where}", f"PYTHON={sys.executable}", "DEPS=no"]
    argv += [f"{name}={value}" for name, value in words.items()]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(where: Path) -> Files:
    found = (each for each in where.rglob("*") if not (each.is_dir() or each.is_symlink()))
    return {str(each.relative_to(where)): stat.S_IMODE(each.stat().st_mode) for each in found}


def links(where: Path) -> Mapping[str, str]:
    return {str(each.relative_to(where)): str(each.readlink()) for each in where.rglob("*") if each.is_symlink()}


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
        "opt/zonehookd/bin/pip": 0o755,
        "opt/zonehookd/bin/zonehookctl": 0o755,
        "opt/zonehookd/bin/zonehookd": 0o755,
        f"opt/zonehookd/lib/{PYTHON}/site-packages/zonehookd.pth": 0o644,
        "opt/zonehookd/lib/svc-zonehookd": 0o755,
        "opt/zonehookd/lib/zonehookd-warden": 0o755,
        "opt/zonehookd/lib/zonehookd.toml": 0o644,
        "opt/zonehookd/pyvenv.cfg": 0o644,
    }
    (link,) = links(stage).items()
    assert link == ("opt/zonehookd/bin/python", str(Path(sys._base_executable).resolve()))  # type: ignore[attr-defined]
    python = {path.removeprefix("opt/zonehookd/lib/python/") for path in found} - {*system}
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "zonehookd", "plugins"]
    known = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    own_tests = re.compile(r"plugins/(\w+/tests/.*|conftest\.py)")
    wanted = {path for path in known if not own_tests.fullmatch(path) and not path.endswith(".md")}
    assert python == wanted | {"zonehookd/gate/gate", "zonehookd-0.1.0.dist-info/METADATA"}


@pytest.fixture(scope="module")
def moved(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed, away from the checkout, where its files say that it is."""
    where = tmp_path_factory.mktemp("elsewhere") / "opt"
    shutil.copytree(stage / "opt/zonehookd", where, symlinks=True)
    for each in (*where.glob("bin/*"), *where.glob("lib/zonehookd-*"), *where.rglob("zonehookd.pth")):
        if not each.is_symlink():
            each.write_text(each.read_text().replace("/opt/zonehookd", str(where)))
    return where


def typed(argv: list[str], cwd: Path, **environ: str) -> str:
    """What it says; it must succeed."""
    told = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run(argv, env=told, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout


def test_what_is_installed_runs_by_itself(moved: Path, tmp_path: Path) -> None:
    """Not from the checkout, and whatever the environment says: it runs as root."""
    (tmp_path / "zonehookd.py").write_text("raise SystemExit('planted')")
    config = tmp_path / "good.toml"
    config.write_text('[network.dmz]\ncidr = "10.1.0.0/24"\n')
    argv = [str(moved / "bin/zonehookd"), "--check", "--config", str(config)]
    assert "1 networks, plugins etherstub," in typed(argv, tmp_path, PYTHONPATH=str(tmp_path))
    code = "import zonehookd.daemon; print(zonehookd.daemon.__file__)"
    where = typed([str(moved / "bin/python"), "-P", "-c", code], tmp_path)
    assert where == f"{moved}/lib/python/zonehookd/daemon.py\n", "a process that ours starts is of the same make"


def test_plugins_of_all_shapes_work_with_what_is_installed(moved: Path, tmp_path: Path) -> None:
    """Each is looked at in a process of its own, which has to find zonehookd and what it needs. There is no network:
    what builds the package is there already."""
    ctl, names = str(moved / "bin/zonehookctl"), ("one", "two", "three")
    for name, shape in zip(names, ("folder", "executable", "package"), strict=True):
        typed([ctl, "plugin", "new", name, "--shape", shape], tmp_path)
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_CONFIG_FILE": os.devnull}
    typed([str(moved / "bin/pip"), "--disable-pip-version-check", "install", "-q", "./three"], tmp_path, **pip)
    assert (moved / f"lib/{PYTHON}/site-packages/zonehookd_three/__init__.py").is_file()
    config = tmp_path / "zonehookd.toml"
    config.write_text(f"[plugins]\nfolders = ['{tmp_path}']\nalso = {[*names]}\n")
    shutil.rmtree(tmp_path / "three")
    assert typed([ctl, "--config", str(config), "plugin", "check"], tmp_path) == "one, two, three: good\n"
    said = typed([str(moved / "bin/zonehookd"), "--check", "--config", str(config)], tmp_path)
    assert said.startswith(f"{config}: 0 networks, plugins ") and said.endswith(": good\n")
    tests = [str(moved / "bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    assert "3 passed" in typed(tests, tmp_path / "one")
    put = [str(moved / "bin/python"), "-P", "-m", "zonehookd.host.put", "write", str(tmp_path / "made"), "644"]
    typed(put, tmp_path)
    assert (tmp_path / "made").is_file()


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


@pytest.mark.parametrize("fault", ["dependencies", "what zonehookd imports", "the gate program"])
def test_what_cannot_be_installed_leaves_nothing_and_an_old_one_whole(tmp_path: Path, fault: str) -> None:
    stage, empty = tmp_path / "stage", tmp_path / "empty"
    empty.mkdir()
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    words = {
        "dependencies": ["DEPS=yes"],
        "what zonehookd imports": ["DEPS=no", f"PYTHON={bare}/bin/python"],
        "the gate program": ["DEPS=no", "CC=/bin/false"],
    }[fault]
    argv = ["make", "-s", "install", f"DESTDIR={stage}", f"PYTHON={sys.executable}", *words]

    def fails() -> None:
        done = subprocess.run(argv, cwd=ROOT, env=without_index(empty), capture_output=True, text=True, check=False)
        assert done.returncode != 0 and fault in done.stderr and "nothing was installed" in done.stderr, done
        assert ("No module named 'click'" in done.stderr) is (fault == "what zonehookd imports")

    fails()
    assert not stage.exists()
    make("install", stage)
    before = {path: (stage / path).stat().st_mtime_ns for path in files(stage)}
    fails()
    assert {path: (stage / path).stat().st_mtime_ns for path in files(stage)} == before


def test_dependencies_replace_those_of_before(tmp_path: Path) -> None:
    """pip is another's program; here one that only makes links, to what there is."""
    there = Path(click.__file__).parents[1]
    pip = tmp_path / "python"
    pip.write_text(
        f'#!/bin/sh\n[ "$1" = -m ] || exec {sys.executable} "$@"\n'
        'while [ $# -gt 0 ]; do [ "$1" = --target ] && target=$2; shift; done\n'
        f'mkdir -p "$target/bin"; touch "$target/bin/tool"; ln -s {there}/* "$target"\n'
    )
    pip.chmod(0o755)
    old = tmp_path / "stage/opt/zonehookd/lib/deps/old/__init__.py"
    old.parent.mkdir(parents=True)
    old.touch()
    argv = ["make", "-s", "install", f"DESTDIR={tmp_path / 'stage'}", f"PYTHON={pip}"]
    subprocess.run(argv, cwd=ROOT, check=True)
    assert {each.name for each in old.parents[1].iterdir()} == {each.name for each in there.glob("[!.]*")}


def test_a_python_that_is_too_old_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    old = tmp_path / "python"
    code = "import sys; sys.version_info = (3, 9, 2); exec(sys.argv[1])"
    old.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$3\"\n")
    old.chmod(0o755)
    argv = ["make", "-s", "install", f"DESTDIR={tmp_path / 'stage'}", f"PYTHON={old}", "DEPS=no"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and not (tmp_path / "stage").exists()
    assert "it is Python 3.9, and 3.11 is the oldest that will do" in done.stderr
    assert f"install: {old} cannot be used, so nothing was installed" in done.stderr


def test_the_gate_program_is_linked_where_sockets_are_not_in_libc(tmp_path: Path) -> None:
    """As on illumos, where a program without -lsocket does not link."""
    compiler = tmp_path / "cc"
    compiler.write_text(
        '#!/bin/sh\ncase "$*" in *" -lsocket -lnsl") ;; *) echo "undefined: connect" >&2; exit 1 ;; esac\n'
        'exec cc "$1" "$2" "$3" "$4"\n'
    )
    compiler.chmod(0o755)
    make("install", tmp_path / "stage", CC=str(compiler))
    gate = tmp_path / "stage/opt/zonehookd/lib/python/zonehookd/gate/gate"
    assert subprocess.run([gate], capture_output=True, check=False).returncode == 64, "its usage"


def test_the_shell_of_illumos_installs_the_same(stage: Path, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "DESTDIR": str(tmp_path), "DEPS": "no", "PYTHON": sys.executable}
    script = ["ksh93", str(ROOT / "smf/install.sh")]
    subprocess.run([*script, "install"], env=environ, check=True)
    assert (files(tmp_path), links(tmp_path)) == (files(stage), links(stage))
    subprocess.run([*script, "uninstall"], env={**environ, "MANIFESTDIR": "/lib/svc/manifest/site"}, check=True)
    assert not files(tmp_path) and not links(tmp_path)


def test_all_may_read_what_is_installed_whatever_the_umask(tmp_path: Path) -> None:
    """A plugin may run as somebody else than root, with our modules."""
    argv = ["make", "-s", "install", f"DESTDIR={tmp_path}", f"PYTHON={sys.executable}", "DEPS=no"]
    subprocess.run(argv, cwd=ROOT, umask=0o077, check=True)
    made = [each for each in tmp_path.rglob("*") if not each.is_symlink()]
    assert made and all(each.stat().st_mode & 0o444 == 0o444 for each in made)
    assert all(each.stat().st_mode & 0o777 == 0o755 for each in made if each.is_dir())


def test_uninstall_leaves_nothing(tmp_path: Path) -> None:
    make("install", tmp_path)
    make("uninstall", tmp_path)
    assert not files(tmp_path) and not links(tmp_path)
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
        elif action == "link":
            assert links(stage) == {values["path"]: values["target"]}
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
        if words[:2] == ["s", "none"]:
            assert links(tmp_path) == dict([words[2].split("=")])
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


def test_a_name_that_no_list_can_hold_is_refused(tmp_path: Path, lists: ModuleType) -> None:
    (tmp_path / "script (dev).tmpl").touch()
    for made in (lambda: lists.ips(tmp_path, "0.1.0", "runtime/python-312"), lambda: lists.svr4(tmp_path)):
        with pytest.raises(ValueError, match=r"'script \(dev\)\.tmpl' cannot be in a package"):
            made()


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
