#!/bin/bash
# Real programs through a masquerading router.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#   10.0.0.2                      203.0.113.2
#
# The server has no route back to the client's addresses. Each program runs with
# checksum offload in the ends (partial checksums through the router), then
# without (full ones); the router's own egress has none in either case.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/servers.sh
. tests/lib/servers.sh
need curl iperf3 ping traceroute dig tcpdump ethtool

net_router
conf=$(
	config masquerade <<-END
		set default deny
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
		pass in on \$wan inet proto icmp icmp-type 8
		pass in on \$wan inet6 proto icmp6 icmp-type 128
		pass in on \$wan proto tcp to self port 8080
	END
)
start_ctd "$R" "$conf"
serve_http "$S" 80
serve_http "$R" 8080
serve "$S" iperf3 -s
poll_until 10 listening "$S" 5201

serve_dnsmasq "$S" --address=/page.test/203.0.113.99 --address=/page.test/2001:db8::99 ||
	echo "FAIL dns_server_starts: $(cat "$TMP"/serve.* | tail -n 1)"

# All that arrives is captured; what leaves has partial checksums by right.
capture()
{
	serve "$1" tcpdump -i "$2" -Q in -s 200 -nn -U -w "$TMP/$2.pcap" "tcp port 80 or udp or icmp or icmp6"
	poll_until 10 test -s "$TMP/$2.pcap"
}

wrong_checksums()
{
	local found pattern='incorrect|bad (udp )?cksum|wrong icmp cksum'
	# An ICMP error quotes what its sender was given, a partial checksum then: the
	# quoted packet is the indented one.
	tcpdump -r "$TMP/$1.pcap" -nn -vv 2>/dev/null |
		awk '/^\tIP/ { quoted = 1; next } quoted { quoted = 0; next } 1' >"$TMP/$1.txt"
	found=$(grep -cE "$pattern" "$TMP/$1.txt")
	[ -s "$TMP/$1.txt" ] || { echo "captured nothing at $1"; return 1; }
	[ "$found" = 0 ] && return
	grep -B1 -E "$pattern" "$TMP/$1.txt" | head -n 6
	echo "$found packets with a wrong checksum arrived at $1"
	return 1
}

sees_only_the_router()
{
	local other
	other=$(tcpdump -r "$TMP/s0.pcap" -nn 2>/dev/null | grep -E "IP6? ($C4|$C6)[. ]")
	[ -z "$other" ] || { echo "$other" | head -n 3; echo "the client's own address arrived"; return 1; }
}

download()
{
	on "$C" curl -sS --max-time 60 -o "$TMP/got" "http://$1/large" && cmp "$TMP/got" "$TMP/www/large"
}

# The server may not be done with the test before.
upload()
{
	for _ in 1 2 3 4 5; do
		on "$C" iperf3 -c "$1" -n 20M >"$TMP/iperf" 2>&1 && return
		grep -q 'server is busy' "$TMP/iperf" || break
		sleep 0.5
	done
	cat "$TMP/iperf"
	return 1
}

iperf_udp()
{
	on "$C" iperf3 -c "$1" -u -b 6M -w 200K -t 1 -l 1200 "${@:2}" -J >"$TMP/iperf.json" 2>&1
	jq -e '.end.sum.lost_percent < 5 and .end.sum.packets > 500' "$TMP/iperf.json" >/dev/null ||
		{ jq -c '.error, .end.sum' "$TMP/iperf.json"; return 1; }
}

dns()
{
	local got
	got=$(on "$C" dig +short +time=2 +tries=2 "@$1" page.test "$2")
	[ "$got" = "$3" ] || { echo "got '$got', not '$3'"; return 1; }
}

# hops ADDRESS FIRST-HOP OPTION... : the router, then the server
hops()
{
	local to=$1 first=$2 out
	shift 2
	out=$(on "$C" traceroute -n -q 2 -w 1 -m 4 "$@" "$to")
	echo "$out"
	echo "$out" | awk -v a="$first" '$1 == 1 && $2 == a' | grep -q . || return 1
	echo "$out" | awk -v a="$to" '$1 == 2 && $2 == a' | grep -q .
}

# traffic SUFFIX: everything once
traffic()
{
	t "curl_v4_$1" page "$C" "http://$S4/page"
	t "curl_v6_$1" page "$C" "http://[$S6]/page"
	t "ping_v4_$1" on "$C" ping -c 3 -i 0.2 -W 2 "$S4"
	t "ping_v6_$1" on "$C" ping -c 3 -i 0.2 -W 2 "$S6"
	t "big_ping_v4_with_df_$1" on "$C" ping -c 2 -i 0.2 -W 2 -M "do" -s 1472 "$S4"
	t "big_ping_v6_with_df_$1" on "$C" ping -c 2 -i 0.2 -W 2 -M "do" -s 1452 "$S6"
	t "dns_v4_$1" dns "$S4" A 203.0.113.99
	t "dns_v6_$1" dns "$S6" AAAA 2001:db8::99
	t "traceroute_udp_v4_$1" hops "$S4" "$RL4"
	t "traceroute_udp_v6_$1" hops "$S6" "$RL6"
	t "traceroute_icmp_v4_$1" hops "$S4" "$RL4" -I
	t "traceroute_icmp_v6_$1" hops "$S6" "$RL6" -I
}

bulk()
{
	t "download_v4_$1" download "$S4"
	t "download_v6_$1" download "[$S6]"
	t "iperf_tcp_v4_$1" upload "$S4"
	t "iperf_tcp_v6_$1" upload "$S6"
	t "iperf_udp_v4_$1" iperf_udp "$S4"
	t "iperf_udp_v6_$1" iperf_udp "$S6"
	t "iperf_udp_reverse_v4_$1" iperf_udp "$S4" -R
	t "iperf_udp_reverse_v6_$1" iperf_udp "$S6" -R
}

router_itself()
{
	t router_fetches_v4_as_a_client page "$R" "http://$S4/page"
	t router_fetches_v6_as_a_client page "$R" "http://[$S6]/page"
	t router_serves_the_lan_v4 page "$C" "http://$RL4:8080/page"
	t router_serves_the_lan_v6 page "$C" "http://[$RL6]:8080/page"
	t router_serves_the_wan_v4 page "$S" "http://$RW4:8080/page"
	t router_serves_the_wan_v6 page "$S" "http://[$RW6]:8080/page"
	t router_serves_the_lan_on_its_wan_address page "$C" "http://$RW4:8080/page"
	t router_pings_both_sides_v4 on "$R" sh -c "ping -c 1 -W 2 $C4 && ping -c 1 -W 2 $S4"
	t router_pings_both_sides_v6 on "$R" sh -c "ping -c 1 -W 2 $C6 && ping -c 1 -W 2 $S6"
	t server_pings_the_router_v4 on "$S" ping -c 1 -W 2 "$RW4"
	t server_pings_the_router_v6 on "$S" ping -c 1 -W 2 "$RW6"
}

capture "$S" s0
capture "$C" c0
traffic offloaded
router_itself
on "$S" ethtool -K s0 tx off >/dev/null
on "$C" ethtool -K c0 tx off >/dev/null
traffic plain
sleep 0.5 # tcpdump's buffer
kill "${PIDS[@]: -2}"
unset 'PIDS[-1]' 'PIDS[-1]'
t server_gets_right_checksums wrong_checksums s0
t client_gets_right_checksums wrong_checksums c0
t server_never_sees_the_clients_address sees_only_the_router
bulk plain
on "$S" ethtool -K s0 tx on >/dev/null
on "$C" ethtool -K c0 tx on >/dev/null
bulk offloaded
finish
