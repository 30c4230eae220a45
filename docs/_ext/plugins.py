"""For plugin authors: the names of the contract, the rules of the test kit, examples of messages; as Markdown.

`python -m docs._ext.plugins` writes the examples into docs/plugins/wire.md; a test compares them.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from docs._ext import schema
from zonehookd import plugin, testing
from zonehookd.illumos.dladm import Dialect
from zonehookd.plugin import Change, Forget, Note, Plan, Record, Remember, RemoveFile, WriteBlock, WriteFile
from zonehookd.wire import messages, steps, views

PAGE = Path(__file__).resolve().parents[1] / "plugins" / "wire.md"
_EXAMPLE = re.compile(
    r"(?P<head>^### (?P<name>[\w ]+)\n.*?```json\n)(?P<body>.*?)(?P<end>^```$)", re.MULTILINE | re.DOTALL
)


def face() -> str:
    """Every name that `zonehookd.plugin` has, with its signature and what it says of itself."""
    return "\n".join(_named("zonehookd.plugin", plugin, plugin.__all__))


def kit() -> str:
    return "\n".join(_named("zonehookd.testing", testing, [each for each in testing.__all__ if each != "RULES"]))


def rules() -> str:
    """Of the conformance suite."""
    rows = [(f"`{name}`", " ".join((rule.__doc__ or "").split())) for name, rule in testing.RULES.items()]
    return schema.table(("rule", "what every plugin keeps"), rows)


def _named(module: str, where: Any, names: list[str]) -> Iterator[str]:
    for name in sorted(names, key=str.lower):
        it = getattr(where, name)
        yield f"### {name}\n"
        if inspect.isclass(it) or inspect.isfunction(it):
            yield f"```python\n{_signature(name, it)}\n```\n"
            yield f"{_told(it)}\n"
            if inspect.isclass(it):
                yield "\n".join(_methods(it))
        else:
            yield f"`{module}.{name}` is `{it!r}`\n"


def _signature(name: str, it: Any) -> str:
    fields = getattr(it, "__dataclass_fields__", None)
    if fields is not None:
        given = [f"    {each.name}: {each.type}{_default(each)}" for each in fields.values() if each.init]
        return "\n".join([f"{name}(", *(f"{line}," for line in given), ")"]) if given else f"{name}()"
    if inspect.isclass(it) and issubclass(it, enum.StrEnum):
        return f"{name}: {', '.join(each.value for each in it)}"
    if inspect.isclass(it):
        return f"class {name}"
    return f"{name}{_arguments(it)}"


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return f" = {field.default.__name__ if inspect.isfunction(field.default) else repr(field.default)}"
    if field.default_factory is dataclasses.MISSING:
        return ""
    return f" = {getattr(field.default_factory, '__name__', '…')}()"


def _arguments(function: Any) -> str:
    """Annotations are text there, in quotes."""
    return re.sub(r"(: |-> )(?:'([^']*)'|\"([^\"]*)\")", r"\1\2\3", str(inspect.signature(function)))


def _told(it: Any) -> str:
    """Its docstring; of a dataclass without one, nothing."""
    text = inspect.cleandoc(it.__doc__ or "")
    return "" if text.startswith(f"{it.__name__}(") else _plain(text)


def _plain(text: str) -> str:
    """As Markdown: ``words`` of reStructuredText are `words`."""
    return "\n\n".join(" ".join(part.split()) for part in text.replace("``", "`").split("\n\n"))


def _methods(cls: Any) -> Iterator[str]:
    for name, member in vars(cls).items():
        function = member.fget if isinstance(member, property) else member
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        said = _plain(inspect.getdoc(function) or "")
        about = f": {said}" if said else ""
        signature = "" if isinstance(member, property) else _arguments(function).replace("(self, ", "(")
        yield f"- `{name}{signature.replace('(self)', '()')}`{about}\n"


# -- the wire


def examples() -> Mapping[str, str]:
    """Of each message and each step: name -> JSON, made by the code that sends it."""
    return {name: _lines(frame.model_dump(mode="json"), 0) + "\n" for name, frame in _frames()}


def _frames() -> Iterator[tuple[str, BaseModel]]:
    web1 = testing.zone("web1", "running", "dmz", "10.1.0.5/24", attrs={"zh.net0": "dmz 10.1.0.5"})
    record = Record("thing", "web1", web1.subject, "hosts", {"made": "by hosts"})
    options = {"file": "/etc/hosts", "domain": "example.org"}
    about = "Zones that run have their lines."
    yield "hello", messages.Hello(instance="4f7a90cc51d2b3e8", api=1, name="hosts", kind="zone", about=about)
    yield "welcome", messages.Welcome(options=options, site="host1", dialect=views.dialect_sent(Dialect()))
    yield "ready", messages.Ready()
    yield "refused", messages.Refused(lines=["plugins.options.hosts.fil: no such option (did you mean 'file'?)"])
    shown = messages.Shown(
        subject=str(web1.subject), view=views.sent(web1), records=[views.record_sent(record, "hosts")]
    )
    same = messages.Shown(subject="zone:db1", view=None)
    yield "call", messages.Call(id=7, deadline_s=10, subjects=[shown, same])
    argv = ["dladm", "show-link", "-p", "-o", "link"]
    yield "ask", messages.Ask(id=7, ask=1, question=messages.CommandQuestion(argv=argv))
    yield "answer", messages.AnswerFrame(id=7, ask=1, answer={"status": 0, "stdout": "net0\nweb1_0\n", "stderr": ""})
    known = messages.RecordQuestion(kind="thing", name="web1")
    yield "ask for a record", messages.Ask(id=7, ask=2, question=known)
    told = {"record": views.record_sent(replace(record, kind="hosts/thing"), "hosts")}
    yield "answer with a record", messages.AnswerFrame(id=7, ask=2, answer=told)
    waits = Note("waiting", "the printer is off", "printer", "web1", again_after_s=30)
    block = WriteBlock(Path("/etc/hosts"), "10.1.0.5\tweb1\n", "zone web1 is running")
    sent, notes = steps.sent(Plan((block,), (waits,)))
    answers = [
        messages.SubjectAnswer(subject="zone:web1", steps=sent, notes=notes),
        messages.SubjectAnswer(subject="zone:db1", blind="/etc/hosts cannot be read"),
    ]
    yield "result", messages.Result(id=7, plans=answers)
    yield "stop", messages.Stop()
    change = Change(("things", "make", "web1"), "zone web1 has its thing", only_if=record)
    card = Path("/var/card")
    files = (WriteFile(card, "web1\n", "a card"), RemoveFile(card, "it is gone"), block)
    books_ = (Remember(record, "before it is made"), Forget("thing", "web1", "it is gone"))
    for frame in steps.sent(Plan((change, *files, *books_)))[0]:
        yield frame.do, frame


def _lines(value: Any, depth: int) -> str:
    """JSON, with short things on one line, so that a page of it can be read."""
    whole = json.dumps(value)
    if len(whole) + depth <= 110 or not isinstance(value, dict | list):
        return whole
    pad = " " * (depth + 2)
    if isinstance(value, list):
        inner = [f"{pad}{_lines(each, depth + 2)}" for each in value]
        return "[\n" + ",\n".join(inner) + f"\n{' ' * depth}]"
    inner = [f"{pad}{json.dumps(key)}: {_lines(each, depth + 2)}" for key, each in value.items()]
    return "{\n" + ",\n".join(inner) + f"\n{' ' * depth}}}"


def on_page() -> Mapping[str, str]:
    return {each["name"]: each["body"] for each in _EXAMPLE.finditer(PAGE.read_text())}


def main() -> None:
    known = examples()
    page = _EXAMPLE.sub(lambda each: each["head"] + known[each["name"]] + each["end"], PAGE.read_text())
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
