#!/bin/bash
# beside: yes
# timeout: 300
# Fragments of real programs through a masquerading router, to it and from it.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#
# The MTU of either side goes from 1280 to 9000. `tx off` on the router's devices
# shows wrong checksums: the receivers verify those of whole datagrams.
# NETNS_WITH=nft runs it against the kernel's own tracker.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need curl ping traceroute ethtool tcpdump

net_router
conf=$(
	config frag <<-END
		set default deny
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
		pass in on \$wan inet proto icmp icmp-type 8
		pass in on \$wan inet6 proto icmp6 icmp-type 128
		pass in on \$wan proto udp to self port 7000
		pass in on \$wan proto udp to 10.0.0.2 port 7000
		pass in on \$wan proto udp to fd00:1::2 port 7000
	END
)
start_ctd "$R" "$conf"
D=tests/lib/datagrams.py
for ns in "$C" "$R" "$S"; do
	serve "$ns" /usr/bin/python3 $D serve 7000
	poll_until 20 listening "$ns" 7000 u
done
serve "$S" /usr/bin/python3 $D unreachable 7001
poll_until 20 listening "$S" 7001 u
for proto in 132 47 253; do
	serve "$S" /usr/bin/python3 $D rawserve $proto 4
	serve "$S" /usr/bin/python3 $D rawserve $proto 6
done
serve_http "$S" 80

datagrams()
{
	on "$1" /usr/bin/python3 "$D" "${@:2}"
}
pings()
{
	on "$1" ping -c 2 -i 0.2 -W 2 -s "$3" "$2"
}
# mtu LAN WAN
mtu()
{
	on "$C" ip link set c0 mtu "$1" && on "$R" ip link set lan0 mtu "$1" &&
		on "$R" ip link set wan0 mtu "$2" && on "$S" ip link set s0 mtu "$2" &&
		for ns in "$C" "$R" "$S"; do
			on "$ns" ip route flush cache
			on "$ns" ip -6 route flush cache
		done
}

SIZES="1241 1473 2953 4000 8973 9200 20000 40000 65507"
SIZES6="1233 1453 2905 4000 8953 9200 20000 40000 65000 65487"
# traffic NAME
traffic()
{
	# shellcheck disable=SC2086 # lists
	t "udp_both_ways_v4_$1" datagrams "$C" echo "$S4" 7000 $SIZES
	# shellcheck disable=SC2086
	t "udp_both_ways_v6_$1" datagrams "$C" echo "$S6" 7000 $SIZES6
	t "large_answer_to_a_small_question_v4_$1" datagrams "$C" ask "$S4" 7000 4096
	t "large_answer_to_a_small_question_v6_$1" datagrams "$C" ask "$S6" 7000 4096
	t "ping_3000_v4_$1" pings "$C" "$S4" 3000
	t "ping_3000_v6_$1" pings "$C" "$S6" 3000
	t "ping_60000_v4_$1" pings "$C" "$S4" 60000
	t "ping_60000_v6_$1" pings "$C" "$S6" 60000
}
itself()
{
	local to4=$1 to6=$2 name=$3
	t "to_the_router_v4_$name" datagrams "$C" echo "$to4" 7000 3000 65507
	t "to_the_router_v6_$name" datagrams "$C" echo "$to6" 7000 3000 65000
	t "pings_the_router_v4_$name" pings "$C" "$to4" 60000
	t "pings_the_router_v6_$name" pings "$C" "$to6" 60000
}
from_the_router()
{
	t router_to_the_server_v4 datagrams "$R" echo "$S4" 7000 3000 65507
	t router_to_the_server_v6 datagrams "$R" echo "$S6" 7000 3000 65000
	t router_to_the_client_v4 datagrams "$R" echo $C4 7000 3000 65507
	t router_to_the_client_v6 datagrams "$R" echo $C6 7000 3000 65000
	t router_pings_the_server_v4 pings "$R" "$S4" 60000
	t router_pings_the_server_v6 pings "$R" "$S6" 60000
	t router_pings_the_client_v4 pings "$R" $C4 60000
	t router_pings_the_client_v6 pings "$R" $C6 60000
	t server_to_the_router_v4 datagrams "$S" echo "$RW4" 7000 3000 65507
	t server_to_the_router_v6 datagrams "$S" echo "$RW6" 7000 3000 65000
	t server_pings_the_router_v4 pings "$S" "$RW4" 60000
	t server_pings_the_router_v6 pings "$S" "$RW6" 60000
}

traffic mtu_1500
itself $RL4 $RL6 lan_address
itself "$RW4" "$RW6" wan_address
from_the_router

for proto in 132 47 253; do
	t "protocol_${proto}_v4" datagrams "$C" raw "$S4" $proto 20000
	t "protocol_${proto}_v6" datagrams "$C" raw "$S6" $proto 20000
done

# From outside to the inside, without translation.
on "$S" ip route add 10.0.0.0/24 via "$RW4"
on "$S" ip -6 route add fd00:1::/64 via "$RW6"
t from_outside_v4 datagrams "$S" echo $C4 7000 3000 65507
t from_outside_v6 datagrams "$S" echo $C6 7000 3000 65000
on "$S" ip route del 10.0.0.0/24
on "$S" ip -6 route del fd00:1::/64

# ICMP errors
t port_unreachable_quotes_a_large_datagram_v4 datagrams "$C" refused "$S4" 7999 3000
t port_unreachable_quotes_a_large_datagram_v6 datagrams "$C" refused "$S6" 7999 3000
t error_in_fragments_v4 datagrams "$C" refused "$S4" 7001 3000
t error_in_fragments_v6 datagrams "$C" refused "$S6" 7001 3000
t error_in_fragments_about_a_small_one_v4 datagrams "$C" refused "$S4" 7001 1460
hops()
{
	local out
	out=$(on "$C" traceroute -n -q 2 -w 1 -m 4 "$1" 3000)
	echo "$out"
	echo "$out" | awk -v a="$2" '$1 == 1 && $2 == a' | grep -q . || return 1
	echo "$out" | awk -v a="$1" '$1 == 2 && $2 == a' | grep -q .
}
t traceroute_of_3000_bytes_v4 hops "$S4" $RL4
t traceroute_of_3000_bytes_v6 hops "$S6" $RL6

# Hundreds at once, and a page beside them.
beside()
{
	local pid rc=0 n=0
	datagrams "$C" many "$1" 7000 100 6 >"$TMP/many" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		page "$C" "http://$2/page" || rc=1
		n=$((n + 1))
	done
	wait "$pid" || { cat "$TMP/many"; rc=1; }
	echo "$n pages"
	return "$rc"
}
t a_hundred_sockets_and_a_page_v4 beside "$S4" "$S4"
t a_hundred_sockets_and_a_page_v6 beside "$S6" "[$S6]"

for m in 1280 9000; do
	t "mtu_$m" mtu $m $m
	traffic mtu_$m
done
# The router's own ICMP errors about a fragment that is too long for the other
# side (IPv6), or fragments of fragments (IPv4).
t mtu_9000_inside_1500_outside mtu 9000 1500
traffic mtu_9000_to_1500
t mtu_1500_inside_9000_outside mtu 1500 9000
traffic mtu_1500_to_9000
t mtu_1500 mtu 1500 1500

# No segment offload, no partial checksums at the ends.
on "$C" ethtool -K c0 tx off gro off >/dev/null
on "$S" ethtool -K s0 tx off gro off >/dev/null
traffic without_offload

# TCP in fragments: a server whose segments have no DF, behind one more router,
# whose link to ours is narrower. Only IPv4 routers cut packets.
#
#   client ── router wan0 ── s0 (mtu 1280) server s1 (mtu 1500) ── far
F=$T-f F4=198.51.100.2
net_ns "$F"
net_link "$S" s1 "$F" f0
net_addr "$S" s1 198.51.100.1/24
net_addr "$F" f0 $F4/24
on "$F" ip route add default via 198.51.100.1
on "$R" ip route add 198.51.100.0/24 via "$S4"
on "$S" sysctl -qw net.ipv4.ip_forward=1
on "$F" sysctl -qw net.ipv4.ip_no_pmtu_disc=1
on "$F" ethtool -K f0 tx off tso off gso off >/dev/null
on "$S" ethtool -K s1 gro off >/dev/null
on "$S" ip link set s0 mtu 1280
serve_http "$F" 80
cut_segments()
{
	local before after
	before=$(on "$S" nstat -asz IpFragCreates | awk '/IpFragCreates/ { print $2 }')
	on "$C" curl -sS --max-time 60 -o "$TMP/got" "http://$F4/large" && cmp "$TMP/got" "$TMP/www/large" || return
	after=$(on "$S" nstat -asz IpFragCreates | awk '/IpFragCreates/ { print $2 }')
	echo "$((after - before)) fragments"
	[ $((after - before)) -gt 10000 ]
}
t tcp_in_fragments_v4 cut_segments

t page_v4 page "$C" "http://$S4/page"
t page_v6 page "$C" "http://[$S6]/page"
finish
