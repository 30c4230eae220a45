"""The fields of a pydantic model as rows of a table, read from its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]
_WORDS = {"boolean": "true or false", "integer": "integer", "null": "nothing", "number": "number", "string": "text"}
NONE = "-"  # what has no default
_FORMATS = {"path": "path"}


@dataclass(frozen=True)
class Field:
    """One row. `default` is empty for a field that must be given; `meaning` is the description in the model."""

    name: str
    type: str
    default: str
    required: bool
    meaning: str


def of(model: type[BaseModel]) -> Schema:
    """What is in the model when it is read, with `$defs` for the models in it."""
    return model.model_json_schema()


def fields(schema: Schema) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield Field(name, kind(each), _default(each), name in required, each.get("description", ""))


def refers_to(schema: Schema) -> Iterator[tuple[str, str]]:
    """The models that a field holds: (how, name), where `how` is ``one``, ``list`` or ``table``."""
    if "$ref" in schema:
        yield "one", schema["$ref"].rsplit("/", 1)[1]
    for each in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from refers_to(each)
    inner = (
        ("list", [schema["items"]] if isinstance(schema.get("items"), dict) else []),
        ("table", [each for each in _values(schema) if isinstance(each, dict)]),
    )
    for how, found in inner:
        for each in found:
            yield from ((how, name) for _, name in refers_to(each))


def kind(schema: Schema) -> str:
    """The type and its bounds, in words and Markdown."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " or ".join(each for one in schema["anyOf"] if (each := kind(one)) != _WORDS["null"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{_toml(each)}`" for each in schema.get("enum", [schema.get("const")]))
    what = schema.get("type")
    if what == "array":
        if "items" in schema:
            return f"list of {kind(schema['items'])}"
        return "list"
    if what == "object":
        held = [kind(each) for each in _values(schema) if isinstance(each, dict)]
        return f"table of {held[0]}" if held and held[0] else "table"
    if what is None:
        return "anything"
    return f"{_FORMATS.get(schema.get('format', ''), _WORDS[what])}{_bounds(schema)}"


def _values(schema: Schema) -> Sequence[Any]:
    """What the values of a table are like."""
    return [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    found = [f"more than {_plain(schema['exclusiveMinimum'])}"] if "exclusiveMinimum" in schema else []
    if low is not None and high is not None:
        found.append(f"{_plain(low)} to {_plain(high)}")
    elif low is not None:
        found.append(f"{_plain(low)} or more")
    elif high is not None:
        found.append(f"at most {_plain(high)}")
    if "pattern" in schema:
        found.append(f"`{schema['pattern']}`")
    if schema.get("minLength"):
        found.append("not empty")
    if "maxLength" in schema:
        found.append(f"at most {schema['maxLength']} characters")
    return f", {', '.join(found)}" if found else ""


def _default(schema: Schema) -> str:
    """As one would write it in TOML; a dash for none."""
    value = schema.get("default")
    return NONE if value in (None, "", [], {}) else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    return _plain(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _plain(number: float) -> str:
    return f"{number:g}" if abs(number) < 1e6 else f"{number:.0f}"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; each row on a line."""
    listed = list(heads)
    lines = [listed, ["---"] * len(listed), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
