"""A file of hook functions, in the process that runs it: loaded, and told of one moment after the other."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from zonehookd.errors import PluginFailed, PluginRefused, raised
from zonehookd.plugin.contract import ZoneView
from zonehookd.plugin.finding import Found
from zonehookd.plugin.hooking import ARGUMENTS, MOMENTS, Later, Never, Rule, rules_of
from zonehookd.wire import views
from zonehookd.wire.messages import Call, HookAnswer, HookMoment, Result, Welcome
from zonehookd.worker.work import Desk, Introduction

_MODULE = "zonehookd_hook"
_VIEW = ("zone", "attachments", "refusals", "left_alone")
Function = Callable[..., Any]


class Moments:
    """A Work, of a file with `@on` above functions."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._options: dict[str, Any] = {}
        self._functions: Sequence[tuple[Function, tuple[Rule, ...]]] = ()

    async def load(self) -> Introduction:
        """Raises PluginRefused."""
        module = _load(self._found)
        self._functions = [
            (member, rules)
            for member in vars(module).values()
            if inspect.isfunction(member) and (rules := rules_of(member))
        ]
        if not self._functions:
            hint = 'from zonehookd.plugin import on, and @on("after-start") above a function'
            raise PluginRefused(f"hook {self._found.path}: it has no function with @on", hint=hint)
        asked = {moment for _, rules in self._functions for rule in rules for moment in rule.moments}
        about = (inspect.getdoc(module) or "").partition("\n")[0]
        return Introduction(self._found.name, about=about, moments=tuple(each for each in MOMENTS if each in asked))

    async def begin(self, welcome: Welcome) -> None:
        self._options = dict(welcome.options)

    async def work(self, call: Call, desk: Desk) -> Result:
        if call.moment is None:
            return Result(id=call.id, moment=HookAnswer(word="failed", text="it was asked for plans, and makes none"))
        try:
            answer = await self._tell(call.moment, call.deadline_s)
        except PluginFailed as problem:
            answer = HookAnswer(word="failed", text=str(problem))
        return Result(id=call.id, moment=answer)

    async def _tell(self, told: HookMoment, deadline_s: float) -> HookAnswer:
        """Each function that asks for it, in the order of the file, up to the first that is not done; told again, it
        begins with the first one again."""
        given = self._given(told, deadline_s)
        config = given["zone"].config
        brand = config.brand if config is not None else ""
        for function, rules in self._functions:
            if any(rule.holds(told.moment, told.zone, brand, given["networks"]) for rule in rules):
                answer = await _called(function, given)
                if answer is not None:
                    return answer
        return HookAnswer(word="done")

    def _given(self, told: HookMoment, deadline_s: float) -> Mapping[str, Any]:
        """What functions may ask for. Raises PluginFailed."""
        about = told.about
        try:
            view = views.received("zone", {**{key: about[key] for key in _VIEW}, "holders": {}})
        except KeyError as problem:
            raise PluginFailed(f"the daemon sent no {problem} of zone {told.zone}") from problem
        assert isinstance(view, ZoneView)
        given = {
            "zone": view.zone,
            "moment": told.moment,
            "attachments": view.attachments,
            "refusals": view.refusals,
            "networks": tuple(about.get("networks", ())),
            "addresses": tuple(about.get("addresses", ())),
            "options": dict(self._options),
            "log": _log,
            "deadline_s": deadline_s,
            "cause": about.get("cause", ""),
            "when": about.get("when", ""),
            "tries": about.get("try", 1),
        }
        assert given.keys() == ARGUMENTS.keys()
        return given


async def _called(function: Function, given: Mapping[str, Any]) -> HookAnswer | None:
    """None: it is done. Raises PluginFailed, with the place in the file."""
    wanted = inspect.signature(function).parameters
    everything = any(each.kind is each.VAR_KEYWORD for each in wanted.values())
    try:
        said = function(**{name: value for name, value in given.items() if everything or name in wanted})
        if inspect.isawaitable(said):
            said = await said
    except (Later, Never) as word:
        said = word
    except Exception as problem:
        place = traceback.extract_tb(problem.__traceback__)[-1]
        raise PluginFailed(f"{function.__name__}: {problem!r} at {place.filename}:{place.lineno}") from problem
    match said:
        case None:
            return None
        case Later():
            return HookAnswer(word="later", text=str(said), again_after_s=said.after_s)
        case Never():
            return HookAnswer(word="never", text=str(said))
    raise PluginFailed(f"{function.__name__} returned {said!r}, which is no answer (hint: nothing, Later or Never)")


def _log(text: object) -> None:
    print(text, flush=True)  # what a worker prints is a line of the daemon's log


def _load(found: Found) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_MODULE, found.path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except PluginRefused as problem:
        raise PluginRefused(f"hook {found.path}: {problem.args[0]}", hint=problem.hint) from problem
    except (Exception, SystemExit) as problem:
        at = f", line {problem.lineno}" if isinstance(problem, SyntaxError) else ""
        raise PluginRefused(f"hook {found.path}{at} cannot be imported: {raised(problem)}") from problem
    return module
