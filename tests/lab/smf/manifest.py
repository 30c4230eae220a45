"""Service manifests: what `svccfg validate`, `inventory` and `import` make of the XML [services 3.5, 3.6]."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from lab.smf import fmri as names
from lab.smf.delivered import dependency
from lab.smf.repository import GENERAL, Group, Groups, Repository, copied
from lab.smf.values import TYPES, Property, astring, boolean, count, valid

_SERVICE_ORDER = (
    "create_default_instance", "single_instance", "restarter", "dependency", "dependent", "method_context",
    "exec_method", "notification_parameters", "property_group", "instance", "stability", "template",
)  # fmt: skip
_INSTANCE_ORDER = (
    "restarter", "dependency", "dependent", "method_context", "exec_method", "notification_parameters",
    "property_group", "template",
)  # fmt: skip
_CHILDREN = {  # of what else has an order
    "method_context": ("method_profile", "method_credential", "method_environment"),
    "method_environment": ("envvar",),
}
_ATTRIBUTES = {  # of elements that take no others
    "method_context": {"working_directory", "project", "resource_pool", "security_flags"},
    "method_credential": {"user", "group", "supp_groups", "privileges", "limit_privileges"},
    "envvar": {"name", "value"},
}
_AT_MOST_ONCE = {
    "create_default_instance", "single_instance", "restarter", "method_context", "stability", "template",
    "method_profile", "method_credential", "method_environment",
}  # fmt: skip
_REQUIRED = {
    "service": ("name", "type", "version"),
    "instance": ("name", "enabled"),
    "create_default_instance": ("enabled",),
    "dependency": ("name", "grouping", "restart_on", "type"),
    "dependent": ("name", "grouping", "restart_on"),
    "exec_method": ("type", "name", "exec", "timeout_seconds"),
    "property_group": ("name", "type"),
    "propval": ("name", "type", "value"),
    "property": ("name", "type"),
    "method_credential": ("user",),
    "envvar": ("name", "value"),
}
_GROUPINGS = ("require_all", "require_any", "exclude_all", "optional_all")
_RESTARTS = ("error", "restart", "refresh", "none")


class Invalid(Exception):
    """The document is not a manifest; the text is for `svccfg`."""


@dataclass
class Bundle:
    """What a manifest declares: entities by FMRI, and dependencies it puts on others."""

    entities: dict[str, Groups] = field(default_factory=dict)
    dependents: list[tuple[str, str, Group]] = field(default_factory=list)  # (whose, group's name, group)

    def services(self) -> list[str]:
        return [name for name in self.entities if not names.split(name)[1]]


def parse(text: bytes) -> Bundle:
    """Raises `Invalid`."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - files of the lab's own host
    except ElementTree.ParseError:
        raise Invalid("couldn't parse document") from None
    if root.tag != "service_bundle" or root.get("type") not in ("manifest", "profile") or not root.get("name"):
        raise Invalid("Document is not valid.")
    if root.get("type") == "profile":
        raise Invalid("the document is a profile")
    bundle = Bundle()
    for service in root:
        if service.tag != "service":
            raise Invalid("Document is not valid.")
        _service(bundle, service)
    return bundle


def _service(bundle: Bundle, element: Element) -> None:
    _check(element, _SERVICE_ORDER)
    service = element.get("name", "").removeprefix("svc:/")
    bundle.entities[names.join(service)] = {}
    groups = _groups(bundle, element, names.join(service))
    bundle.entities[names.join(service)] = groups
    default = element.find("create_default_instance")
    if default is not None:
        bundle.entities[names.join(service, "default")] = {GENERAL: _general(default)}
    for instance in element.findall("instance"):
        _check(instance, _INSTANCE_ORDER)
        name = names.join(service, instance.get("name", ""))
        bundle.entities[name] = {GENERAL: _general(instance), **_groups(bundle, instance, name)}


def _check_order(element: Element, order: tuple[str, ...]) -> None:
    at, seen = 0, set[str]()
    for child in element:
        if child.tag not in order[at:] or (child.tag in seen and child.tag in _AT_MOST_ONCE):
            raise Invalid("Document is not valid.")
        at = order.index(child.tag)
        seen.add(child.tag)


def _check(element: Element, order: tuple[str, ...]) -> None:
    """The order the DTD fixes, and the attributes it asks for and knows [services 3.6]."""
    _check_order(element, order)
    for each in element.iter():
        if each.tag in _CHILDREN:
            _check_order(each, _CHILDREN[each.tag])
        if any(each.get(name) is None for name in _REQUIRED.get(each.tag, ())):
            raise Invalid("Document is not valid.")
        if each.tag in _ATTRIBUTES and not set(each.keys()) <= _ATTRIBUTES[each.tag]:
            raise Invalid("Document is not valid.")
        if {"method_profile", "method_credential"} <= {child.tag for child in each}:
            raise Invalid("Document is not valid.")
        wrong = each.tag in ("dependency", "dependent") and (
            each.get("grouping") not in _GROUPINGS or each.get("restart_on") not in _RESTARTS
        )
        if wrong or (each.tag in ("propval", "property") and each.get("type") not in TYPES):
            raise Invalid("Document is not valid.")


def _general(element: Element) -> Group:
    return Group("framework", {"enabled": boolean(element.get("enabled") == "true")})


def _groups(bundle: Bundle, element: Element, owner: str) -> Groups:
    groups: Groups = {}
    context = element.find("method_context")
    for each in element.findall("dependency"):
        cited = [fmri.get("value", "") for fmri in each.findall("service_fmri")]
        groups[each.get("name", "")] = dependency(
            each.get("grouping", ""), each.get("restart_on", ""), *cited, kind=each.get("type", "service")
        )
    for each in element.findall("dependent"):
        target = each.find("service_fmri")
        if target is None:
            raise Invalid("Document is not valid.")
        group = dependency(each.get("grouping", ""), each.get("restart_on", ""), owner)
        bundle.dependents.append((target.get("value", ""), each.get("name", ""), group))
    for each in element.findall("exec_method"):
        groups[each.get("name", "")] = _method(each, context)
    for each in element.findall("property_group"):
        groups[each.get("name", "")] = Group(each.get("type", ""), dict(_properties(each)))
    groups.update(_template(element))
    return groups


def _method(element: Element, context: Element | None) -> Group:
    group = Group(
        "method",
        {
            "exec": astring(element.get("exec", "")),
            "timeout_seconds": count(max(0, int(element.get("timeout_seconds", "0")))),
            "type": astring("method"),
        },
    )
    own = element.find("method_context")
    context = context if own is None else own
    if context is not None:
        if context.get("working_directory"):
            group.properties["working_directory"] = astring(context.get("working_directory", ""))
        credential = context.find("method_credential")
        for name in sorted(_ATTRIBUTES["method_credential"]) if credential is not None else ():
            if credential is not None and credential.get(name):
                group.properties[name] = astring(credential.get(name, ""))
        for name in ("project", "resource_pool"):
            if context.get(name):
                group.properties[name] = astring(context.get(name, ""))
        variables = [f"{each.get('name')}={each.get('value')}" for each in context.iter("envvar")]
        if variables:
            group.properties["environment"] = astring(*variables)
    return group


def _properties(element: Element) -> Iterator[tuple[str, Property]]:
    for each in element:
        kind = each.get("type", "")
        if each.tag == "propval":
            values: tuple[str, ...] = (each.get("value", ""),)
        elif each.tag == "property":
            values = tuple(node.get("value", "") for node in each.iter("value_node"))
        else:
            continue
        if not all(valid(kind, value) for value in values):
            raise Invalid("Document is not valid.")
        yield each.get("name", ""), Property(kind, values)


def _template(element: Element) -> Groups:
    groups: Groups = {}
    common = element.find("template/common_name/loctext")
    if common is not None:
        groups["tm_common_name"] = Group("template", {"C": Property("ustring", ((common.text or "").strip(),))})
    for page in element.findall("template/documentation/manpage"):
        title, section = page.get("title", ""), page.get("section", "")
        groups[f"tm_man_{title}{section}"] = Group("template", {"title": astring(title), "section": astring(section)})
    return groups


def merge(repository: Repository, name: str, fresh: Groups) -> None:
    """A later import of `name`: what the administrator has changed stays, and general/enabled always [services 3.5]."""
    entity = repository.entities[name]
    for group_name in {**entity.imported, **fresh}:
        group, before = fresh.get(group_name), entity.imported.get(group_name)
        kind = group.type if group else before.type if before else "application"
        current = repository.group(entity, group_name, kind)
        assert current is not None
        old, new = before.properties if before else {}, group.properties if group else {}
        for key in {**old, **new}:
            if (group_name, key) == (GENERAL, "enabled") or current.properties.get(key) != old.get(key):
                continue
            if key in new:
                current.properties[key] = new[key]
            else:
                current.properties.pop(key, None)
        if not current.properties and group is None:
            del entity.groups[group_name]
    entity.imported = copied(fresh)
    repository.changed(entity, GENERAL)
