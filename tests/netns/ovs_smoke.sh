#!/bin/bash
# timeout: 600
# The datapath under a real ovs-vswitchd 3.1 (built once, outside the tree): a bridge, two
# namespaces, a pipeline with ct(commit,nat), and what is left when vswitchd ends or is killed.
# The topology is drawn in tests/lib/ovs_two.sh.
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
# shellcheck source=tests/lib/ovs_two.sh
. tests/lib/ovs_two.sh
need ping curl jq ethtool

flows_of()
{
	appctl dpctl/dump-flows bpf@ovs-bpf | grep -q "$1"
}

draw_with_tables_of_300000()
{
	BPFCT_OVS_CONNECTIONS=300000 draw
}

pings_pass()
{
	ping_once "$A" 10.1.1.2 && ping_once "$A" fd00::2 && ping_once "$A" 10.1.1.2 &&
		poll_until 5 flows_of 'eth_type(0x0800).*packets:[1-9]'
}

# Another namespace's device, both ways.
internal_port_moves()
{
	net_ns "$T-m" && vsctl add-port br0 in0 -- set interface in0 type=internal && ip link set in0 netns "$T-m" &&
		on "$T-m" ip addr add 10.1.1.50/24 dev in0 && on "$T-m" ip link set in0 up &&
		ping_once "$T-m" 10.1.1.2 && ping_once "$A" 10.1.1.50
}

no_port()
{
	fails sh -c "$OVS_TREE/utilities/ovs-appctl dpctl/show bpf@ovs-bpf | grep -q '$1'"
}

# Without a word to vswitchd.
vanished_device_is_noticed()
{
	ip link add gone0 type veth peer name gone1 && vsctl add-port br0 gone0 && fails no_port gone0 2>/dev/null &&
		ip link del gone0 && poll_until 10 no_port gone0 && vsctl del-port br0 gone0 && vsctl del-port br0 in0 &&
		ping_once "$A" 10.1.1.2
}

received()
{
	on "$T-x" cat /proc/net/dev | awk '$1 == "trap1:" { print $3 }'
}
# A port's device in another namespace, where a stranger has the number of another port's, and nobody
# to notice: a redirect by number would be the stranger's.
moved_port_reaches_no_stranger()
{
	local before
	ip link add col0 type veth peer name col1 && ip link set col0 up && ip link set col1 up && vsctl add-port br0 col0 && net_ns "$T-x" || return
	on "$T-x" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	on "$T-x" ip link add trap0 index "$(cat "/sys/class/net/$A/ifindex")" type veth peer name trap1 &&
		on "$T-x" ip link set trap0 up && on "$T-x" ip link set trap1 up || return
	poll_until 10 flow_of_frames || return
	ovs_kill && ip link set col0 netns "$T-x" && on "$T-x" ip link set col0 up || return
	before=$(device_drops)
	frames col1 10
	[ "$(received)" = 0 ] || { echo "$(received) frames came to a stranger"; return 1; }
	[ "$(device_drops)" -ge $((before + 10)) ] || { echo "dropped: $before, then $(device_drops)"; return 1; }
	ovs_vswitchd && vsctl del-port br0 col0 && ip netns del "$T-x" && ping_once "$A" 10.1.1.2
}
flow_of_frames()
{
	frames col1 2 && flows_of 'eth_type(0x88b5)'
}
device_drops()
{
	"$CTCTL" --instance ovs-bpf stats | awk '$1 == "ovs_device" { print $2; n = 1 } END { if (!n) print 0 }'
}

# TCP with segments to be cut and checksums to be completed, as it comes from a sender with all
# offloads, must survive the ways up and down: flows are taken away under it. The device it leaves by does nothing for it.
offloads_survive_upcalls()
{
	ethtool -K "$B" tx off >/dev/null && ethtool -K "$A" tx off >/dev/null || return
	on "$A" curl -sf --limit-rate 8M -m 30 -o "$TMP/fast" http://10.1.1.2:8000/long &
	for _ in 1 2 3 4 5 6; do
		sleep 0.3
		appctl dpctl/del-flows bpf@ovs-bpf || return
	done
	wait $! && cmp "$TMP/fast" "$TMP/www/long"
}

nat_pipeline_passes()
{
	pipeline && nat_answers && ping_once "$A" 10.1.1.2 && fetches_a_page 10
}

strangers_do_not_pass()
{
	fails ping_once "$B" 10.1.1.1
}

# Slow enough, and larger than all buffers, so that it lasts over both restarts.
transfer_is_whole()
{
	poll_until 40 cmp "$TMP/long.got" "$TMP/www/long"
}

# An address is what the host has, a connection the table's; the old vswitchd's flows forward until
# the new one has its OpenFlow rules again and flow-restore-wait is cleared.
stays()
{
	on "$A" ping -qi 0.2 -c 30 -W 2 10.1.1.2 >"$TMP/ping" &
	local pinger=$!
	vsctl set open_vswitch . other_config:flow-restore-wait=true && "$1" || return
	ip -br addr show br0 | grep -q 10.1.1.100 && ctctl_lists && ping_once "$A" 10.1.1.2 || return
	ovs_vswitchd && flows_of 'ct(commit,zone=7' && ping_once "$A" 10.1.1.2 && pipeline || return
	vsctl remove open_vswitch . other_config flow-restore-wait && ping_once "$A" 10.1.1.2 || return
	wait "$pinger"
	cat "$TMP/ping"
	grep -q ' 0% packet loss' "$TMP/ping" && ctctl_lists
}

# Without flow-restore-wait the new vswitchd flushes when it is ready. What has no rule then is dropped
# (fail_mode), not forwarded untranslated, until the rules are there again.
resumes()
{
	# The setting empties the tables; revalidators see it a little later.
	vsctl set bridge br0 fail_mode=secure && pipeline && poll_until 10 ping_once "$A" 10.1.1.2 || return
	ovs_kill && ping_once "$A" 10.1.1.2 && BPFCT_OVS_CONNECTIONS=400000 ovs_vswitchd && poll_until 20 no_flow_of 'ct(commit,zone=7' && ctctl_lists &&
		fails on "$A" ping -qc 1 -W 1 10.1.1.2 && pipeline && poll_until 10 ping_once "$A" 10.1.1.2 && ctctl_lists
}
no_flow_of()
{
	local flows
	flows=$(appctl dpctl/dump-flows bpf@ovs-bpf) && ! grep "$1" <<<"$flows"
}

# The tables were made for 300,000, and a restart that asks for more leaves them and the connections as they are.
table_has_the_size_asked_for()
{
	[ "$(appctl dpctl/ct-get-maxconns bpf@ovs-bpf)" = 300000 ] && fails appctl dpctl/ct-set-maxconns bpf@ovs-bpf 300001 &&
		grep -q 'BPFCT_OVS_CONNECTIONS is for new maps' "$OVS_DIR/vswitchd.log"
}

# What dpctl sets is in force, and what it reads is the table's.
table_is_set_by_dpctl()
{
	appctl dpctl/ct-set-maxconns bpf@ovs-bpf 1000 && [ "$(appctl dpctl/ct-get-maxconns bpf@ovs-bpf)" = 1000 ] &&
		appctl dpctl/ct-set-limits bpf@ovs-bpf default=5000 zone=7,limit=3 &&
		appctl dpctl/ct-get-limits bpf@ovs-bpf zone=7,9 | tee "$TMP/limits" && grep -q '^zone=7,limit=3,count=[1-9]' "$TMP/limits" &&
		grep -q '^zone=9,limit=5000,count=0$' "$TMP/limits" &&
		appctl dpctl/ct-del-limits bpf@ovs-bpf zone=7 && appctl dpctl/ct-get-limits bpf@ovs-bpf zone=7 | grep -q '^zone=7,limit=5000'
}

flush_ends_connections()
{
	appctl dpctl/flush-conntrack zone=7 && [ -z "$(appctl dpctl/dump-conntrack bpf@ovs-bpf zone=7)" ]
}

nothing_is_left()
{
	vsctl del-br br0 || return
	poll_until 10 test ! -e /sys/fs/bpf/bpfct/ovs-bpf && ! ip link show br0 && ! ip -br link | grep ovsbpf
}

ovs_host
t bridge_comes_up draw_with_tables_of_300000
[ $FAILED = 0 ] || finish
web 40000000
t pings_pass_by_upcall_and_flow pings_pass
t address_of_a_port_does_not_answer port_address_is_silent
t internal_port_is_the_hosts internal_port_works
t internal_port_moves_to_a_namespace internal_port_moves
t vanished_device_is_noticed vanished_device_is_noticed
t moved_port_reaches_no_stranger moved_port_reaches_no_stranger
t offloads_survive_upcalls offloads_survive_upcalls
t ct_commit_nat_pipeline_passes nat_pipeline_passes
t connection_is_listed_by_dpctl_and_ctctl nat_is_in_the_table
t strangers_do_not_pass strangers_do_not_pass
serve "$A" curl -sf --limit-rate 2M -m 60 -o "$TMP/long.got" http://10.1.1.2:8000/long
t long_transfer_begins poll_until 10 test -s "$TMP/long.got"
t traffic_goes_on_over_an_exit stays ovs_end
t traffic_goes_on_over_a_kill stays ovs_kill
t traffic_resumes_after_a_flush resumes
t long_transfer_is_whole transfer_is_whole
t table_has_the_size_asked_for table_has_the_size_asked_for
t limits_are_set_by_dpctl table_is_set_by_dpctl
t flush_ends_connections flush_ends_connections
t nothing_is_left_of_the_datapath nothing_is_left
finish
