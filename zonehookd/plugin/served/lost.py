"""What the files tell of a server where our books tell nothing: it is new to us, or the books were lost. Pure."""

from __future__ import annotations

from dataclasses import replace

from zonehookd.plugin.served.book import Book
from zonehookd.plugin.served.look import MAINTENANCE, Seen, contract_of
from zonehookd.plugin.served.server import Generation, Server


def served_nobody(server: Server, seen: Seen) -> bool:
    """Before us. At first sight only, the main file tells, too: one that runs although it could not start with it, and
    nothing in it is ours, has another main file than we think, and serves its admin."""
    assert seen.service is not None
    main, state = seen.files[server.main], seen.service.state
    if state == "disabled" or seen.book.exists:
        return state == "disabled"
    return server.left_in(main) or (state == MAINTENANCE and not server.starts(server.without_us(main) or ""))


def found_again(server: Server, wish: Generation, seen: Seen) -> Book:
    """What our books would say: it runs with just what is wanted, so it was told by us."""
    assert seen.service is not None
    book, blank = seen.book, not (server.without_us(seen.files[server.main]) or "").strip()
    return replace(
        book,
        good=wish,
        contract=contract_of(seen.service),
        wanted=wish.digest,
        enabled=book.enabled or served_nobody(server, seen),
        made_main=book.made_main or (not book.exists and blank),
        before={**dict.fromkeys(wish.settings), **book.before},
    )
