#!/bin/bash
# timeout: 300
# What an operator does by `ovs-appctl dpctl/...` and sees of ports: every command that reaches the
# class, with good and with bad arguments (docs/ovs.md, "What an operator sees"). Zones' timeout
# policies and limits by what they do to packets.
# The topology is drawn in tests/lib/ovs_two.sh.
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
# shellcheck source=tests/lib/ovs_two.sh
. tests/lib/ovs_two.sh
need ping jq

DP=bpf@ovs-bpf

dpctl()
{
	local command=$1
	shift
	appctl "dpctl/$command" "$@"
}

# says WORDS COMMAND ARG... : it succeeds, and a line of its output is like WORDS
says()
{
	local want=$1 out
	shift
	{ out=$(dpctl "$@" 2>&1) && grep -q -- "$want" <<<"$out"; } || { echo "dpctl/$*: not '$want' but: $out"; return 1; }
}
# no WORDS COMMAND ARG... : it succeeds, and no line of its output is like WORDS
no()
{
	local not=$1 out
	shift
	{ out=$(dpctl "$@" 2>&1) && ! grep -q -- "$not" <<<"$out"; } || { echo "dpctl/$*: '$not' in: $out"; return 1; }
}
# refuses WORDS COMMAND ARG... : it fails and says why
refuses()
{
	local why=$1 out
	shift
	out=$(dpctl "$@" 2>&1) && { echo "dpctl/$* was done"; return 1; }
	grep -q -- "$why" <<<"$out" || { echo "dpctl/$*: not '$why' but: $out"; return 1; }
}

# There is the one of the bridges, and it does not go under their feet.
datapath_is_one()
{
	says "^$DP$" dump-dps && refuses 'File exists' add-dp "$DP" && refuses 'not supported' add-dp bpf@x && refuses 'not supported' add-dp bpf@ &&
		refuses 'No such device' del-dp bpf@x && refuses 'No such device' show bpf@x && refuses 'resource busy' del-dp "$DP" &&
		says 'port 1: br0 (internal)' show "$DP" && ping_once "$A" 10.1.1.2
}

# lo is all of the host's own traffic, a bridge has its devices' packets, ovsbpf... are ours.
devices_that_are_no_ports()
{
	ip link add lb type bridge && ip link add v0 type veth peer name v1 && ip link set v1 master lb && ip tuntap add tun7 mode tun || return
	refuses 'No such device' add-if "$DP" nodev && refuses 'Invalid argument' add-if "$DP" lo && refuses 'Invalid argument' add-if "$DP" tun7 &&
		refuses 'resource busy' add-if "$DP" v1 && refuses 'resource busy' add-if "$DP" ovsbpf1 && refuses 'resource busy' add-if "$DP" ovsbpfx0 &&
		refuses 'File exists' add-if "$DP" "$A" && refuses 'File exists' add-if "$DP" br0,type=internal && refuses 'resource busy' add-if "$DP" v0,port_no=1 &&
		refuses 'Invalid argument' add-if "$DP" v0,port_no=70000 && refuses 'not supported' add-if "$DP" x0,type=gre,remote_ip=10.0.0.9 && refuses 'Invalid argument' add-if "$DP" name_of_16_bytes,type=internal &&
		no ': \(lo\|tun7\|v[01]\)$' show "$DP" && [ "$(promiscuity v0)$(promiscuity lo)" = 00 ] || return
	vsctl add-port br0 lo # says it too, if it waits for it
	poll_until 5 database_says lo 'Invalid argument' && vsctl del-port lo && ping_once "$A" 10.1.1.2
}
database_says()
{
	vsctl get interface "$1" error | grep "$2"
}
promiscuity()
{
	ip -d -j link show "$1" | jq '.[0].promiscuity'
}

# What nobody has put into the database vswitchd takes away, and the device is as it was.
unknown_port_goes()
{
	dpctl add-if "$DP" v0,port_no=77 i0,type=internal && poll_until 5 no 'v0\|i0' show "$DP" && [ "$(promiscuity v0)" = 0 ] && ! ip link show i0 || return
	ip link set v0 promisc on && dpctl add-if "$DP" v0 && poll_until 5 no v0 show "$DP" && [ "$(promiscuity v0)" = 1 ] && ping_once "$A" 10.1.1.2
}

ports_are_changed_by_what_is_theirs()
{
	local n
	n=$(port_number "$A") && dpctl set-if "$DP" "$A,port_no=$n" && refuses "can't change port number" set-if "$DP" "$A,port_no=99" &&
		refuses "can't change type" set-if "$DP" "$A,type=internal" && refuses 'No such device' set-if "$DP" nodev &&
		refuses 'no port named' del-if "$DP" nodev && refuses 'No such device' del-if "$DP" 78
}

# vswitchd makes the bridge's own port again, and another.
deleted_port_comes_back()
{
	local was
	was=$(cat /sys/class/net/br0/ifindex) && dpctl del-if "$DP" br0 "$A" && poll_until 10 is_back "$was" && poll_until 10 ping_once "$A" 10.1.1.2
}
is_back()
{
	local now
	now=$(cat /sys/class/net/br0/ifindex) && [ "$now" != "$1" ] && [ -n "$(port_number br0)" ]
}

# Received is what the host has sent by it.
internal_port_has_statistics()
{
	local before
	ip link set br0 up && before=$(of_port LOCAL rx) && frames br0 20 && poll_until 5 counts LOCAL rx $((before + 20)) || return
	before=$(of_port LOCAL tx) && on "$A" tests/lib/frames.py p0 20 && poll_until 5 counts LOCAL tx $((before + 20)) || return
	says '^    RX packets:[1-9]' show -s "$DP" && no 'could not retrieve' show -s "$DP"
}
of_port()
{
	ofctl dump-ports br0 "$1" | sed -n "s/.*$2 pkts=\([0-9]*\),.*/\1/p"
}
counts()
{
	[ "$(of_port "$1" "$2")" -ge "$3" ]
}
moved_port_has_statistics()
{
	local before
	net_ns "$T-m" && vsctl add-port br0 in0 -- set interface in0 type=internal && ip link set in0 netns "$T-m" && on "$T-m" ip link set in0 up || return
	before=$(of_port in0 rx) && on "$T-m" tests/lib/frames.py in0 20 && poll_until 5 counts in0 rx $((before + 20)) &&
		vsctl get interface in0 status:driver_name | grep veth && fails grep 'WARN.*device in0' "$OVS_DIR/vswitchd.log" && vsctl del-port in0
}
database_has_statistics()
{
	poll_until 10 in_database && vsctl get interface br0 status:driver_name | grep veth
}
in_database()
{
	[ "$(vsctl get interface br0 statistics:rx_packets)" -ge 20 ]
}

KEY='recirc_id(0),in_port(2),eth(),eth_type(0x0800),ipv4(src=10.9.9.1,frag=no)'
KEY2='recirc_id(0),in_port(2),eth(),eth_type(0x0800),ipv4(src=10.9.9.2,frag=no)'

dump_flows_filters()
{
	local n
	n=$(port_number "$A") && dpctl del-flows "$DP" && dpctl add-flow "$DP" "${KEY/port(2)/port($n)}" "$(port_number br0)" || return
	for n in '' type=ovs type=all type=non-offloaded filter=ip,nw_src=10.9.9.1; do
		# shellcheck disable=SC2086
		says '10.9.9.1' dump-flows "$DP" $n || return
	done
	says "in_port($A).*src=10.9.9.1.*actions:br0" dump-flows --names "$DP" && says '^ufid:.*src=10.9.9.1.*dp:ovs' dump-flows -m "$DP" || return
	for n in type=offloaded type=tc type=dpdk type=partially-offloaded pmd=0 filter=ip,nw_src=10.9.9.2; do
		no '10.9.9.1' dump-flows "$DP" "$n" || return
	done
	refuses 'unknown field' dump-flows "$DP" filter=junk && refuses 'Failed to parse type' dump-flows "$DP" type=junk && refuses '' dump-flows "$DP" pmd=junk
}

flows_by_files()
{
	dpctl del-flows "$DP" && printf '%s\n' "$KEY 3" "add $KEY2 3" "modify $KEY2 1" >"$TMP/flows" && dpctl add-flows "$DP" "$TMP/flows" &&
		says '10.9.9.1.*actions:3' dump-flows "$DP" && says '10.9.9.2.*actions:1' dump-flows "$DP" || return
	echo "$KEY 1" >"$TMP/flows" && dpctl mod-flows "$DP" "$TMP/flows" && says '10.9.9.1.*actions:1' dump-flows "$DP" && echo "delete $KEY" >"$TMP/flows" &&
		dpctl del-flows "$DP" "$TMP/flows" && no '10.9.9.1' dump-flows "$DP" && says '10.9.9.2' dump-flows "$DP" || return
	refuses 'parsing flow key' add-flow "$DP" junk 1 && refuses 'parsing actions' add-flow "$DP" "$KEY" junk && refuses 'syntax error' del-flow "$DP" junk &&
		refuses 'No such file' get-flow "$DP" ufid:00000000-0000-0000-0000-000000000001 && dpctl del-flows "$DP" && no 'src=10.9.9' dump-flows "$DP"
}

# What there is no such thing of.
not_for_it()
{
	refuses 'not supported' offload-stats-show "$DP" && says "^$DP:" cache-get-size "$DP" && refuses 'not supported' cache-set-size "$DP" masks-cache 256 || return
	fails appctl dpif-netdev/bond-show "$DP" && appctl ofproto/trace ovs-bpf "$KEY" | grep 'Datapath actions'
}

# zone_pipeline ZONE : whatever is of IPv4 is tracked there
zone_pipeline()
{
	ofctl del-flows br0 && ofctl add-flows br0 - <<END
priority=100,arp,action=normal
ip,ct_state=-trk,action=ct(table=1,zone=$1)
table=1,ip,ct_state=+trk+new,action=ct(commit,zone=$1),normal
table=1,ip,ct_state=+trk+est,action=normal
table=1,ip,ct_state=+trk+rel,action=normal
END
}

datagram()
{
	on "$A" bash -c "echo x >/dev/udp/10.1.1.2/$1"
}

connections_are_listed()
{
	zone_pipeline 7 && dpctl flush-conntrack && ping_once "$A" 10.1.1.2 && datagram 9 || return
	says '^udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=[0-9]*,dport=9),reply=(src=10.1.1.2,dst=10.1.1.1,sport=9,dport=[0-9]*),zone=7$' dump-conntrack "$DP" zone=7 &&
		says '^udp,.*dport=9,packets=1,bytes=30),.*start=.*,id=[1-9][0-9]*,zone=7,status=CONFIRMED,timeout=[23]' dump-conntrack -m -s "$DP" &&
		says '^icmp,.*status=SEEN_REPLY|CONFIRMED' dump-conntrack -m "$DP" && no . dump-conntrack "$DP" zone=8 || return
	says 'Total: 2' ct-stats-show "$DP" && says '  UDP: 1' ct-stats-show "$DP" zone=7 && says 'Total: 0' ct-stats-show "$DP" zone=8 && says '^2$' ct-get-nconns "$DP" &&
		says 'Total Buckets: 1$' ct-bkts "$DP" && says 'Current Connections: 2$' ct-bkts "$DP" gt=1
}

# (Open vSwitch 3.1.0 takes no datapath here: it reads the name for a tuple.)
flush_ends_what_it_names()
{
	dpctl flush-conntrack zone=8 && says '^2$' ct-get-nconns "$DP" && refuses 'missing value' flush-conntrack junk && refuses 'parse zone' flush-conntrack zone=x || return
	local port
	port=$(dpctl dump-conntrack "$DP" | sed -n 's/^udp.*sport=\([0-9]*\),dport=9).*/\1/p') &&
		dpctl flush-conntrack zone=7 "ct_nw_src=10.1.1.1,ct_nw_dst=10.1.1.2,ct_nw_proto=17,ct_tp_src=$port,ct_tp_dst=9" && no udp dump-conntrack "$DP" &&
		says '^icmp' dump-conntrack "$DP" && dpctl flush-conntrack && says '^0$' ct-get-nconns "$DP"
}

settings_have_bounds()
{
	local max
	max=$(dpctl ct-get-maxconns "$DP") && refuses 'Invalid' ct-set-maxconns "$DP" 0 && refuses 'Invalid' ct-set-maxconns "$DP" $((max + 1)) && refuses 'malformed' ct-set-maxconns "$DP" x &&
		dpctl ct-set-maxconns "$DP" 1000 && says '^1000$' ct-get-maxconns "$DP" && dpctl ct-set-maxconns "$DP" "$max" || return
	dpctl ct-disable-tcp-seq-chk "$DP" && says disabled ct-get-tcp-seq-chk "$DP" && dpctl ct-enable-tcp-seq-chk "$DP" && says enabled ct-get-tcp-seq-chk "$DP" || return
	dpctl ipf-set-disabled "$DP" v6 && says 'v6 enabled: 0' ipf-get-status "$DP" && dpctl ipf-set-enabled "$DP" v6 && says 'v6 enabled: 1' ipf-get-status "$DP" &&
		refuses 'parameter missing' ipf-set-enabled "$DP" v5 && refuses 'too small' ipf-set-min-frag "$DP" v4 399 && dpctl ipf-set-min-frag "$DP" v6 500 &&
		says 'min v6 frag size: 500' ipf-get-status "$DP" && dpctl ipf-set-min-frag "$DP" v6 400 && refuses 'failed' ipf-set-max-nfrags "$DP" 100000 &&
		dpctl ipf-set-max-nfrags "$DP" 500 && says 'max num frags (v4/v6): 500' ipf-get-status "$DP" || return
	refuses 'field zone' ct-set-limits "$DP" zone=70000,limit=1 && refuses 'field limit' ct-set-limits "$DP" zone=7,limit=x && refuses 'invalid zone' ct-del-limits "$DP" zone=x
}

# The third is dropped; what has been flushed, or has expired, makes room.
zone_limit_holds()
{
	zone_pipeline 9 && dpctl ct-set-limits "$DP" zone=9,limit=2 && ping_once "$A" 10.1.1.2 && ping_once "$A" 10.1.1.2 && fails on "$A" ping -qc 1 -W 0.3 10.1.1.2 &&
		says '^zone=9,limit=2,count=2$' ct-get-limits "$DP" zone=9 && [ "$(zone_drops)" -ge 1 ] && dpctl flush-conntrack zone=9 &&
		says '^zone=9,limit=2,count=0$' ct-get-limits "$DP" zone=9 && ping_once "$A" 10.1.1.2 && says 'count=1$' ct-get-limits "$DP" zone=9 || return
	dpctl ct-set-limits "$DP" default=1 && dpctl ct-del-limits "$DP" zone=9 && says '^zone=9,limit=1,count=1$' ct-get-limits "$DP" zone=9 && fails on "$A" ping -qc 1 -W 0.3 10.1.1.2 &&
		dpctl ct-set-limits "$DP" default=0 && ping_once "$A" 10.1.1.2
}
zone_drops()
{
	"$CTCTL" --instance ovs-bpf stats | awk '$1 ~ /zone/ { n += $2 } END { print n + 0 }'
}

# timeout_is LOW HIGH : of a fresh connection in zone 5
timeout_is()
{
	local got
	datagram 9 && got=$(dpctl dump-conntrack -s "$DP" zone=5 | sed -n "s/^udp.*dport=9,.*timeout=\([0-9]*\).*/\1/p" | head -n 1)
	dpctl flush-conntrack zone=5
	{ [ "${got:-0}" -ge "$1" ] && [ "$got" -le "$2" ]; } || { echo "timeout ${got:-none}, not $1 to $2"; return 1; }
}
zone_has_its_policy()
{
	zone_pipeline 5 && timeout_is 25 30 && vsctl -- --id=@d create Datapath datapath_version=0 -- set open_vswitch . datapaths:bpf=@d &&
		vsctl add-zone-tp bpf zone=5 udp_single=300 && poll_until 10 timeout_is 290 300 || return
	vsctl set ct_timeout_policy "$(policy)" timeouts:udp_single=200 && poll_until 10 timeout_is 190 200 && vsctl del-zone-tp bpf zone=5 && poll_until 10 timeout_is 25 30
}
policy()
{
	vsctl --bare --columns=_uuid list ct_timeout_policy
}
# A connection that has expired is listed no more and gives its place in the zone's limit back.
policy_releases_limit()
{
	vsctl add-zone-tp bpf zone=5 udp_single=2 && poll_until 10 timeout_is 1 2 && dpctl ct-set-limits "$DP" zone=5,limit=1 && datagram 11 &&
		says '^zone=5,limit=1,count=1$' ct-get-limits "$DP" zone=5 && poll_until 10 says '^zone=5,limit=1,count=0$' ct-get-limits "$DP" zone=5 && no . dump-conntrack "$DP" zone=5 &&
		datagram 12 && says 'dport=12' dump-conntrack "$DP" zone=5
}

# All of that by one vswitchd, and nothing is left of it.
vswitchd_has_lived()
{
	[ "$(cat "$OVS_DIR/ovs-vswitchd.pid")" = "$PID" ] && fails grep -E '\|(EMER|ERR)\|' "$OVS_DIR/vswitchd.log" && vsctl del-br br0 &&
		poll_until 10 test ! -e /sys/fs/bpf/bpfct/ovs-bpf && ! appctl dpctl/dump-dps | grep bpf@ && ! ip -br link | grep 'ovsbpf\|br0'
}

ovs_host
t bridge_comes_up draw
[ $FAILED = 0 ] || finish
PID=$(cat "$OVS_DIR/ovs-vswitchd.pid")
t datapath_of_bridges_is_the_one_and_stays datapath_is_one
t device_that_is_no_port_is_refused devices_that_are_no_ports
t port_that_is_in_no_bridge_goes unknown_port_goes
t ports_are_changed_by_what_is_theirs ports_are_changed_by_what_is_theirs
t deleted_port_of_a_bridge_comes_back deleted_port_comes_back
t internal_port_has_statistics internal_port_has_statistics
t internal_port_elsewhere_has_statistics moved_port_has_statistics
appctl revalidator/pause # it takes away what it has not put
t flows_are_listed_by_type_and_filter dump_flows_filters
t flows_are_read_from_files flows_by_files
appctl revalidator/resume
t commands_of_other_datapaths_say_so not_for_it
t connections_are_listed_and_counted connections_are_listed
t flush_ends_what_it_names flush_ends_what_it_names
t settings_have_bounds settings_have_bounds
t zone_limit_drops_counts_and_is_released zone_limit_holds
t zone_has_its_timeout_policy zone_has_its_policy
t expired_connection_frees_its_place policy_releases_limit
t statistics_are_in_the_database database_has_statistics
t vswitchd_has_lived_and_leaves_nothing vswitchd_has_lived
finish
