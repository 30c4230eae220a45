"""A plugin that does not fit is refused with plugin, method and rule; never silently ignored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zonehookd.errors import PluginRefused
from zonehookd.plugin import finding, loader

GOOD = """
from zonehookd.plugin import Plan, PluginOptions, ZonePlugin, nothing

class Good(ZonePlugin):
    name = "good"

    class Options(PluginOptions):
        colour: str = "red"

    async def observe(self, zone, host):
        return None

    def plan(self, zone, seen):
        return nothing("nothing is wanted")
"""


def refused(folder: Path, text: str, name: str = "good", enabled: list[str] | None = None,
            options: dict[str, dict[str, object]] | None = None) -> str:  # fmt: skip
    place(folder, text, name)
    with pytest.raises(PluginRefused) as refusal:
        loader.load([folder], enabled or [name], options or {})
    return str(refusal.value)


def place(folder: Path, text: str, name: str = "good") -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "plugin.py").write_text(text)


def test_a_plugin_that_fits(tmp_path: Path) -> None:
    place(tmp_path, GOOD)
    (plugin,) = loader.load([tmp_path], ["good"], {"good": {"colour": "blue"}})
    assert plugin.name == "good" and plugin.options.colour == "blue"


def test_our_own_fit_and_come_in_order() -> None:
    names = [plugin.name for plugin in loader.load([], ["hello", "vnic", "etherstub"], {})]
    assert names.index("vnic") < names.index("hello") and set(names) == {"hello", "vnic", "etherstub"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("async def observe", "async def obsreve", "observe is missing"),
        ("async def observe", "async def obseve", "is 'obseve' it?"),
        ("class Options(PluginOptions)", "class Options", "must be a subclass of PluginOptions"),
        (
            'name = "good"',
            'name = "good"\n    after = "vnic"',
            "after must be a tuple of names (hint: after = ('vnic',))",
        ),
        ("class Good", "raise SystemExit(3)\nclass Good", "cannot be imported: SystemExit(3)"),
        ("async def observe", "def observe", "observe must be async"),
        ("def plan(self, zone, seen)", "async def plan(self, zone, seen)", "plan must not be async"),
        (
            "def plan(self, zone, seen)",
            "def plan(self, zone)",
            "plan(self, zone) must take what plan(self, zone, seen) takes, in plugin.py:13",
        ),
        ("    def plan", "    def on_boot(self): ...\n\n    def plan", "nobody would ever use 'on_boot'"),
        ("    def plan", "    def reclaims(self): ...\n\n    def plan", "did you mean 'reclaim'?"),
        ('name = "good"', 'name = "better"', "its name is 'better' (hint: name it as its folder)"),
        ('name = "good"', 'name = "good"\n    api = 7', "for contract 7, and this is 1 (hint: a newer zonehookd is"),
        ('name = "good"', 'name = "good"\n    api = 0', "for contract 0, and this is 1 (hint: bring it up to date"),
        (
            "    async def observe",
            "    observe = 3\n\n    async def _observe",
            "observe is no method, but 3 (hint: async def",
        ),
        ("return None", "yield None", "observe yields, and must return, in plugin.py:10"),
        (
            "async def observe(self, zone",
            "@staticmethod\n    async def observe(zone",
            "observe(zone, host) must take what",
        ),
        ("import Plan", "import Plam", "(hint: did you mean 'Plan'?)"),
        ("class Good", "def broken(:\nclass Good", "plugin.py cannot be imported: SyntaxError("),
        ("class Good", "class Bad(ZonePlugin): ...\n\nclass Good", "plugin.py, found 2: Bad, Good"),
        ("class Good(ZonePlugin)", "class Good", "expected one subclass of ZonePlugin, NetworkPlugin or GatewayPlugin"),
        ("from zonehookd.plugin", "import nonsense_that_is_not_there\nfrom zonehookd.plugin", "cannot be imported"),
    ],
)
def test_one_that_does_not_fit_is_told_why(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = refused(tmp_path, GOOD.replace(old, new))
    assert text.startswith("plugin good") and said in text


def test_unknown_names_come_with_the_nearest_known(tmp_path: Path) -> None:
    assert "did you mean 'vnic'?" in refused(tmp_path, GOOD, enabled=["vnci"])
    assert (
        "plugins.options.good.color: no such option, found 'blue' (did you mean 'colour'? there are: colour)"
        in refused(tmp_path, GOOD, options={"good": {"color": "blue"}})
    )
    assert "which is not enabled" in refused(tmp_path, GOOD, options={"vnic": {}})


def test_a_ring_is_refused_with_its_path(tmp_path: Path) -> None:
    other = GOOD.replace('name = "good"', 'name = "evil"\n    after = ("good",)')
    place(tmp_path, other, "evil")
    ring = GOOD.replace('name = "good"', 'name = "good"\n    after = ("evil",)')
    said = "plugins wait for each other: good after evil after good (hint: take one of them out of `after`)"
    assert said in refused(tmp_path, ring, enabled=["good", "evil"])


def test_an_order_is_made_of_names_alone() -> None:
    assert list(loader.order({"c": ["a", "b"], "b": ("a",), "a": ()})) == ["a", "b", "c"]
    with pytest.raises(PluginRefused, match="other: a after c after b after a "):
        loader.order({"a": ["c"], "b": ["a"], "c": ["b"]})
    with pytest.raises(PluginRefused, match=r"plugin a: comes after 'vnci', which is not enabled .*'vnic'"):
        loader.order({"a": ["vnci"], "vnic": ()})


def test_all_complaints_come_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("async def observe", "def observe").replace("def plan(self, zone, seen)", "def plan(self)")
    place(tmp_path, text.replace('name = "good"', 'name = "best"\n    colour = 3'))
    found = finding.of_path(tmp_path / "good")
    said = [each.partition(" (hint")[0] for each in loader.complaints(found, {"colour": 3, "color": "red"})]
    assert said == [
        "plugin good: its name is 'best'",
        "plugin good: observe must be async, in plugin.py:11",
        "plugin good: plan(self) must take what plan(self, zone, seen) takes, in plugin.py:14",
        "plugin good: nobody would ever use 'colour'",
        "plugins.options.good.colour: input should be a valid string, found 3",
        "plugins.options.good.color: no such option, found 'red' (did you mean 'colour'? there are: colour)",
    ]
    place(tmp_path, GOOD)
    assert loader.complaints(found, {"colour": "blue"}) == []
    assert loader.complaints(found, {"colour": 3}) == said[4:5]


def test_what_must_be_given_is_said(tmp_path: Path) -> None:
    place(tmp_path, GOOD.replace('colour: str = "red"', "colour: str"))
    found = finding.of_path(tmp_path / "good")
    assert loader.complaints(found, {}) == ["plugins.options.good.colour: must be given"]


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    assert "plugin vnic: both " in refused(tmp_path, GOOD, name="vnic")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PluginRefused, match=r"mkdir -p .*nowhere, or take it out of folders"):
        loader.load([tmp_path / "nowhere"], [], {})


def test_root_loads_no_code_that_others_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path, GOOD)
    (tmp_path / "good" / "plugin.py").chmod(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(PluginRefused, match=r"plugin\.py could be changed by somebody else"):
        loader.load([tmp_path], ["good"], {})
