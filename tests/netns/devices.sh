#!/bin/bash
# beside: yes
# What else than plain Ethernet frames passes a masquerading router: devices
# without a link header on either side, packets of many segments with partial
# checksums, IPv4 options, IPv6 extension headers, neighbour discovery.
#
#   client c0 ── lan0 router wan0 ── server          (tests/lib/netns.sh: addresses)
#   branch tun0 ~~ tun0 router tun1 ~~ tun0 far      tun, no link header
#   10.9.0.2       10.9.0.1    198.51.100.1  198.51.100.2
#   fd00:9::2      fd00:9::1   2001:db8:9::1 2001:db8:9::2
#
# Neither the server nor far knows a way to what is inside. `tx off` on the router's
# Ethernet devices: wrong checksums show. The tuns keep partial ones.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need curl ping iperf3 tcpdump traceroute

B=$T-b F=$T-f
F4=198.51.100.2 F6=2001:db8:9::2
net_router
net_ns "$B" "$F"
# pair NS DEV NS DEV
pair()
{
	serve "$1" /usr/bin/python3 tests/lib/tun_pair.py "$@"
	poll_until 10 grep -q ready "$TMP/serve.$((${#PIDS[@]} - 1))"
	on "$1" ip link set "$2" up
	on "$3" ip link set "$4" up
}
pair "$B" tun0 "$R" tun0
pair "$R" tun1 "$F" tun0
net_addr "$B" tun0 10.9.0.2/24 fd00:9::2/64
net_addr "$R" tun0 10.9.0.1/24 fd00:9::1/64
net_addr "$R" tun1 198.51.100.1/24 2001:db8:9::1/64
net_addr "$F" tun0 $F4/24 $F6/64
on "$B" ip route add default dev tun0
on "$B" ip -6 route add default dev tun0
conf=$(
	config devices <<-END
		set default deny
		lan = { lan0, tun0 }
		nat out on wan0 from \$lan.net -> (wan0)
		nat out on tun1 from \$lan.net -> (tun1)
		pass in on \$lan
	END
)
start_ctd "$R" "$conf"
for ns in "$S" "$F"; do
	serve_http "$ns" 80
	serve_echo "$ns" 7000
	serve "$ns" iperf3 -s
	poll_until 10 listening "$ns" 5201
	serve "$ns" /usr/bin/python3 tests/lib/udp_gso.py serve 7100
	poll_until 10 listening "$ns" 7100 u
done

# seen_as ADDRESS COMMAND... : the far end's answer begins with this address
seen_as()
{
	local want=$1 got
	shift
	got=$("$@") || { echo "$got"; return 1; }
	got=$(head -n 1 <<<"${got#::ffff:}")
	[[ $got == "$want "* ]] || { echo "seen as '$got', not from $want"; return 1; }
}
download()
{
	on "$1" curl -sS --max-time 60 -o "$TMP/got" "http://$2/large" && cmp "$TMP/got" "$TMP/www/large"
}
upload()
{
	on "$1" timeout 60 iperf3 -c "$2" -n 20M >"$TMP/iperf" 2>&1 || { cat "$TMP/iperf"; return 1; }
}
gso()
{
	on "$1" /usr/bin/python3 tests/lib/udp_gso.py burst "$2" 7100 40
}
# path NAME FROM SERVER4 SERVER6 OUR4 OUR6
path()
{
	t "page_v4_$1" page "$2" "http://$3/page"
	t "page_v6_$1" page "$2" "http://[$4]/page"
	t "ping_v4_$1" on "$2" ping -c 2 -i 0.2 -W 2 "$3"
	t "ping_v6_$1" on "$2" ping -c 2 -i 0.2 -W 2 "$4"
	t "udp_v4_$1" seen_as "$5" echo_from "$2" udp "$3" 7000
	t "udp_v6_$1" seen_as "$6" echo_from "$2" udp "$4" 7000
	t "tcp_v4_$1" seen_as "$5" echo_from "$2" tcp "$3" 7000
	t "tcp_v6_$1" seen_as "$6" echo_from "$2" tcp "$4" 7000
	t "download_v4_$1" download "$2" "$3"
	t "download_v6_$1" download "$2" "[$4]"
	t "upload_v4_$1" upload "$2" "$3"
	t "upload_v6_$1" upload "$2" "$4"
	t "udp_segments_both_ways_v4_$1" seen_as "$5" gso "$2" "$3"
	t "udp_segments_both_ways_v6_$1" seen_as "$6" gso "$2" "$4"
	t "traceroute_v4_$1" hops "$2" "$3"
	t "traceroute_v6_$1" hops "$2" "$4"
}
hops()
{
	on "$1" traceroute -n -q 2 -w 1 -m 3 "$2" | tee "$TMP/hops" | awk -v a="$2" '$1 == 2 && $2 == a' | grep -q . && return
	cat "$TMP/hops"
	return 1
}
path ethernet_to_ethernet "$C" $S4 $S6 $RW4 $RW6
path tun_to_ethernet "$B" $S4 $S6 $RW4 $RW6
path ethernet_to_tun "$C" $F4 $F6 198.51.100.1 2001:db8:9::1
path tun_to_tun "$B" $F4 $F6 198.51.100.1 2001:db8:9::1
refused()
{
	WAIT=1 fails echo_from "$@"
}
serve_echo "$B" 7000
on "$F" ip route add 10.9.0.0/24 dev tun0
t tun_is_refused_from_outside refused "$F" tcp 10.9.0.2 7000

options()
{
	on "$C" /usr/bin/python3 tests/lib/options_client.py "$@"
}
on "$R" sysctl -qw net.ipv4.conf.all.accept_source_route=0
for proto in udp tcp; do
	for kind in nops timestamp record_route; do
		t "ipv4_option_${kind}_$proto" seen_as $RW4 options $proto $S4 7000 $kind
	done
	for kind in hop_by_hop destination chain; do
		t "ipv6_header_${kind}_$proto" seen_as $RW6 options $proto $S6 7000 $kind
	done
done
# What the stack writes into the options must not make it another packet.
counted_once()
{
	local clashes
	clashes=$(counter tuple_clash)
	[ "$clashes" = 0 ] || { echo "$clashes packets clashed with their own connection"; return 1; }
	options udp "$S4" 7000 record_route >"$TMP/seen" || return
	ctctl -L -p udp -s "$C4" -d "$S4" --dport 7000 --sport "$(awk '{ print $2 }' "$TMP/seen")" >"$TMP/entry" 2>/dev/null
	grep -q 'packets=1 .*packets=1 ' "$TMP/entry" && return
	cat "$TMP/entry"
	return 1
}
t packets_with_options_are_counted_once counted_once

# Default deny and not one rule that passes ICMPv6 in on wan0.
rediscovered()
{
	on "$R" ip -6 neigh flush dev wan0
	on "$S" ip -6 neigh flush dev s0
	on "$C" ping -c 1 -W 3 "$S6" || return
	on "$S" ip -6 neigh flush dev s0
	# the server asks, the router answers; the connection itself is refused by the rules
	refused "$S" tcp "$RW6" 7000 || return
	poll_until 5 neighbour
}
neighbour()
{
	on "$S" ip -6 neigh show "$RW6" dev s0 | grep -E 'REACHABLE|DELAY|PROBE|STALE'
}
t neighbours_are_found_anew rediscovered
# A membership report leaves, and no entry is made of it or of neighbour discovery.
reported()
{
	serve "$S" tcpdump -i s0 -nn -U -w "$TMP/mld.pcap" "ip6 and ip6[40] = 143 or ip6[48] = 143"
	poll_until 10 test -s "$TMP/mld.pcap"
	on "$R" ip maddr add 33:33:00:00:12:34 dev wan0
	on "$R" /usr/bin/python3 -c 'import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(41, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, "ff05::1234") + socket.if_nametoindex("wan0").to_bytes(4, "little"))
time.sleep(2)'
	tcpdump -nnr "$TMP/mld.pcap" 2>/dev/null | grep -q "multicast listener report" || { echo "no report arrived"; return 1; }
}
t multicast_report_leaves reported
none_of_them_tracked()
{
	ctctl -L -f ipv6 -p icmpv6 2>/dev/null | grep -vE 'type=(128|129) ' || return 0
	return 1
}
t discovery_and_reports_are_not_tracked none_of_them_tracked
t nothing_was_lost_to_nat test "$(counter nat_lost)" = 0
t no_checksum_failed test "$(counter csum_update)" = 0
t table_is_consistent ctctl check
finish
