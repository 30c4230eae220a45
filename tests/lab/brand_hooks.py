"""What the furnished brands' own hooks do: nothing on gate; on OmniOS, VNICs on demand [zones 6.3].

On the real floor they are shell scripts that find `dladm` and `zonecfg` on the search path. On paper the same files
hold one line, `brands.NATIVE_HEAD` and a name: the functions here play them, with the same commands in the same order.
"""

from __future__ import annotations

import io

from lab import brands, dispatch
from lab.call import Call
from lab.zonefiles import load
from lab.zonexml import Resource

NOTHING = "#!/bin/sh\nexit 0\n"

ON_DEMAND = r"""#!/bin/sh
# ACTION ZONE ZONEPATH STATE CMD: makes the zone's on-demand VNICs before it gets ready, removes them after a halt.
exec </dev/null 2>&1
action=$1 zone=$2 zonepath=$3 state=$4 cmd=$5
case "$action:$state:$cmd" in
prestate:[245]:0 | poststate:*:4) ;;
*) exit 0 ;;
esac
nets=$(zonecfg -z "$zone" info net | awk '
    function flush() { if (physical != "-" && nic != "-") print physical, nic, mac, vlan, address; start() }
    function start() { physical = nic = mac = vlan = address = "-" }
    BEGIN { start() }
    $1 == "net:" { flush() }
    $1 == "physical:" { physical = $2 }
    $1 == "global-nic:" { nic = $2 }
    $1 == "mac-addr:" { mac = $2 }
    $1 == "vlan-id:" { vlan = $2 }
    $1 == "allowed-address:" { address = $2 }
    END { flush() }')
[ -n "$nets" ] || exit 0
mkdir -p "$zonepath/log"
while read -r physical nic mac vlan address; do
    if [ "$action" = poststate ]; then
        dladm delete-vnic "$physical" >>"$zonepath/log/zone.log" 2>&1
        continue
    fi
    dladm show-link -p -o link "$physical" >/dev/null 2>&1 && continue
    if [ "$nic" = auto ]; then
        if [ "$address" = - ]; then
            echo "global-nic is auto, but there is no allowed-address for $physical"
            exit 1
        fi
        nic=$(route -n get "${address%/*}" | awk '$1 == "interface:" { print $2 }')
    fi
    set -- -l "$nic"
    [ "$mac" = - ] || set -- "$@" -m "$mac"
    [ "$vlan" = - ] || set -- "$@" -v "$vlan"
    dladm create-vnic "$@" "$physical" || exit 1
    echo "created $physical over $nic" >>"$zonepath/log/zone.log"
    if [ "$mac" = - ]; then
        mac=$(dladm show-vnic -p -o macaddress "$physical" | tr -d '\\')
        zonecfg -z "$zone" "select net physical=$physical; set mac-addr=$mac; end" || exit 1
    fi
done <<EOF
$nets
EOF
exit 0
"""


def _command(call: Call, argv: list[str]) -> tuple[int, str]:
    """Run a lab command as the script would; its stderr becomes the hook's output. Status and stdout."""
    inner = Call(call.world, argv, io.BytesIO(), environ=call.environ)
    status = dispatch.run(inner)
    assert isinstance(inner.stdout, io.BytesIO) and isinstance(inner.stderr, io.BytesIO)
    call.stdout.write(inner.stderr.getvalue())
    return status, inner.stdout.getvalue().decode()


def _on_demand(call: Call, action: str, words: list[str]) -> int:
    """`words`: ZONE ZONEPATH STATE CMD."""
    zone, zonepath, state, command = words[:4]
    making = action == "prestate" and command == "0" and state in ("2", "4", "5")
    if not making and not (action == "poststate" and command == "4"):
        return 0
    for net in load(call.world, zone).nets:
        if net.get("global-nic") in ("", "-") or not net.get("physical"):
            continue
        if making:
            status = _make(call, zone, net)
            if status != 0:
                return status
        else:
            _log(call, zonepath, _command(call, ["dladm", "delete-vnic", net.get("physical")])[1])
    return 0


def _make(call: Call, zone: str, net: Resource) -> int:
    physical, nic, mac = net.get("physical"), net.get("global-nic"), net.get("mac-addr")
    if _exists(call, physical):
        return 0
    if nic == "auto":
        address = net.get("allowed-address").partition("/")[0]
        if not address:
            call.out(f"global-nic is auto, but there is no allowed-address for {physical}\n")
            return 1
        table = _command(call, ["route", "-n", "get", address])[1]
        nic = next((line.split()[1] for line in table.splitlines() if line.split()[:1] == ["interface:"]), "")
    options = ["-l", nic] + (["-m", mac] if mac else [])
    options += ["-v", net.get("vlan-id")] if net.get("vlan-id") else []
    if _command(call, ["dladm", "create-vnic", *options, physical])[0] != 0:
        return 1
    if mac:
        return 0
    drawn = _command(call, ["dladm", "show-vnic", "-p", "-o", "macaddress", physical])[1].strip().replace("\\", "")
    script = f"select net physical={physical}; set mac-addr={drawn}; end"
    return 1 if _command(call, ["zonecfg", "-z", zone, script])[0] != 0 else 0


def _exists(call: Call, physical: str) -> bool:
    quiet = Call(call.world, ["dladm", "show-link", "-p", "-o", "link", physical], io.BytesIO(), environ=call.environ)
    return dispatch.run(quiet) == 0


def _log(call: Call, zonepath: str, text: str) -> None:
    log = call.world.path(zonepath) / "log" / "zone.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(text)


brands.NATIVE.update(
    {
        "nothing": lambda call, words: 0,
        "prestate": lambda call, words: _on_demand(call, "prestate", words),
        "poststate": lambda call, words: _on_demand(call, "poststate", words),
        "support": lambda call, words: _on_demand(call, words[0], words[1:]),
    }
)
