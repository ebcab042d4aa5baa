#!/bin/bash
# beside: yes
# What changes on the router, a route, a neighbour, an MTU, a link, holds for the next packet of a
# connection that is redirected since long; another address for those that begin. ctd is stopped
# (SIGSTOP) from before the change until after that packet: not even its next turn may be needed.
#
#   client ── lan0 router wan0 ── s0 server        (tests/lib/netns.sh: addresses)
#   10.0.0.2        │     wan1 ── s1 server
#                   192.0.2.1     192.0.2.2        the server is also 198.51.100.9, behind either
#
# IPv6: 2001:db8:3::1, ::2, 2001:db8:77::9. The server counts by interface what comes for it.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh
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
		counter inside { }
		chain in {
			type filter hook prerouting priority 0;
			iif s0 udp dport 7000 counter name s0
			iif s1 udp dport 7000 counter name s1
			ip saddr { 10.0.0.0/24, 10.9.0.0/24 } counter name inside
		}
	}
END
CONF=$(
	config changes <<-END
		set default deny
		lan = lan0
		nat out on wan0 from \$lan.net -> (wan0)
		nat out on wan1 from \$lan.net -> (wan1)
		pass in on \$lan
	END
)
start_ctd "$R" "$CONF"
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
# neighbour_moves MAC [STATE]
neighbour_moves()
{
	on "$S" ip link set s1 address "$1" || return
	on "$R" ip neigh replace 192.0.2.2 lladdr "$1" dev wan1 nud "${2:-permanent}" &&
		on "$R" ip neigh replace 2001:db8:3::2 lladdr "$1" dev wan1 nud "${2:-permanent}"
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
# halted COMMAND... : while ctd does not run, for less than the 5 s after which it counts as dead
halted()
{
	local ret
	kill -STOP "$CTD_PID"
	"$@"
	ret=$?
	kill -CONT "$CTD_PID"
	return "$ret"
}
# has FAMILY ADDRESS : whoever begins now comes from there
has()
{
	local got
	got=$(echo_from "$C" udp "$(target "$1")" 7000)
	[[ $got == *"$2 "* ]] || { echo "IPv$1: $got"; return 1; }
}
# has_none FAMILY : whoever begins now gets nowhere
has_none()
{
	local n
	n=$(seen s0)
	if WAIT=0.5 echo_from "$C" udp "$(target "$1")" 7000 || [ "$(seen s0)" != "$n" ]; then
		echo "IPv$1 has passed"
		return 1
	fi
}
wan()
{
	on "$R" ip addr "$@" dev wan0
}
other_address()
{
	wan add 203.0.113.77/24 && wan del "$RW4/24" && has 4 203.0.113.77 || return
	wan add 2001:db8:2::77/64 nodad && wan del "$RW6/64" && has 6 2001:db8:2::77
}
# The second of two is kept for when the first goes; of three in a row the last one there is.
several_addresses()
{
	wan add 203.0.113.78/24 && has 4 203.0.113.77 && wan del 203.0.113.77/24 && has 4 203.0.113.78 || return
	wan add 2001:db8:2::78/64 nodad && has 6 2001:db8:2::77 && wan del 2001:db8:2::77/64 && has 6 2001:db8:2::78
}
# Routes stay: of what has no address on wan0 the packets would leave with the inside's.
no_address()
{
	wan del 203.0.113.78/24 && has_none 4 && wan del 2001:db8:2::78/64 && has_none 6
}
first_address()
{
	wan add "$RW4/24" && has 4 "$RW4" && wan add "$RW6/64" nodad && has 6 "$RW6"
}
# What goes by a link that is not there any more has no way.
gone()
{
	ctctl -L 2>/dev/null | grep -F "dst=$1 " && return 1
	return 0
}
held_open()
{
	packet 4 && has 4 203.0.113.77 && ctctl -L 2>/dev/null | grep -qF 'dst=203.0.113.77 '
}
# Rules name $lan.net: until they are compiled anew nothing of the new network leaves as it is.
new_network()
{
	on "$R" ip addr add 10.9.0.1/24 dev lan0
	SOURCE=10.9.0.2 WAIT=0.5 echo_from "$C" udp "$D4" 7000
	[ "$(seen inside)" = 0 ] || { echo "untranslated"; return 1; }
}
from_new_network()
{
	local got
	got=$(SOURCE=10.9.0.2 echo_from "$C" udp "$D4" 7000)
	[[ $got == "$RW4 "* ]] || { echo "$got"; return 1; }
}
counted()
{
	[ "$(counter fw_late)" -gt 0 ] && [ "$(counter nat_no_address)" -ge 2 ] && [ "$(seen inside)" = 0 ]
}
both_by_s1()
{
	by s1 packet 4 && by s1 packet 6
}

# changes FAMILY : a change, then the packet
next_by()
{
	local iface=$1 family=$2
	shift 2
	"$@" && by "$iface" packet "$family"
}
for f in 4 6; do
	first=$S4 second=192.0.2.2 mac=02:00:00:00:0$f:01
	[ $f = 4 ] || first=$S6 second=2001:db8:3::2
	packet $f >/dev/null && packet $f >/dev/null && sleep 2.2 && packet $f >/dev/null # UDP is confirmed after 2 s
	t "is_redirected_v$f" redirected $f
	t "next_packet_goes_by_the_new_route_v$f" halted next_by s1 $f route $f $second
	t "next_packet_goes_to_the_new_neighbour_v$f" halted next_by s1 $f neighbour_moves $mac
	t "next_packet_is_too_big_for_the_new_mtu_v$f" halted too_big $f
	t "next_packet_fits_the_mtu_before_v$f" halted fits_again $f
	t "next_packet_goes_by_the_old_route_v$f" halted next_by s0 $f route $f "$first"
	t "is_redirected_still_v$f" redirected $f
done
t again_the_other_route_v4 route 4 192.0.2.2
t again_the_other_route_v6 route 6 2001:db8:3::2
on "$R" ip route add $D4 via $S4 metric 3000
on "$R" ip -6 route add $D6 via $S6 metric 3000
t next_packet_avoids_the_link_that_is_down halted link_goes
on "$R" ip link set wan1 up
net_addr "$R" wan1 2001:db8:3::1/64
# permanent: nobody tells of them until they are changed
t neighbours_are_entered neighbour_moves 02:00:00:00:06:01
kill_ctd
route 4 192.0.2.2
route 6 2001:db8:3::2
start_ctd "$R" "$CONF"
t next_packet_after_a_restart_goes_by_the_new_route halted both_by_s1
# Those which that ctd has found, and was not told of
for f in 4 6; do
	t "is_redirected_to_a_neighbour_from_before_v$f" redirected $f
done
old_neighbour_moves()
{
	neighbour_moves 02:00:00:00:07:01 reachable && by s1 packet 4 && by s1 packet 6
}
t next_packet_goes_to_the_neighbour_from_before halted old_neighbour_moves
# A scan of a network where nobody is: all look their routes up again for neighbours that were used,
# not for those.
unknown()
{
	[ "$(on "$R" ip neigh show dev wan1 nud failed | wc -l)" -ge "$1" ]
}
scan()
{
	local before n=40
	before=$(status .route_epoch)
	on "$C" /usr/bin/python3 -c '
import socket, sys
for i in range(100, 100 + int(sys.argv[1])):
    for family, to in (socket.AF_INET, f"192.0.2.{i}"), (socket.AF_INET6, f"2001:db8:3::{i}"):
        socket.socket(family, socket.SOCK_DGRAM).sendto(b"?", (to, 9))' "$n"
	poll_until 20 unknown $((2 * n)) || return
	echo "epochs $before - $(status .route_epoch), $(on "$R" ip neigh show dev wan1 nud failed | wc -l) failed"
	[ $(($(status .route_epoch) - before)) -lt 10 ]
}
t scan_of_a_lan_costs_no_routes scan
t back_v4 route 4 $S4
t back_v6 route 6 $S6

# the networks' routes stay though addresses go
on "$R" sysctl -qw net.ipv4.conf.wan0.promote_secondaries=1
on "$R" ip addr add 169.254.7.1/24 dev wan0 scope link
on "$R" ip route add 203.0.113.0/24 dev wan0 metric 2000
on "$R" ip -6 route add 2001:db8:2::/64 dev wan0 metric 2000
for at in $RW6 2001:db8:2::77 2001:db8:2::78; do
	on "$S" ip -6 route replace "$at/128" dev s0 src $D6
done
on "$C" ip addr add 10.9.0.2/24 dev c0
t next_connection_has_the_new_address halted other_address
t connections_with_that_address held_open
t next_connection_has_the_second_when_the_first_goes halted several_addresses
t connections_with_the_old_address_die poll_until 5 gone 203.0.113.77
t next_connection_gets_no_address_that_is_gone halted no_address
t next_connection_has_the_address_that_comes halted first_address
t nothing_leaves_untranslated_while_rules_are_old halted new_network
t the_new_network_is_translated poll_until 20 from_new_network
t is_counted counted
t table_is_consistent ctctl check

# From the moment in which ctd is killed nobody tells of changes: routes are the stack's.
both_change()
{
	next_by s1 4 route 4 192.0.2.2 && next_by s1 6 route 6 2001:db8:3::2 &&
		next_by s0 4 route 4 "$S4" && next_by s0 6 route 6 "$S6"
}
route_changes()
{
	halted next_by s1 4 route 4 192.0.2.2 && halted next_by s0 4 route 4 "$S4"
}
t is_redirected_before_ctd_is_killed redirected 4
serve_http "$S" 80
over_a_kill "$CONF" "$C" $S4 both_change
over_a_move "$CONF" "$C" $S4 lan0 route_changes
finish
