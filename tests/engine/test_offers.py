"""What attributes of a zone may say of routes: read exactly or refused whole, and never a word of it anywhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonehookd.engine.offers import offered
from zonehookd.model.attachment import Refusal
from zonehookd.model.route import Check, Match, Offer, group, host, path


def read(**wishes: str) -> tuple[tuple[Offer, ...], list[Refusal], dict[str, str]]:
    attrs = {name.replace("_", "."): text for name, text in wishes.items()}
    refused: list[Refusal] = []
    return offered("web1", attrs, refused), refused, attrs


def one(text: str) -> Offer:
    (offer,), refused, _ = read(zh_route=text)
    assert not refused
    return offer


def test_all_that_can_be_said() -> None:
    made = one("shop.example.org www.Example.org/api port=8080 check=/health weight=2 group=shop on=dmz")
    assert made == Offer(
        "zh.route",
        "web1",
        (Match("shop.example.org"), Match("www.example.org", "/api/")),
        8080,
        2,
        Check("http", "/health"),
        "shop",
        "dmz",
    )


def test_the_least_that_must_be_said() -> None:
    assert one("shop.example.org") == Offer("zh.route", "web1", (Match("shop.example.org"),), 80)
    assert one("tcp=5432") == Offer("zh.route", "web1", (Match(port=5432),), 5432)
    assert one("tcp=15432 port=5432 check=no").check == Check("none")
    assert one("*.example.org.").matches == (Match("*.example.org"),)
    assert one("shop.example.org shop.example.org/").matches == (Match("shop.example.org"),), "said twice is said once"


def test_several_attributes_are_several_offers_and_others_are_left_alone() -> None:
    found, refused, rest = read(zh_route="a", zh_route0="b", zh_route12="c", zh_route_blog="d", zh_net0="dmz", x="y")
    assert [(each.source, each.matches[0].host) for each in found] == [
        ("zh.route", "a"), ("zh.route.blog", "d"), ("zh.route0", "b"), ("zh.route12", "c"),
    ]  # fmt: skip
    assert not refused and rest == {"zh.net0": "dmz", "x": "y"}


def test_names_that_only_look_like_ours_are_not_taken() -> None:
    found, refused, rest = read(zh_routes="a", zh_route1234="a", zh_route_a_b="a", zh_router="a")
    assert not found and not refused and len(rest) == 4


HOSTILE = [
    "",
    "   ",
    'shop.example.org";',
    "shop.example.org';acl x",
    "shop.example.org{}",
    "{{7*7}}.example.org",
    "{%raw%}",
    "shop.example.org\\",
    "shop.example.org\x00",
    "shop$host.example.org",
    "shop.exämple.org",
    "shop.example.org/a;b",
    "shop.example.org/../etc/",
    "shop.example.org on=\u009b2J",
    "shop.example.org on=",
    "shop.example.org/./",
    "shop.example.org//",
    "shop.example.org/%2e%2e/",
    "shop.example.org/a?b",
    "shop.example.org/#",
    f"shop.example.org/{'a' * 127}",
    "-shop.example.org",
    "shop-.example.org",
    "shop..example.org",
    ".example.org",
    "*",
    "*.",
    "a.*.example.org",
    "*shop.example.org",
    f"{'a' * 64}.org",
    ".".join(["a" * 60] * 5),
    "shop.example.org port=0",
    "shop.example.org port=65536",
    "shop.example.org port=80.0",
    "shop.example.org port=-1",
    "shop.example.org port=٨٠",
    "shop.example.org port=80 port=81",
    "shop.example.org port=",
    "shop.example.org weight=0",
    "shop.example.org weight=257",
    "shop.example.org check=health",
    "shop.example.org check=/a{b}",
    'shop.example.org check=/"',
    "shop.example.org check=/a;b",
    "shop.example.org group=a;b",
    "shop.example.org group=",
    "shop.example.org group=.a",
    "shop.example.org user=root",
    "shop.example.org PORT=80",
    "shop.example.org tcp=80",
    "tcp=0",
    "tcp=99999",
    "tcp=http",
    "port=80",
    " ".join(f"h{number}.example.org" for number in range(17)),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_word_refuses_its_attribute_by_name_and_no_other(text: str) -> None:
    found, refused, _ = read(zh_route0=text, zh_route1="good.example.org")
    assert [each.source for each in found] == ["zh.route1"]
    (no,) = refused
    assert (no.code, no.object, no.owner) == ("malformed-route", "zh.route0", "zone web1")
    assert no.text.startswith("attribute zh.route0: ") and "tcp=PORT" in no.hint


def test_a_newline_is_a_blank_like_any_other() -> None:
    assert one("shop.example.org\nwww.example.org\tport=81").matches == (
        Match("shop.example.org"),
        Match("www.example.org"),
    )
    _, refused, _ = read(zh_route="shop.example.org\nserver evil 10.0.0.1:80")
    assert refused[0].code == "malformed-route"


def test_a_zone_has_at_most_64_of_them() -> None:
    found, refused, _ = read(**{f"zh_route{number}": f"h{number}.example.org" for number in range(70)})
    assert len(found) == 64 and len(refused) == 6


@given(st.text(max_size=60))
def test_whatever_is_taken_has_only_harmless_characters(text: str) -> None:
    refused: list[Refusal] = []
    for offer in offered("web1", {"zh.route": text}, refused):
        for match in offer.matches:
            assert match.port or (set(match.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.*"))
            assert match.path.isascii() and not set(match.path) & set(" \"'\\;{}#$\n")
        assert not set(offer.group + offer.check.path) & set(" \"'\\;{}#$\n")


@given(st.text(max_size=40))
def test_each_word_by_itself(text: str) -> None:
    for reads in (host, path, group):
        try:
            made = reads(text)
        except ValueError as problem:
            assert "expected" in str(problem)
        else:
            assert made.isascii() and made.isprintable() and not set(made) & set(" \"'\\;{}#$")
