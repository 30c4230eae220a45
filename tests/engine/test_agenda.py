"""What waits for a look, and what becomes of it when the look fails."""

from __future__ import annotations

from zonehookd.engine.agenda import Heard
from zonehookd.model.correlation import Correlation
from zonehookd.model.event import Event


def test_what_a_failed_look_had_heard_is_still_announced() -> None:
    """Else what `/etc/zones` told while nobody could look counts as a change that no source announced."""
    heard, since = Heard(), Heard()
    heard.hear(Event("zone-files", "files"), 1.0, Correlation(cause="first"))
    heard.hear(Event("zone-channel", "running", zone="web1"), 2.0, Correlation(change="second"))
    since.hear(Event("poll", "poll"), 3.0, Correlation(cause="third"))
    assert not since.announced
    since.put_back(heard)
    assert since.announced and since.anything == 1.0 and since.zones == {"web1": 2.0}
    assert since.cause == Correlation(cause="first")
