#!/bin/bash
# beside: yes
# What changes on the router, a route, a neighbour, an MTU, a link, holds for the next packet of a
# connection that is redirected since long; another address for those that begin.
#
#   client ── lan0 router wan0 ── s0 server        (tests/lib/netns.sh: addresses)
#   10.0.0.2        │     wan1 ── s1 server
#                   192.0.2.1     192.0.2.2        the server is also 198.51.100.9, behind either
#
# IPv6: 2001:db8:3::1, ::2, 2001:db8:77::9. The server counts by interface what comes for it.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need jq

D4=198.51.100.9 D6=2001:db8:77::9
net_router
net_link "$R" wan1 "$S" s1
net_addr "$R" wan1 192.0.2.1/24 2001:db8:3::1/64
net_addr "$S" s1 192.0.2.2/24 2001:db8:3::2/64
net_addr "$S" lo $D4/32 $D6/128
# its unbound sockets answer from that address
on "$S" ip route replace 203.0.113.0/24 dev s0 src $D4
on "$S" ip route replace 192.0.2.0/24 dev s1 src $D4
for at in $RW6 2001:db8:2::77; do
	on "$S" ip -6 route add "$at/128" dev s0 src $D6
done
on "$S" ip -6 route add 2001:db8:3::1/128 dev s1 src $D6
on "$R" ethtool -K wan1 tx off >/dev/null
# the second way is there, and worse
on "$R" ip route add $D4 via $S4
on "$R" ip -6 route add $D6 via $S6
on "$R" ip route add $D4 via 192.0.2.2 metric 200
on "$R" ip -6 route add $D6 via 2001:db8:3::2 metric 2000
on "$S" nft -f - <<-END || exit 1
	table inet seen {
		counter s0 { }
		counter s1 { }
		chain in {
			type filter hook prerouting priority 0;
			iif s0 udp dport 7000 counter name s0
			iif s1 udp dport 7000 counter name s1
		}
	}
END
start_ctd "$R" "$(
	config changes <<-END
		set default deny
		lan = lan0
		nat out on wan0 from \$lan.net -> (wan0)
		nat out on wan1 from \$lan.net -> (wan1)
		pass in on \$lan
	END
)"
serve_echo "$S" 7000

target()
{
	[ "$1" = 4 ] && echo "$D4" || echo "$D6"
}
seen()
{
	on "$S" nft -j list counter inet seen "$1" | jq '.nftables[] | select(.counter) | .counter.packets'
}
# packet FAMILY [TEXT] : one of the connection, and its answer
packet()
{
	echo_from "$C" udp "$(target "$1")" 7000 4444 "${2:-hello}"
}
# by INTERFACE COMMAND... : what the command sends arrives there, all of it
by()
{
	local iface=$1 other=s0 n m
	[ "$iface" = s0 ] && other=s1
	shift
	n=$(seen "$iface") m=$(seen "$other")
	"$@" || return
	[ "$(seen "$iface")" -gt "$n" ] && [ "$(seen "$other")" = "$m" ] && return
	echo "by $iface $n -> $(seen "$iface"), by $other $m -> $(seen "$other")"
	return 1
}
redirected()
{
	local n
	packet "$1" && packet "$1" && sleep 2.2 && packet "$1" || return # UDP is confirmed after 2 s
	n=$(counter fast_forward)
	for _ in 1 2 3; do
		packet "$1" || return
	done
	[ "$(counter fast_forward)" -ge $((n + 6)) ] || { echo "fast_forward: $n -> $(counter fast_forward)"; return 1; }
}
# route FAMILY VIA
route()
{
	on "$R" ip -"$1" route replace "$(target "$1")" via "$2"
}
neighbour_moves()
{
	on "$S" ip link set s1 address "$1" && on "$R" ip neigh replace 192.0.2.2 lladdr "$1" dev wan1 &&
		on "$R" ip neigh replace 2001:db8:3::2 lladdr "$1" dev wan1
}
# An answer of 1,400 bytes fits nowhere on the way back but what it asks for does.
large()
{
	packet "$1" "$(printf 'x%.0s' {1..1400})" | grep -qE 'x{1400}'
}
told_of_mtu()
{
	large "$1"
	on "$C" ip route get "$(target "$1")" | grep -q 'mtu 1300' || { on "$C" ip route get "$(target "$1")"; return 1; }
}
too_big()
{
	local n
	n=$(seen s1)
	on "$R" ip link set wan1 mtu 1300 && told_of_mtu "$1" || return
	[ "$(seen s1)" = "$n" ] || { echo "it has passed"; return 1; }
}
fits_again()
{
	on "$R" ip link set wan1 mtu 1500
	on "$C" ip -"$1" route flush cache
	by s1 large "$1"
}
link_goes()
{
	packet 4 && packet 6 && on "$R" ip link set wan1 down && by s0 packet 4 && by s0 packet 6
}
# has FAMILY ADDRESS : whoever begins now comes from there
has()
{
	local got
	got=$(echo_from "$C" udp "$(target "$1")" 7000)
	[[ $got == *"$2 "* ]] || { echo "IPv$1: $got"; return 1; }
}
# Rules with (wan0) are compiled anew for it, which takes ctd some tens of milliseconds.
address_changes()
{
	on "$R" sysctl -qw net.ipv4.conf.wan0.promote_secondaries=1
	on "$R" ip addr add 203.0.113.77/24 dev wan0 && on "$R" ip addr del "$RW4/24" dev wan0 || return
	on "$R" ip addr add 2001:db8:2::77/64 dev wan0 nodad && on "$R" ip addr del "$RW6/64" dev wan0 || return
	poll_until 20 has 4 203.0.113.77 && poll_until 20 has 6 2001:db8:2::77
}

for f in 4 6; do
	first=$S4 second=192.0.2.2 mac=02:00:00:00:0$f:01
	[ $f = 4 ] || first=$S6 second=2001:db8:3::2
	t "is_redirected_v$f" redirected $f
	t "route_v$f" route $f $second
	t "next_packet_goes_by_the_new_route_v$f" by s1 packet $f
	t "neighbour_v$f" neighbour_moves $mac
	t "next_packet_goes_to_the_new_neighbour_v$f" by s1 packet $f
	t "next_packet_is_too_big_for_the_new_mtu_v$f" too_big $f
	t "next_packet_fits_the_mtu_before_v$f" fits_again $f
	t "route_back_v$f" route $f "$first"
	t "next_packet_goes_by_the_old_route_v$f" by s0 packet $f
done
t again_the_other_route_v4 route 4 192.0.2.2
t again_the_other_route_v6 route 6 2001:db8:3::2
on "$R" ip route add $D4 via $S4 metric 3000
on "$R" ip -6 route add $D6 via $S6 metric 3000
t next_packet_avoids_the_link_that_is_down link_goes
t new_connections_have_the_new_address address_changes
t table_is_consistent ctctl check
finish
