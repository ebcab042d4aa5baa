#!/bin/bash
# In a guest (tests/long/kernels_ovs): a real ovs-vswitchd with our datapath on a kernel without TCX, so
# with its programs on clsact. What of it depends on how they are attached: packets up and down,
# ct(commit,nat), super-packets, what stays and what is replaced when vswitchd ends or is killed, what is left.
# The topology is drawn in tests/lib/ovs_two.sh.
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../../lib/netns.sh"
export OVS_PATIENCE=400 PING_WAIT=20 # emulation is slow; loading alone takes a minute
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
# shellcheck source=tests/lib/ovs_two.sh
. tests/lib/ovs_two.sh
need ping curl jq ethtool tc

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
nat_passes()
{
	pipeline && nat_answers && ping_once "$A" 10.1.1.2 && fetches_a_page 120 && nat_is_in_the_table
}
# A super-packet with a checksum to complete, by a device that does nothing for it; its flows are taken away meanwhile.
offloads_survive()
{
	ethtool -K "$B" tx off >/dev/null && ethtool -K "$A" tx off >/dev/null && fetches_a_page 120 && appctl dpctl/del-flows bpf@ovs-bpf &&
		fetches_a_page 120
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
web 8000000
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
