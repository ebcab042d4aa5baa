#!/bin/bash
# beside: yes
# Tunnels and bridges as wan and lan of a masquerading router.
#
#   client c0 ──┐ p0                    wan0 ── s0 server 203.0.113.2
#   other  o0 ──┘ p1 = br0 router vx1 ~~ wan0/s0 ~~ vx1   server 198.51.100.2   VXLAN, the uplink
#   branch b0 ── lan1 ~~ vx0     router                                         VXLAN, a LAN
#   10.0.0.2, .3  br0 10.0.0.1        203.0.113.1, vx1 198.51.100.1
#   10.9.0.2      vx0 10.9.0.1        lan1 192.168.9.1, branch 192.168.9.2
#
# IPv6: fd00:1::, fd00:9::, 2001:db8:2::, 2001:db8:9:: in their places. Nobody outside knows a
# way to what is inside. `tx off` on the router's Ethernet devices: wrong checksums show.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh
need curl iperf3 ping

P=$T-o B=$T-b
V4=198.51.100.2 V6=2001:db8:9::2
net_ns "$C" "$R" "$S" "$P" "$B"
net_link "$C" c0 "$R" p0
net_link "$P" o0 "$R" p1
net_link "$B" b0 "$R" lan1
net_link "$R" wan0 "$S" s0
on "$R" ip link add br0 type bridge
for port in p0 p1; do
	on "$R" ip link set $port master br0
done
on "$R" ip link set br0 up
net_addr "$R" br0 10.0.0.1/24 fd00:1::1/64
net_addr "$R" lan1 192.168.9.1/24
net_addr "$R" wan0 $RW4/24 $RW6/64
net_addr "$S" s0 $S4/24 $S6/64
net_addr "$C" c0 10.0.0.2/24 fd00:1::2/64
net_addr "$P" o0 10.0.0.3/24 fd00:1::3/64
net_addr "$B" b0 192.168.9.2/24
# vxlan NS DEV ID LOCAL REMOTE UNDER ADDRESS...
vxlan()
{
	local ns=$1 dev=$2
	on "$ns" ip link add "$dev" type vxlan id "$3" local "$4" remote "$5" dev "$6" dstport 4789
	on "$ns" ip link set "$dev" up
	shift 6
	net_addr "$ns" "$dev" "$@"
}
vxlan "$R" vx0 10 192.168.9.1 192.168.9.2 lan1 10.9.0.1/24 fd00:9::1/64
vxlan "$B" vx0 10 192.168.9.2 192.168.9.1 b0 10.9.0.2/24 fd00:9::2/64
vxlan "$R" vx1 20 $RW4 $S4 wan0 198.51.100.1/24 2001:db8:9::1/64
vxlan "$S" vx1 20 $S4 $RW4 s0 $V4/24 $V6/64
for ns in "$C" "$P"; do
	on "$ns" ip route add default via 10.0.0.1
	on "$ns" ip -6 route add default via fd00:1::1
done
on "$B" ip route add default via 10.9.0.1
on "$B" ip -6 route add default via fd00:9::1
on "$R" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for dev in p0 p1 br0 lan1 vx0 vx1 wan0; do
	on "$R" ethtool -K $dev tx off >/dev/null 2>&1
done
conf=$(
	config devices <<-END
		set default deny
		lan = { br0, vx0 }
		nat out on wan0 from \$lan.net -> (wan0)
		nat out on vx1 from \$lan.net -> (vx1)
		pass in on \$lan
		pass in on lan1 proto udp from 192.168.9.2 to self port 4789
		pass in on wan0 proto udp from $S4 to self port 4789
	END
)
start_ctd "$R" "$conf"
serve_paths "$S"

refused()
{
	WAIT=1 fails echo_from "$@"
}
path bridge_to_ethernet "$C" $S4 $S6 $RW4 $RW6
path bridge_to_vxlan "$P" $V4 $V6 198.51.100.1 2001:db8:9::1
path vxlan_to_ethernet "$B" $S4 $S6 $RW4 $RW6
path vxlan_to_vxlan "$B" $V4 $V6 198.51.100.1 2001:db8:9::1
# What the bridge switches is not routed, and not ours.
t ports_talk_to_each_other on "$C" ping -c 2 -i 0.2 -W 2 10.0.0.3
serve_echo "$C" 7000
on "$S" ip route add 10.0.0.0/24 via 198.51.100.1
t vxlan_is_refused_from_outside refused "$S" tcp 10.0.0.2 7000
every_way()
{
	page "$C" "http://$S4/page" && page "$P" "http://[$V6]/page" && page "$B" "http://$V4/page" && page "$B" "http://[$S6]/page"
}
over_a_kill "$conf" "$B" "[$V6]" every_way
t redirected_into_the_tunnel test "$(counter fast_forward)" -ge 1000
over_a_move "$conf" "$B" "$V4" lan1,br0,vx0 every_way
t nothing_was_lost_to_nat test "$(counter nat_lost)" = 0
t no_checksum_failed test "$(counter csum_update)" = 0
t table_is_consistent ctctl check
finish
