"""Routes to zones, whatever the program: who is behind each now (`decide`), what our books say of it (`book`), and what
every program has to see and to remember for it (`proxying`)."""

from zonehookd.plugin.routing.book import RouteBook, Seat, routed
from zonehookd.plugin.routing.decide import Decision, Known, decide, probe_of, to_ask
from zonehookd.plugin.routing.opening import with_ways_in
from zonehookd.plugin.routing.proxying import Routing, decided, forget_all, look, remember, serves

__all__ = [
    "Decision", "Known", "RouteBook", "Routing", "Seat",
    "decide", "decided", "forget_all", "look", "probe_of", "remember", "routed", "serves", "to_ask", "with_ways_in",
]  # fmt: skip
