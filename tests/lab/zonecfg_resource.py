"""The resource scope of `zonecfg`: between `add` or `select` and `end` [zones 4.3, 4.5]."""

from __future__ import annotations

from lab.zonecfg_grammar import Command, Complex, Pair
from lab.zonecfg_model import (
    ATTR,
    MEMORY,
    RCTL,
    BadValue,
    Spec,
    amount,
    check_attr,
    check_property,
    duplicate_text,
    incomplete,
    ordered,
)  # fmt: skip
from lab.zonecfg_session import Scope, Session
from lab.zonexml import Resource


def open_new(session: Session, spec: Spec) -> None:
    session.scope = Scope(spec, Resource(spec.tag))


def open_existing(session: Session, spec: Spec, old: Resource) -> None:
    session.scope = Scope(spec, old.copy(), old)


def cancel(session: Session) -> None:
    session.scope = None


def end(session: Session) -> None:
    """Check the resource and put it into the configuration; a refusal leaves the scope open."""
    scope, config = session.scope, session.config
    assert scope is not None and config is not None
    missing = incomplete(scope.spec, scope.resource)
    for name in missing:
        session.error(f"{name} not specified")
    if missing:
        return
    if scope.spec is ATTR:
        try:
            check_attr(scope.resource)
        except BadValue as bad:
            session.error(str(bad))
            return
    duplicate = duplicate_text(scope.spec, config, scope.resource, scope.old)
    if duplicate:
        session.error(duplicate)
        return
    resource = ordered(scope.spec, scope.resource)
    if scope.old is None:
        config.resources.append(resource)
    else:
        config.resources = [resource if each is scope.old else each for each in config.resources]
    session.scope = None
    session.need_to_commit = True


def set_in_scope(session: Session, pair: Pair) -> bool:
    """False when the resource has no such property."""
    scope = session.scope
    assert scope is not None
    if not isinstance(pair.value, str) or pair.name not in scope.spec.properties:
        return False
    try:
        check_property(scope.spec, pair.name, pair.value)
        value = amount(pair.value, scaled=True) if scope.spec is MEMORY else pair.value
    except BadValue as bad:
        session.error(str(bad))
        return True
    scope.resource.attributes[scope.spec.properties[pair.name]] = value
    return True


def clear_in_scope(session: Session, name: str) -> bool:
    """False when the resource has no such property."""
    scope = session.scope
    assert scope is not None
    if name in scope.spec.lists:
        tag = scope.spec.lists[name]
        scope.resource.children = [child for child in scope.resource.children if child.tag != tag]
    elif name not in scope.spec.properties:
        return False
    elif name in scope.spec.required:
        session.error("Clearing this property is not allowed")
    else:
        scope.resource.attributes.pop(scope.spec.properties[name], None)
    return True


def _children(spec: Spec, command: Command) -> list[Resource] | None:
    """What `add PROP VALUE` and `remove PROP VALUE` speak of; None when it makes no sense."""
    if len(command.arguments) != 2 or not isinstance(name := command.arguments[0], str) or name not in spec.lists:
        return None
    tag, value = spec.lists[name], command.arguments[1]
    if isinstance(value, Pair):
        return None
    values: list[str | Complex] = value if isinstance(value, list) else [value]
    wanted = {"fsoption": None, "rctl-value": {"priv", "limit", "action"}, "net-attr": {"name", "value"}}[tag]
    children: list[Resource] = []
    for each in values:
        if isinstance(each, str):
            if wanted is not None:
                return None
            children.append(Resource(tag, {"name": each}))
        elif wanted is None or {name for name, _ in each} != wanted:
            return None
        else:
            given = dict(each)
            order = ("priv", "limit", "action") if spec is RCTL else ("name", "value")
            children.append(Resource(tag, {name: given[name] for name in order}))
    return children


def add_property(session: Session, command: Command, usage: str) -> None:
    scope = session.scope
    assert scope is not None
    children = _children(scope.spec, command)
    if children is None:
        session.usage(usage)
        return
    scope.resource.children.extend(children)


def remove_property(session: Session, command: Command, usage: str) -> None:
    scope = session.scope
    assert scope is not None
    children = _children(scope.spec, command)
    if children is None:
        session.usage(usage)
        return
    for child in children:
        if child not in scope.resource.children:
            session.error(f"remove {command.words[0]}: No such property with that id")
            return
        scope.resource.children.remove(child)
