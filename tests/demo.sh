#!/bin/sh
# The story of `make demo`, told by real commands on a throw-away illumos-like host. Everything you see is their output.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
PATH="$PATH:$here/.venv/bin"
export PYTHONUNBUFFERED=1
if [ -t 1 ]; then bold=$(printf '\033[1m') dim=$(printf '\033[36m') plain=$(printf '\033[0m'); else bold= dim= plain=; fi

say() { printf '\n%s%s%s\n' "$dim" "── $*" "$plain"; }
prompt() { # shows the command as one would type it
    printf '%s#' "$bold"
    for word; do case $word in *[\ \;]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac; done
    printf '%s\n' "$plain"
}
run() { prompt "$@"; "$@"; }
wait_for() { # LINK there|gone
    tries=0
    while dladm show-link "$1" >/dev/null 2>&1; [ $? != "$([ "$2" = there ] && echo 0 || echo 1)" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || { echo "demo: $1 is not $2 after 10 s" >&2; cat /var/log/zonehookd.log >&2; exit 1; }
        sleep 0.05
    done
}
patiently() { # COMMAND...: until it succeeds, at most 20 s
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || { echo "demo: never came true: $*" >&2; zonehookctl --config /etc/zonehookd.toml status >&2; exit 1; }
        sleep 0.1
    done
}
zone() { # NAME LINK
    run zonecfg -z "$1" "create -b; set zonepath=/zones/$1; set brand=sparse; set ip-type=exclusive; add net; set physical=$2; end; add attr; set name=zh.net0; set type=string; set value=dmz; end"
}

say "An illumos host as it comes: no etherstub, no VNIC, no zone."
run dladm show-link

say "Declare a hidden network, and the gateway zone through which it reaches the world. Start the daemon."
cat >/etc/zonehookd.toml <<'TOML'
[network.wan]                  # what the uplink leads to
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"

[network.dmz]                  # hidden: an etherstub, behind zone edge
cidr = "10.1.0.0/24"
via = "edge"

[gateway.edge]
outside = "wan"
address = "192.0.2.10"

[[gateway.edge.forward]]       # a way in
port = 8080
to = "web1"
to_port = 80
TOML
run cat /etc/zonehookd.toml
prompt zonehookd --config /etc/zonehookd.toml '&'
zonehookd --config /etc/zonehookd.toml 2>/var/log/zonehookd.log &
daemon=$!
trap 'kill $daemon 2>/dev/null' EXIT
ctl() { prompt zonehookctl "$@"; zonehookctl --config /etc/zonehookd.toml "$@"; }
wait_for dmz0 there

say "Four zones, configured with zonecfg alone: the gateway, and three that only name their network."
say "Nobody makes a VNIC, nobody writes down an address, a route, a NAT rule or a DHCP reservation."
run zonecfg -z edge "create -b; set zonepath=/zones/edge; set brand=sparse; set ip-type=exclusive"
zone web1 web1_0
zone web2 web2_0
zone db1 db1_0
wait_for web1_0 there; wait_for web2_0 there; wait_for db1_0 there; wait_for edge_dmz0 there
patiently sh -c 'zonecfg -z edge export | grep -q edge_dmz0'
run dladm show-vnic

say "They boot, and the network is there."
for name in edge web1 web2 db1; do run zoneadm -z $name install; run zoneadm -z $name boot; done
run zoneadm list -cv
patiently zlogin web1 ping -c 1 -W 1 198.51.100.1
ctl zones
ctl gateways

say "A neighbour, the world outside, and a name:"
ctl addresses
neighbour=$(zonehookctl --config /etc/zonehookd.toml addresses | awk '$3 == "db1" { print $2 }')
run zlogin web1 ping -c 1 "$neighbour" || exit 1
run zlogin web1 ping -c 2 -i 0.2 198.51.100.1 || exit 1
patiently zlogin web1 busybox nslookup db1.dmz 10.1.0.1
run zlogin web1 busybox nslookup db1.dmz 10.1.0.1
say "A way in: a server in web1, asked from outside."
zlogin -n web1 'mkdir -p /tmp/www; echo hello from web1 >/tmp/www/index.html; busybox httpd -p 80 -h /tmp/www'
run zonelab outside run -- busybox wget -qO- http://192.0.2.10:8080/ || exit 1
run ipnat -lR -z edge

say "A reverse proxy in the gateway that follows zones: what they serve they say in their own configuration."
cat >>/etc/zonehookd.toml <<'TOML'

[gateway.edge.proxy]
program = "haproxy"
TOML
run tail -2 /etc/zonehookd.toml
ctl plan --edited
ctl reload
zlogin -n web2 'mkdir -p /tmp/www; echo hello from web2 >/tmp/www/index.html; busybox httpd -p 80 -h /tmp/www'
for name in web1 web2; do
    run zonecfg -z $name "add attr; set name=zh.route; set type=string; set value=\"shop.example.org group=shop\"; end"
done
patiently sh -c 'test "$(zonehookctl --config /etc/zonehookd.toml routes | grep -c " in ")" = 2'
ctl routes
shop() { zonelab outside run -- busybox wget -qO- --header 'Host: shop.example.org' http://192.0.2.10/; }
patiently sh -c 'zonelab outside run -- busybox wget -qO- --header "Host: shop.example.org" http://192.0.2.10/'
prompt wget -qO- --header 'Host: shop.example.org' http://192.0.2.10/ '(four times, from outside)'
for _ in 1 2 3 4; do shop || exit 1; done
ctl drain web1 --reason 'new kernel' || exit 1
for _ in 1 2; do shop || exit 1; done
ctl undrain web1

say "Break it by hand: delete a VNIC behind the daemon's back. A plan shows what is to be done, apply does it."
run zoneadm -z web2 halt
sleep 2 # the daemon looks once more after each zone event, and would mend it before we can show the plan
run dladm delete-vnic web2_0
ctl plan
ctl apply
run dladm show-vnic web2_0
run zoneadm -z web2 boot
patiently zlogin web2 ping -c 1 -W 1 198.51.100.1
run zlogin web2 ping -c 1 198.51.100.1 || exit 1

say "The gateway is not deleted by mistake: the gate in the brand's hooks asks the guard first."
ctl brand enable sparse
run zoneadm -z edge halt
run zoneadm -z edge uninstall -F && exit 1
say "zonecfg asks nobody. What it deleted is noticed, said, and comes back by one command."
run zonecfg -z edge delete -F
patiently sh -c 'zonehookctl --config /etc/zonehookd.toml guard status | grep -q lost'
ctl guard status
ctl guard restore edge || exit 1
patiently zlogin web1 ping -c 1 -W 1 198.51.100.1
run zlogin web1 ping -c 1 198.51.100.1 || exit 1

say "Why is it so?"
ctl explain web2

say "Halt, uninstall, delete: the links follow."
for name in web1 web2 db1 edge; do
    run zoneadm -z $name halt
    run zoneadm -z $name uninstall -F
    run zonecfg -z $name delete -F
done
wait_for web1_0 gone; wait_for web2_0 gone; wait_for db1_0 gone; wait_for edge_dmz0 gone; wait_for edge_wan0 gone
say "And with the network's declaration goes its etherstub: nothing is left."
run cp /dev/null /etc/zonehookd.toml
run kill -HUP $daemon
wait_for dmz0 gone
run dladm show-link
say "What the daemon wrote to its audit log: $(wc -l </var/log/zonehookd/audit.jsonl) commands, of which it changed something with these:"
# Small scripts that run inside a zone are left out, their arguments are not.
jq -r 'select(.kind == "change") | .why as $why | .argv | index(["sh", "-c"]) as $script
    | (if $script then .[:$script + 2] + ["…"] + .[$script + 4:] else . end | join(" ")) as $line
    | "  \($line)   # \($why)"' /var/log/zonehookd/audit.jsonl
