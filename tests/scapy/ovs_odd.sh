#!/bin/bash
# beside: yes
# timeout: 120
# Odd packets through our datapath and through the userspace one of the same vswitchd: the keys of
# their flows, counts and what leaves have to be the same. The packets are in ovs_odd_frames.py.
#
#   scapy ── w0 ── t0 ┐                         ┌ u0 ── x0 ── scapy
#                    br0 (bpf)     (netdev) br1
#   scapy ── w1 ── t1 ┘                         └ u1 ── x1 ── scapy
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

wires() # BRIDGE, PORTS' NAME, WIRES' NAME
{
	local n
	for n in 0 1; do
		ip link add "$2$n" type veth peer name "$3$n" && sysctl -qw "net.ipv6.conf.$3$n.disable_ipv6=1" "net.ipv6.conf.$2$n.disable_ipv6=1" &&
			ip link set "$2$n" up && ip link set "$3$n" up && vsctl add-port "$1" "$2$n" -- set interface "$2$n" ofport_request=$((n + 1)) || return
	done
}

draw()
{
	ovs_start && vsctl add-br br0 -- set bridge br0 datapath_type=bpf &&
		vsctl add-br br1 -- set bridge br1 datapath_type=netdev && wires br0 t w && wires br1 u x
}

ovs_host
t both_bridges_come_up draw
[ $FAILED = 0 ] || finish
# shellcheck disable=SC2086 # words for a run by hand
OVS_TREE=$OVS_TREE CTCTL=$CTCTL timeout 100 /usr/bin/python3 tests/scapy/ovs_odd.py ${ODD:-} || FAILED=1
finish
