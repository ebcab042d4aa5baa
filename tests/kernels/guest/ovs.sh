#!/bin/bash
# In a guest (tests/long/kernels_ovs): a real ovs-vswitchd with our datapath on a kernel without TCX, so
# with its programs on clsact. What of it depends on how they are attached: packets up and down,
# ct(commit,nat), super-packets, what stays and what is replaced when vswitchd ends or is killed, what is left.
#
#   A 10.1.1.1 ── A ┐
#                  br0 (datapath_type=bpf) ── br0 10.1.1.100
#   B 10.1.1.2 ── B ┘
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../../lib/netns.sh"
export OVS_PATIENCE=400 # emulation is slow; loading alone takes a minute
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
need ping curl jq ethtool tc

A=$T-a B=$T-b
ovs_cleanup()
{
	ovs_stop
	cleanup
}
trap ovs_cleanup EXIT

draw()
{
	ovs_start || return
	vsctl add-br br0 -- set bridge br0 datapath_type=bpf || return
	ovs_port "$A" 10.1.1.1/24 && ovs_port "$B" 10.1.1.2/24
}
ping_once()
{
	on "$1" ping -qc 1 -W 20 "$2"
}
# id DEV DIRECTION: of the program that clsact has there
id()
{
	tc filter show dev "$1" "$2" | sed -n 's/.* id \([0-9]*\) .*/\1/p'
}
programs_are_on_clsact()
{
	local dev
	for dev in "$A" "$B" ovsbpf1; do
		echo "$dev: $(tc qdisc show dev "$dev")"
		tc qdisc show dev "$dev" | grep -q 'qdisc clsact' && [ -n "$(id "$dev" ingress)" ] || return
	done
	[ -n "$(id ovsbpfx0 egress)" ]
}
pings_pass()
{
	ping_once "$A" 10.1.1.2 && ping_once "$A" 10.1.1.2 && poll_until 60 flow_counts
}
flow_counts()
{
	appctl dpctl/dump-flows bpf@ovs-bpf | grep -q 'eth_type(0x0800).*packets:[1-9]'
}
internal_port_works()
{
	ip addr add 10.1.1.100/24 dev br0 && ip link set br0 up && ping_once "$A" 10.1.1.100 && ping -qc 1 -W 20 10.1.1.2
}
# br0 is down: through it the host would answer for all its addresses.
port_address_is_silent()
{
	ip addr add 10.1.1.77/32 dev "$A" && fails on "$B" ping -qc 1 -W 5 10.1.1.77
	local rc=$?
	ip addr del 10.1.1.77/32 dev "$A"
	return "$rc"
}
pipeline()
{
	ofctl del-flows br0 && ofctl add-flows br0 - <<'END'
table=0,priority=100,arp,action=normal
table=0,priority=50,ip,in_port=1,action=ct(commit,zone=7,nat(src=10.1.1.240),table=1)
table=0,priority=50,ip,in_port=2,ct_state=-trk,action=ct(zone=7,nat,table=2)
table=1,ip,action=2
table=2,ip,ct_state=+est+rpl,ct_zone=7,action=1
END
}
nat_passes()
{
	local mac
	mac=$(on "$A" ip -j link show p0 | jq -r ".[0].address") && on "$B" ip neigh replace 10.1.1.240 lladdr "$mac" dev p0 && pipeline || return
	ping_once "$A" 10.1.1.2 && fetch && appctl dpctl/dump-conntrack bpf@ovs-bpf | tee "$TMP/ct" &&
		grep -q '^tcp,orig=(src=10.1.1.1,dst=10.1.1.2,.*reply=(src=10.1.1.2,dst=10.1.1.240,.*zone=7' "$TMP/ct" && ctctl_lists
}
ctctl_lists()
{
	"$CTCTL" --instance ovs-bpf -L 2>/dev/null | grep -q 'src=10.1.1.1 dst=10.1.1.2 .*dst=10.1.1.240'
}
# A super-packet with a checksum to complete, by a device that does nothing for it; its flows are taken away meanwhile.
fetch()
{
	on "$A" curl -sf -m 120 -o "$TMP/got" http://10.1.1.2:8000/ && cmp "$TMP/got" "$TMP/www/index.html"
}
offloads_survive()
{
	ethtool -K "$B" tx off >/dev/null && ethtool -K "$A" tx off >/dev/null && fetch && appctl dpctl/del-flows bpf@ovs-bpf && fetch
}
# stays END: the same programs go on alone; the next vswitchd's take their places on the same qdiscs, once each.
stays()
{
	local old
	old=$(id "$A" ingress)
	vsctl set open_vswitch . other_config:flow-restore-wait=true && "$1" || return
	[ "$(id "$A" ingress)" = "$old" ] && ctctl_lists && ping_once "$A" 10.1.1.2 && ovs_vswitchd && poll_until 400 replaced "$old" || return
	ping_once "$A" 10.1.1.2 && pipeline && vsctl remove open_vswitch . other_config flow-restore-wait && ping_once "$A" 10.1.1.2 && ctctl_lists
}
replaced()
{
	local now
	now=$(id "$A" ingress)
	echo "was $1, is $now"
	[ -n "$now" ] && [ "$now" != "$1" ] && [ "$(wc -w <<<"$now")" = 1 ]
}
transfer_is_whole()
{
	poll_until 200 cmp "$TMP/long.got" "$TMP/www/long"
}
nothing_is_left()
{
	vsctl del-br br0 && poll_until 60 test ! -e /sys/fs/bpf/bpfct/ovs-bpf && fails ip link show br0 && fails grep ovsbpf <(ip -br link) &&
		fails grep clsact <(tc qdisc show dev "$A")
}

ovs_host
t ovs_bridge_comes_up draw
[ $FAILED = 0 ] || { tail -n 20 "$OVS_DIR/vswitchd.log" | sed 's/^/  /'; finish; }
mkdir "$TMP/www" && head -c 300000 /dev/urandom >"$TMP/www/index.html"
head -c 8000000 /dev/urandom >"$TMP/www/long"
serve "$B" /usr/bin/python3 -m http.server -d "$TMP/www" 8000
poll_until 60 listening "$B" 8000
t ovs_programs_are_on_clsact programs_are_on_clsact
t ovs_pings_pass_by_upcall_and_flow pings_pass
t ovs_address_of_a_port_does_not_answer port_address_is_silent
t ovs_internal_port_is_the_hosts internal_port_works
t ovs_ct_commit_nat_pipeline_passes nat_passes
t ovs_offloads_survive_upcalls offloads_survive
serve "$A" curl -sf --limit-rate 100k -m 400 -o "$TMP/long.got" http://10.1.1.2:8000/long
t ovs_long_transfer_begins poll_until 60 test -s "$TMP/long.got"
t ovs_traffic_goes_on_over_an_exit stays ovs_end
t ovs_traffic_goes_on_over_a_kill stays ovs_kill
t ovs_long_transfer_is_whole transfer_is_whole
t ovs_nothing_is_left_of_the_datapath nothing_is_left
[ $FAILED = 0 ] || { tail -n 20 "$OVS_DIR/vswitchd.log" | sed 's/^/  /'; }
finish
