"""What an executable plugin says of itself and what it prints, judged. Pure: the texts are given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from zonehookd.errors import PluginFailed, PluginRefused
from zonehookd.plugin.contract import API
from zonehookd.plugin.finding import nearest
from zonehookd.plugin.rules import checked
from zonehookd.wire import steps, views
from zonehookd.wire.messages import Kind, SubjectAnswer

_TYPES: Mapping[str, TypeAdapter[Any]] = {
    "string": TypeAdapter(str),
    "integer": TypeAdapter(int),
    "number": TypeAdapter(float),
    "boolean": TypeAdapter(bool),
    "array": TypeAdapter(list[str]),
}
_OPTION_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LINES_SHOWN, _CHARACTERS_SHOWN = 3, 300


class OptionSaid(BaseModel):
    """`type` in the words of JSON schema; an ``array`` is one of strings. Without a `default` it must be given."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["string", "integer", "number", "boolean", "array"] = "string"
    about: str = ""
    default: Any = None

    @property
    def required(self) -> bool:
        return "default" not in self.model_fields_set


class Described(BaseModel):
    """What `plugin describe` prints. `speaks`: ``json``, once a call, on its standard input and output; or ``zeromq``:
    it is started once, as `plugin serve`, and speaks the wire itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    api: int
    name: str
    kind: Kind
    after: list[str] = Field(default_factory=list)
    about: str = ""
    options: dict[str, OptionSaid] = Field(default_factory=dict)
    speaks: Literal["json", "zeromq"] = "json"

    def schema_of_options(self) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        for name, option in self.options.items():
            properties[name] = {"type": option.type, "description": option.about}
            if option.type == "array":
                properties[name]["items"] = {"type": "string"}
            if not option.required:
                properties[name]["default"] = option.default
        required = [name for name, option in self.options.items() if option.required]
        return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def described(name: str, printed: str) -> Described:
    """Raises PluginRefused with every complaint, one a line."""
    try:
        said = Described.model_validate(_json(printed))
    except PluginFailed as problem:
        raise PluginRefused(f"plugin {name}: describe {problem}") from problem
    except ValidationError as problem:
        raise PluginRefused("\n".join(_misdescribed(name, problem))) from problem
    if wrong := list(_faults(name, said)):
        raise PluginRefused("\n".join(wrong))
    return said


def _misdescribed(name: str, problem: ValidationError) -> Iterator[str]:
    for fault in problem.errors(include_url=False):
        where = ".".join(map(str, fault["loc"]))
        if fault["type"] == "missing":
            yield f"plugin {name}: describe: {where} is missing"
        elif fault["type"] == "extra_forbidden":
            known = (Described if len(fault["loc"]) == 1 else OptionSaid).model_fields
            yield f"plugin {name}: describe: {where} is nothing we know (hint: {nearest(str(fault['loc'][-1]), known)})"
        else:
            yield f"plugin {name}: describe: {where or 'all of it'}: {fault['msg']}, found {fault['input']!r:.80}"


def _faults(name: str, said: Described) -> Iterator[str]:
    if said.name != name:
        yield f"plugin {name}: describe: its name is {said.name!r} (hint: name it as its folder)"
    if said.api != API:
        cure = "a newer zonehookd is needed" if said.api > API else "bring it up to date: docs/plugins/reference.md"
        yield f"plugin {name}: describe: made for contract {said.api}, and this is {API} (hint: {cure})"
    for key, option in said.options.items():
        if not _OPTION_NAME.fullmatch(key):
            yield f"plugin {name}: describe: options.{key}: a name is lower-case letters, digits and _"
        if not option.required and (fault := _unfit(option, option.default)):
            yield f"plugin {name}: describe: options.{key}.default: {fault}"


def options(said: Described, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options, with what is given and else their defaults. Raises PluginRefused with every fault, one a line."""
    at = f"plugins.options.{said.name}"
    wrong = [
        f"{at}.{key}: no such option, found {given[key]!r} ({nearest(key, said.options)})"
        for key in given
        if key not in said.options
    ]
    values: dict[str, Any] = {}
    for key, option in said.options.items():
        if key in given:
            if fault := _unfit(option, given[key]):
                wrong.append(f"{at}.{key}: {fault}")
            values[key] = given[key]
        elif option.required:
            wrong.append(f"{at}.{key}: must be given")
        else:
            values[key] = option.default
    if wrong:
        raise PluginRefused("\n".join(wrong))
    return values


def _unfit(option: OptionSaid, value: Any) -> str:
    try:
        _TYPES[option.type].validate_python(value, strict=True)
    except ValidationError as problem:
        said = problem.errors(include_url=False)[0]["msg"]
        return f"{said[:1].lower()}{said[1:]}, found {value!r}"
    return ""


def plans(plugin: str, printed: str, asked: Sequence[str]) -> list[SubjectAnswer]:
    """What `plugin plan` printed for the subjects that it was asked about. What is wrong with one answer costs that
    subject; raises PluginFailed for what is wrong with all."""
    found = _json(printed)
    if not isinstance(found, dict) or found.keys() != {"plans"} or not isinstance(found["plans"], list):
        raise PluginFailed(f'printed no object {{"plans": [...]}}: {_first(printed)}')
    answers: dict[str, SubjectAnswer] = {}
    for number, each in enumerate(found["plans"]):
        subject = each.get("subject") if isinstance(each, dict) else None
        if not isinstance(subject, str) or subject not in asked:
            raise PluginFailed(f"answers in plans.{number} for {subject!r:.80}, which was not asked about")
        if subject in answers:
            raise PluginFailed(f"answers in plans.{number} for {subject} a second time")
        answers[subject] = _judged(plugin, subject, each)
    return list(answers.values())


def _judged(plugin: str, subject: str, given: Mapping[str, Any]) -> SubjectAnswer:
    """Shape and rules, as for a plan that is made in Python."""
    try:
        answer = SubjectAnswer.model_validate(given)
        checked(steps.received(answer.steps, answer.notes, plugin, views.subject_of(subject)))
    except ValidationError as problem:
        fault = problem.errors(include_url=False)[0]
        found = "" if fault["type"] == "missing" else f", found {fault['input']!r:.80}"
        where = ".".join(map(str, fault["loc"]))
        return SubjectAnswer(subject=subject, failed=f"plan: {where}: {fault['msg']}{found}")
    except PluginFailed as problem:
        return SubjectAnswer(subject=subject, failed=str(problem))
    return answer


def _json(printed: str) -> Any:
    if not printed.strip():
        raise PluginFailed("printed nothing, where JSON was expected")
    try:
        return json.loads(printed)
    except (ValueError, RecursionError) as problem:
        raise PluginFailed(f"printed no JSON: {problem}; it begins: {_first(printed)}") from problem


def _first(printed: str) -> str:
    """The first lines, without what would steer a terminal."""
    lines = printed.strip().splitlines()[:_LINES_SHOWN]
    text = "\n".join(lines)[:_CHARACTERS_SHOWN]
    return "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
