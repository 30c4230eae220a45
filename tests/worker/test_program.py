"""What an executable plugin prints, judged: every fault is said with where it is, and what was found there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zonehookd.errors import PluginFailed, PluginRefused
from zonehookd.worker.program import described, options, plans

SAID: dict[str, Any] = {
    "api": 1,
    "name": "hosts",
    "kind": "zone",
    "after": ["vnic"],
    "about": "Names of zones in /etc/hosts.",
    "options": {
        "file": {"default": "/etc/hosts", "about": "where"},
        "tries": {"type": "integer", "default": 3},
        "share": {"type": "number"},
        "words": {"type": "array", "default": []},
        "loud": {"type": "boolean", "default": False},
    },
}
RUN = {"do": "run", "argv": ["true"], "why": "it is time"}


def misdescribed(**changed: Any) -> str:
    said = {key: value for key, value in {**SAID, **changed}.items() if value is not None}
    with pytest.raises(PluginRefused) as refusal:
        described("hosts", json.dumps(said))
    return str(refusal.value)


def test_what_it_says_of_its_options_is_their_schema() -> None:
    assert described("hosts", json.dumps(SAID)).schema_of_options() == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "file": {"type": "string", "description": "where", "default": "/etc/hosts"},
            "tries": {"type": "integer", "description": "", "default": 3},
            "share": {"type": "number", "description": ""},
            "words": {"type": "array", "description": "", "items": {"type": "string"}, "default": []},
            "loud": {"type": "boolean", "description": "", "default": False},
        },
        "required": ["share"],
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"api": None}, "plugin hosts: describe: api is missing"),
        ({"api": 2}, "made for contract 2, and this is 1 (hint: a newer zonehookd is needed)"),
        ({"api": 0}, "made for contract 0, and this is 1 (hint: bring it up to date"),
        ({"name": "guests"}, "its name is 'guests' (hint: name it as its folder)"),
        (
            {"kind": "zonee"},
            "plugin hosts: describe: kind: Input should be 'network', 'gateway' or 'zone', found 'zonee'",
        ),
        ({"after": "vnic"}, "plugin hosts: describe: after: Input should be a valid list, found 'vnic'"),
        ({"option": {}}, "plugin hosts: describe: option is nothing we know (hint: did you mean 'options'?)"),
        ({"options": {"a": {"defualt": 1}}}, "options.a.defualt is nothing we know (hint: did you mean 'default'?)"),
        ({"options": {"a": {"type": "text"}}}, "describe: options.a.type: Input should be 'string', 'integer'"),
        ({"options": {"a": {"default": 1}}}, "options.a.default: input should be a valid string, found 1"),
        ({"options": {"A-b": {"default": ""}}}, "options.A-b: a name is lower-case letters, digits and _"),
        ({"speaks": "morse"}, "describe: speaks: Input should be 'json' or 'zeromq', found 'morse'"),
    ],
)
def test_what_is_described_wrongly(changed: dict[str, Any], said: str) -> None:
    assert said in misdescribed(**changed)


def test_all_that_is_described_wrongly_is_said_at_once() -> None:
    assert len(misdescribed(name="guests", api=7, options={"B": {"default": 1}}).splitlines()) == 4


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "plugin hosts: describe printed nothing, where JSON was expected"),
        (
            "usage: plugin\n",
            "describe printed no JSON: Expecting value: line 1 column 1 (char 0); it begins: usage: plugin",
        ),
        ('{"api": 1,}', "line 1 column 11"),
        ("[]", "plugin hosts: describe: all of it: Input should be"),
        ("[" * 100_000, "describe printed no JSON"),
        ("\x1b[2Jx\n" * 9, "it begins: ?[2Jx\n?[2Jx\n?[2Jx"),
    ],
)
def test_what_is_no_description(printed: str, said: str) -> None:
    with pytest.raises(PluginRefused) as refusal:
        described("hosts", printed)
    assert said in str(refusal.value) and len(str(refusal.value)) < 600


def test_options_come_with_their_defaults() -> None:
    said = described("hosts", json.dumps(SAID))
    given = {"share": 1, "words": ["a"]}
    assert options(said, given) == {"file": "/etc/hosts", "tries": 3, "share": 1, "words": ["a"], "loud": False}


def test_wrong_options_are_refused_all_of_them() -> None:
    with pytest.raises(PluginRefused) as refusal:
        options(described("hosts", json.dumps(SAID)), {"fiel": "/x", "tries": "3", "words": [1]})
    assert str(refusal.value).splitlines() == [
        "plugins.options.hosts.fiel: no such option, found '/x' (did you mean 'file'?)",
        "plugins.options.hosts.tries: input should be a valid integer, found '3'",
        "plugins.options.hosts.share: must be given",
        "plugins.options.hosts.words: input should be a valid string, found [1]",
    ]


def printed(*answers: Any) -> str:
    return json.dumps({"plans": list(answers)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Segmentation fault",
            "printed no JSON: Expecting value: line 1 column 1 (char 0); it begins: Segmentation fault",
        ),
        ('{"plan": []}', 'printed no object {"plans": [...]}: {"plan": []}'),
        ('{"plans": {}}', 'printed no object {"plans": [...]}'),
        (printed({"subject": "zone:web9"}), "answers in plans.0 for 'zone:web9', which was not asked about"),
        (printed("zone:web1"), "answers in plans.0 for None, which was not asked about"),
        (printed({"subject": ["zone:web1"]}), "which was not asked about"),
        (printed({"subject": "zone:web1"}, {"subject": "zone:web1"}), "in plans.1 for zone:web1 a second time"),
    ],
)
def test_what_is_no_answer_costs_the_call(text: str, said: str) -> None:
    with pytest.raises(PluginFailed) as failure:
        plans("hosts", text, ["zone:web1", "zone:web2"])
    assert said in str(failure.value)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{**RUN, "why": ""}], "plan: 'true' has no why"),
        ([{"do": "run", "argv": ["true"]}], "plan: steps.0.run.why: Field required"),
        ([{**RUN, "argv": "true"}], "plan: steps.0.run.argv: Input should be a valid list, found 'true'"),
        ([{**RUN, "timeout_s": 1e9}], "plan: steps.0.run.timeout_s: Input should be less than or equal to 120"),
        ([RUN, {"do": "format"}], "plan: steps.1: Input tag 'format' found"),
        ([{"do": "write", "path": "hosts", "content": "", "why": "x"}], "plan: hosts is no absolute path"),
        ([RUN] * 1001, "plan: steps: List should have at most 1000 items"),
    ],
)
def test_what_is_wrong_with_one_plan_costs_its_subject(steps: list[Any], said: str) -> None:
    text = printed({"subject": "zone:web1", "steps": steps}, {"subject": "zone:web2", "steps": [RUN]})
    bad, good = plans("hosts", text, ["zone:web1", "zone:web2"])
    assert said in bad.failed and bad.steps == []
    assert len(good.steps) == 1 and good.failed == ""


def test_what_is_left_out_is_nothing_to_it() -> None:
    (answer,) = plans("hosts", printed({"subject": "zone:web2", "blind": "dark"}), ["zone:web1", "zone:web2"])
    assert (answer.subject, answer.blind) == ("zone:web2", "dark")
