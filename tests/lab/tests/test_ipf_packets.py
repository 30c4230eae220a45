"""Filter rules, and the two ipf stacks of a zone, with real packets [services 1.9, 1.12]."""

from __future__ import annotations

import pytest

from lab.tests.bench import Machine
from lab.tests.gateway_host import GATEWAY, MAP

pytestmark = pytest.mark.namespaces


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


FILTER = r"""
serve outside 7
serve box 80 81
serve gw 53
cat > /var/talk/ipf <<'END'
block in log on gwin0 all head inside
pass in quick proto tcp/udp from 10.99.0.0/24 to 10.99.0.1/32 port = 53 keep state group inside
pass in quick proto tcp from 10.99.0.0/24 to 192.0.2.1/32 flags S keep state group inside
block return-rst in quick on gwout0 proto tcp from any to any port = 80
block in quick on gwout0 proto icmp all icmp-type echo
block in on gwout0 all
pass in on gwout0 proto tcp from any to any port = 81 flags S keep state
END
"""


def test_filters_groups_states_and_the_swap(machine: Machine) -> None:
    out = machine.script(
        GATEWAY
        + MAP
        + FILTER
        + """
echo 'rdr gwout0 192.0.2.5/32 port 80-81 -> 10.99.0.5 port 80 tcp;' | ipnat -z gw -f -
ipf -I -Fa -f /var/talk/ipf -6 -Fa -sy gw
ask box udp 10.99.0.1 53
ask box tcp 192.0.2.1 7
in_vain ask box udp 192.0.2.1 7
in_vain ask box tcp 198.51.100.1 7
ask outside tcp 192.0.2.5 80
ask outside tcp 192.0.2.5 81
zonelab outside run -- ping -c1 -W1 192.0.2.5 | grep -o '100% packet loss'
zlogin gw ping -c1 -W1 192.0.2.1 | grep -o '100% packet loss'
ipf -s gw
zonelab outside run -- ping -c1 -W9 192.0.2.5 | grep -o ' 0% packet loss'
ask box tcp 198.51.100.1 7
"""
    )
    assert out.splitlines() == [
        "Set 0 now inactive", "filter sync'd",
        "10.99.0.5 53 hi", "192.0.2.5 7 hi", "silence", "silence",
        "Connection refused", "192.0.2.1 81 hi", "100% packet loss", "100% packet loss",
        "Set 1 now inactive", " 0% packet loss", "192.0.2.5 7 hi",
    ]  # fmt: skip


def test_a_state_passes_by_the_rules_until_it_is_dropped(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + """
zonelab outside route add 10.99.0.0/24 via 192.0.2.5
serve outside 7
printf 'pass in quick on gwin0 all keep state;block in all;' | ipf -f - gw
converse box tcp 192.0.2.1 7
say one
ipf -F i gw
echo 'block in all' | ipf -f - gw
say two
ipf -F s gw
say three
ipf -F S gw
in_vain say four
"""
    )
    assert out.splitlines() == ["10.99.0.5 7 one", "10.99.0.5 7 two", "10.99.0.5 7 three", "silence"]


def test_both_stacks_of_a_zone_apply_and_only_their_own_sessions_end(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + r"""
serve outside 7
serve box 53
ipf -GE gw
echo 'map gwout0 10.99.0.0/24 -> 0/32;' | ipnat -z gw -f -
echo 'rdr gwout0 192.0.2.5/32 port 8080 -> 10.99.0.5 port 53 udp;' | ipnat -G gw -f -
ask box tcp 192.0.2.1 7
ask outside udp 192.0.2.5 8080
ipnat -F -G gw
ipnat -F -z gw
echo 'block in quick proto udp from any to any port = 53' | ipf -G -f - gw
in_vain ask outside udp 192.0.2.5 8080  # one packet; TCP would say it again after a second
ipfstat -ioh -G gw 2>/dev/null
ipf -GD gw
ask outside udp 192.0.2.5 8080
zlogin gw ipnat -l | sed -n 2p
"""
    )
    silence = "silence"
    assert out.splitlines() == [
        "192.0.2.5 7 hi", "192.0.2.1 53 hi", "1 entries flushed from NAT table", "1 entries flushed from NAT table",
        silence, "1 block in quick proto udp from any to any port = domain", "Connection refused",
        "map gwout0 10.99.0.0/24 -> 0.0.0.0/32",
    ]  # fmt: skip
