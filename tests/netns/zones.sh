#!/bin/bash
# beside: yes
# Two customers with the same numbers inside: each has a zone, an inside and an outside
# interface, and routes of its own. Towards one server, from one address and port, their
# connections are two.
#
#   client c0 10.0.0.2 ── 10.0.0.1 lan0 router wan0 203.0.113.1  ── s0 server   zone 0
#   other  o0 10.0.0.2 ── 10.0.0.1 lan5        wan5 198.51.100.1 ── s5          zone 5
#
# The server is 192.0.2.80 and 2001:db8:80::80 by both ways.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need ping

O5=$T-o
BOTH4=192.0.2.80 BOTH6=2001:db8:80::80
W5=198.51.100 W56=2001:db8:9:
net_router
net_ns "$O5"
net_link "$O5" o0 "$R" lan5
net_link "$R" wan5 "$S" s5
net_addr "$O5" o0 $C4/24 $C6/64
on "$O5" ip route add default via $RL4
on "$O5" ip -6 route add default via $RL6
on "$R" ip addr add $RL4/24 dev lan5 noprefixroute
on "$R" ip addr add $RL6/64 dev lan5 nodad noprefixroute
net_addr "$R" wan5 $W5.1/24 $W56:1/64
net_addr "$S" s5 $W5.2/24 $W56:2/64
net_addr "$S" lo $BOTH4/32 $BOTH6/128
# answers to UDP come from the address that was asked
on "$S" ip route replace 203.0.113.0/24 dev s0 src $BOTH4
on "$S" ip -6 route replace 2001:db8:2::/64 dev s0 src $BOTH6 metric 256
on "$S" ip route replace $W5.0/24 dev s5 src $BOTH4
on "$S" ip -6 route replace $W56:/64 dev s5 src $BOTH6 metric 256
on "$R" ip route add $BOTH4 via $S4
on "$R" ip -6 route add $BOTH6 via $S6
on "$R" ip route add 10.0.0.0/24 dev lan5 table 5
on "$R" ip route add default via $W5.2 table 5
on "$R" ip -6 route add "${C6%::*}::/64" dev lan5 table 5
on "$R" ip -6 route add default via $W56:2 table 5
for dev in lan5 wan5; do
	on "$R" ip rule add iif $dev lookup 5
	on "$R" ip -6 rule add iif $dev lookup 5
	on "$R" ethtool -K $dev tx off >/dev/null
done

conf=$(
	config zones <<-'END'
		set default deny
		set zone 5 on { lan5, wan5 }
		set zone 5 limit 1000
		set inside { lan0, lan5 }
		lan = { lan0, lan5 }
		nat out on wan0 from $lan.net -> (wan0)
		nat out on wan5 from $lan.net -> (wan5)
		pass in on $lan
	END
)
serve_echo "$S" 7000
start_ctd "$R" "$conf"

# same CLIENT EXPECTED-SOURCE FAMILY PROTO PORT TEXT
same()
{
	local to=$BOTH4 got
	[ "$3" = 4 ] || to=$BOTH6
	got=$(echo_from "$1" "$4" "$to" 7000 "$5" "$6") || { echo "$got"; return 1; }
	[ "$got" = "$2 $5 $6" ] || { echo "the server saw '$got', expected '$2 $5 $6'"; return 1; }
}
# Twice each, in turn: the second time over what the first one opened.
apart()
{
	same "$C" "$RW4" 4 "$1" 5555 one && same "$O5" "$W5.1" 4 "$1" 5555 two &&
		same "$C" "$RW6" 6 "$1" 5555 one6 && same "$O5" "$W56:1" 6 "$1" 5555 two6
}
t one_address_and_port_in_two_zones_is_two_connections apart udp
t and_each_keeps_its_own_when_it_goes_on apart udp
t over_tcp_too apart tcp

# in_zone ZONE EXPECTED-REPLY-DESTINATION: of the UDP connection from port 5555
in_zone()
{
	local list
	list=$(ctctl -L -f ipv4 -w "$1" -p udp --sport 5555 2>/dev/null)
	if [ "$(wc -l <<<"$list")" != 1 ] || ! grep -q "src=$C4 .*src=$BOTH4 dst=$2 " <<<"$list"; then
		echo "zone $1:"
		ctctl -L
		return 1
	fi
}
listed()
{
	in_zone 0 "$RW4" && in_zone 5 "$W5.1"
}
t each_is_listed_in_its_zone listed
# The zone is that of the interface; the same packet by the other one is of another connection.
explained()
{
	local ask=(proto udp from "$C4" port 5555 to "$BOTH4" port 7000)
	ctctl fw explain in on lan5 "${ask[@]}" >"$TMP/said" || { cat "$TMP/said"; return 1; }
	if ! grep -q '^zone: 5' "$TMP/said" || ! grep -q '^connection: udp, original' "$TMP/said" ||
		! grep -q '^route: out wan5' "$TMP/said"; then
		cat "$TMP/said"
		return 1
	fi
	ctctl fw explain in on lan0 "${ask[@]}" >"$TMP/said" || { cat "$TMP/said"; return 1; }
	if grep "^zone" "$TMP/said" || ! grep -q "^route: out wan0" "$TMP/said"; then
		cat "$TMP/said"
		return 1
	fi
	ctctl fw explain in on lan5 "${ask[@]/5555/5556}" | grep -q '^source: .*\(wan5\|198.51.100.1\)'
}
t explain_knows_the_zone explained
zone_counts()
{
	ctctl zone show | awk '$1 == 5 && $2 > 0 && $3 == 1000 { found = 1 } END { exit !found }' || { ctctl zone show; return 1; }
}
t the_zones_limit_counts_its_own zone_counts
flushed_alone()
{
	ctctl -D -w 5 >/dev/null 2>&1
	[ -z "$(ctctl -L -w 5 2>/dev/null)" ] && in_zone 0 "$RW4"
}
t one_zone_is_flushed_without_the_other flushed_alone
own()
{
	on "$R" ping -qc 1 -W 5 "$W5.2" >/dev/null || return
	ctctl -L -w 5 -p icmp 2>/dev/null | grep -q "src=$W5.1 dst=$W5.2" || { ctctl -L; return 1; }
}
t what_the_router_sends_is_of_the_zone_it_leaves_by own
errors()
{
	on "$O5" ping -qc 1 -t 2 -W 5 "$BOTH4" >/dev/null || { echo "no answer"; return 1; }
	on "$S" sysctl -qw net.ipv4.icmp_ratelimit=0
	local got
	got=$(on "$O5" /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.0.2", 5556))
s.settimeout(5)
s.connect((sys.argv[1], 9))
s.send(b"x")
try:
    s.recv(10)
except ConnectionRefusedError:
    print("refused")' "$BOTH4")
	[ "$got" = refused ] || { echo "the ICMP error did not come: $got"; return 1; }
}
t icmp_errors_find_the_way_to_their_zone errors
t nothing_is_wrong_with_the_tables ctctl check
finish
