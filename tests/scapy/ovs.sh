#!/bin/bash
# beside: yes
# timeout: 300
# Packets by scapy through ct() under a real vswitchd: what Open vSwitch's own tests lack. The packets
# and what is wanted of them are in ovs_packets.py.
#
#   scapy ── w0 ── t0 ┐
#                    br0 (datapath_type=bpf)
#   scapy ── w1 ── t1 ┘
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh

ovs_cleanup()
{
	ovs_stop
	cleanup
}
trap ovs_cleanup EXIT

draw()
{
	local n
	ovs_start && vsctl add-br br0 -- set bridge br0 datapath_type=bpf || return
	for n in 0 1; do
		ip link add "t$n" type veth peer name "w$n" && ip link set "t$n" up && sysctl -qw "net.ipv6.conf.w$n.disable_ipv6=1" &&
			ip link set "w$n" up && vsctl add-port br0 "t$n" -- set interface "t$n" ofport_request=$((n + 1)) || return
	done
}

# packets NAME... : a line of result for each
packets()
{
	OVS_TREE=$OVS_TREE CTCTL=$CTCTL timeout 120 /usr/bin/python3 tests/scapy/ovs_packets.py "$@" || FAILED=1
}

restart()
{
	ovs_kill && ovs_vswitchd && poll_until 10 sh -c "'$OVS_TREE/utilities/ovs-ofctl' show br0 | grep -q t1"
}

ovs_host
t bridge_comes_up draw
[ $FAILED = 0 ] || finish
packets fragments6_are_translated_by_snat fragments6_are_translated_by_dnat fragments_are_counted_and_refused \
	largest_fragment_is_what_is_checked first_packets_keep_what_is_known deleted_flows_have_counted \
	all_of_a_connection_is_listed policies_are_of_a_zone what_has_expired_leaves_the_table fragments_keep_their_registers sequence_numbers_are_checked_when_asked \
	full_table_refuses_the_new_and_keeps_the_old flushes_take_what_they_name half_open_flood_evicts_nobody connections_are_opened
t vswitchd_is_killed_and_starts restart
packets connections_and_windows_outlive_vswitchd
finish
