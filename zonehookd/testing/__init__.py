"""The test kit for plugins: a host in memory, the engine's own code, and the rules that every plugin must keep.

from zonehookd.testing import Harness, Host, conforms, zone

def test_a_zone_that_runs_has_its_line():
    host = Host({"/etc/hosts": "::1 localhost\\n"})
    Harness(Hosts, host=host).given(zone("web1", "running", "dmz", "10.1.0.5/24")).settle()
    assert "10.1.0.5\\tweb1" in host.files["/etc/hosts"]

def test_it_keeps_the_contract():
    conforms(Hosts, zone("web1", "running", "dmz", "10.1.0.5/24"))
"""

from zonehookd.testing.builders import a_network, gateway, gone, network, nic, zone
from zonehookd.testing.conformance import RULES, NotConforming, conforms
from zonehookd.testing.harness import Done, Harness, NotSettled, Planned
from zonehookd.testing.host import Host, Unscripted

__all__ = [
    "RULES",
    "Done",
    "Harness",
    "Host",
    "NotConforming",
    "NotSettled",
    "Planned",
    "Unscripted",
    "a_network",
    "conforms",
    "gateway",
    "gone",
    "network",
    "nic",
    "zone",
]
