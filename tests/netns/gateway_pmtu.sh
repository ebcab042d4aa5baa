#!/bin/bash
# beside: yes
# Path MTU through a masquerading router: who is told that a packet is too big, in which
# view of the addresses, and that large transfers end well.
#
#   client c0 ── lan0 router wan0 ══ m0 mid m1 ══ n0 near n1 ── s0 server
#                1500           1400           1280           1500
#   10.0.0.2          203.0.113.1   .2  198.51.100.1  .2  192.0.2.1   .2
#   fd00:1::2         2001:db8:2::1 ::2 2001:db8:3::1 ::2 2001:db8:4::1 ::2
#
#   dmz    d0 ── lan1                 what the client sends to RW4:5204, with a source of the router's own
#   10.0.1.2/24  10.0.1.1/24, 1280
#
# The router says 1400, mid says 1280: to the router's address, about a packet of the router's.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh
need iperf3 nft ping tcpdump

M=$T-m N=$T-n D=$T-d
M4=203.0.113.2 M6=2001:db8:2::2
E4=192.0.2.2 E6=2001:db8:4::2
D4=10.0.1.2 D6=fd00:2::2
net_ns "$C" "$R" "$M" "$N" "$S" "$D"
net_link "$C" c0 "$R" lan0
net_link "$D" d0 "$R" lan1
net_link "$R" wan0 "$M" m0
net_link "$M" m1 "$N" n0
net_link "$N" n1 "$S" s0
net_addr "$C" c0 $C4/24 $C6/64
net_addr "$R" lan0 $RL4/24 $RL6/64
net_addr "$D" d0 $D4/24 $D6/64
net_addr "$R" lan1 10.0.1.1/24 fd00:2::1/64
net_addr "$R" wan0 $RW4/24 $RW6/64
net_addr "$M" m0 $M4/24 $M6/64
net_addr "$M" m1 198.51.100.1/24 2001:db8:3::1/64
net_addr "$N" n0 198.51.100.2/24 2001:db8:3::2/64
net_addr "$N" n1 192.0.2.1/24 2001:db8:4::1/64
net_addr "$S" s0 $E4/24 $E6/64
for ns in "$R" "$M" "$N"; do
	on "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
done
# Too-bigs in a row are not rationed here, neither by the router nor by mid.
for ns in "$R" "$M" "$N"; do
	on "$ns" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
done
default()
{
	on "$1" ip route add default via "$2"
	on "$1" ip -6 route add default via "$3"
}
default "$C" $RL4 $RL6
default "$D" 10.0.1.1 fd00:2::1
default "$R" $M4 $M6
default "$S" 192.0.2.1 2001:db8:4::1
on "$M" ip route add 192.0.2.0/24 via 198.51.100.2
on "$M" ip -6 route add 2001:db8:4::/64 via 2001:db8:3::2
default "$N" 198.51.100.1 2001:db8:3::1
on "$R" ethtool -K wan0 tx off >/dev/null
on "$R" ethtool -K lan0 tx off >/dev/null
on "$R" ethtool -K lan1 tx off >/dev/null
on "$R" ip link set lan1 mtu 1280
# links MTU-OF-WAN MTU-BEYOND
links()
{
	on "$R" ip link set wan0 mtu "$1" && on "$M" ip link set m0 mtu "$1" &&
		on "$M" ip link set m1 mtu "$2" && on "$N" ip link set n0 mtu "$2"
}
links 1400 1280
rules()
{
	cat <<-END
		set default deny
		$1
		wan = wan0
		lan = { lan0, lan1 }
		nat out on \$wan from \$lan.net -> (\$wan)
		nat out on lan1 from { $E4, $E6 } -> (lan1)
		forward in on \$wan inet proto tcp port 5204 -> $D4 hairpin
		forward in on \$wan inet6 proto tcp port 5204 -> $D6 hairpin
		forward in on \$wan inet proto { tcp, udp } port 5202 -> $C4
		forward in on \$wan inet6 proto { tcp, udp } port 5202 -> $C6
		pass in on \$lan
	END
}
rules "" >"$TMP/plain.conf"
rules "set mss clamp" >"$TMP/clamp.conf"
for port in 5201 5203; do
	serve "$S" iperf3 -s -p $port
done
serve "$C" iperf3 -s -p 5202
serve "$D" iperf3 -s -p 5204
serve_http "$S" 80
poll_until 10 listening "$S" 5201
poll_until 10 listening "$C" 5202
poll_until 10 listening "$D" 5204
start_ctd "$R" "$TMP/plain.conf"

# What was learned of the path is forgotten: the next test learns it itself.
forget()
{
	local ns
	for ns in "$C" "$R" "$S" "$D"; do
		on "$ns" ip route flush cache
		on "$ns" ip -6 route flush cache
	done
}
# transfer FROM BYTES IPERF-OPTION... : within a time that a stall would exceed
transfer()
{
	local ns=$1 bytes=$2
	shift 2
	on "$ns" timeout 60 iperf3 -n "$bytes" "$@" >"$TMP/iperf" 2>&1 || { cat "$TMP/iperf"; return 1; }
}
# DF set, larger than both links: the first answer names 1400, the second 1280.
# told ADDRESS BYTES MTU: the sender's kernel has it from the error
told()
{
	on "$C" ping -M "do" -c 1 -W 1 -s "$2" "$1" >"$TMP/ping" 2>&1
	on "$C" ip route get "$1" | grep -q "mtu $3 " && return
	cat "$TMP/ping"
	on "$C" ip route get "$1"
	return 1
}
both_hops()
{
	forget
	told "$1" $((1500 - $2)) 1400 && told "$1" $((1400 - $2)) 1280 &&
		on "$C" ping -M "do" -c 1 -W 3 -s $((1280 - $2)) "$1"
}
capture()
{
	serve "$1" tcpdump -i "$2" -nn -U -s 0 -w "$TMP/$2.pcap" "(icmp[0] = 3 and icmp[1] = 4) or icmp6[0] = 2"
	poll_until 10 test -s "$TMP/$2.pcap"
}
# errors DEV : "from to mtu quoted-source quoted-destination" of each too-big that was captured
errors()
{
	/usr/bin/python3 - "$TMP/$1.pcap" <<-'END'
		import sys
		from scapy.all import IP, ICMP, IPv6, ICMPv6PacketTooBig, Ether, rdpcap
		for p in rdpcap(sys.argv[1]):
		    if ICMP in p:
		        inner = IP(bytes(p[ICMP].payload))
		        print(p[IP].src, p[IP].dst, p[ICMP].nexthopmtu, inner.src, inner.dst, inner.dport if inner.proto in (6, 17) else 0)
		    else:
		        e = p[ICMPv6PacketTooBig]
		        inner = IPv6(bytes(e.payload))
		        print(p[IPv6].src, p[IPv6].dst, e.mtu, inner.src, inner.dst, inner.payload.dport if inner.nh in (6, 17) else 0)
	END
}
# saw DEV "from to mtu quoted-source quoted-destination": such a one, and none with another view
saw()
{
	errors "$1" >"$TMP/errors"
	grep -qE "^$2( |$)" "$TMP/errors" || { sort "$TMP/errors" | uniq -c; echo "not seen: $2"; return 1; }
}
all_quote()
{
	errors "$1" | awk -v a="$2" -v b="$3" '$4 != a && $4 != b { print; n++ } END { exit n > 0 }'
}

# --- masqueraded, upwards: DF and IPv6
capture "$C" c0
t ping_learns_both_links_v4 both_hops $E4 28
t ping_learns_both_links_v6 both_hops $E6 48
forget
t upload_100MB_v4 transfer "$C" 100M -c $E4
forget
t upload_100MB_v6 transfer "$C" 100M -c $E6
forget
t download_100MB_v4 transfer "$C" 100M -c $E4 -R
t download_100MB_v6 transfer "$C" 100M -c $E6 -R
sleep 0.5
t router_says_1400_in_the_senders_view_v4 saw c0 "$RL4 $C4 1400 $C4 $E4"
t router_says_1400_in_the_senders_view_v6 saw c0 "$RL6 $C6 1400 $C6 $E6"
t mid_says_1280_translated_v4 saw c0 "$M4 $C4 1280 $C4 $E4"
t mid_says_1280_translated_v6 saw c0 "$M6 $C6 1280 $C6 $E6"
t nothing_else_is_quoted_inside all_quote c0 $C4 $C6

# --- translated on both sides: nothing but the sender's own is under what the router's error quotes
learnt()
{
	on "$1" ip route get "$2" | grep -q "mtu $3 " || { on "$1" ip route get "$2"; return 1; }
}
# both_translated NS TO4 TO6 OPTION... : larger than the link behind the router, and learns so
both_translated()
{
	local ns=$1 to
	for to in "$2" "$3"; do
		forget
		transfer "$ns" 20M -p 5204 -c "$to" "${@:4}" || return
	done
}
t hairpin_by_a_smaller_link both_translated "$C" $RW4 $RW6
t its_sender_learns_the_mtu_v6 learnt "$C" $RW6 1280
sleep 0.5
t its_sender_is_told_in_its_view_v4 saw c0 "$RW4 $C4 1280 $C4 $RW4 5204"
t its_sender_is_told_in_its_view_v6 saw c0 "$RW6 $C6 1280 $C6 $RW6 5204"
links 1500 1500
capture "$S" s0
t from_outside_with_another_source both_translated "$S" $RW4 $RW6
t from_outside_learns_the_mtu_v6 learnt "$S" $RW6 1280
sleep 0.5
t from_outside_is_told_in_its_view_v4 saw s0 "$RW4 $E4 1280 $E4 $RW4 5204"
t from_outside_is_told_in_its_view_v6 saw s0 "$RW6 $E6 1280 $E6 $RW6 5204"
links 1400 1280
# and the answers
on "$R" ip link set lan1 mtu 1500
on "$R" ip link set lan0 mtu 1280
capture "$D" d0
t hairpin_answers_by_a_smaller_link both_translated "$C" $RW4 $RW6 -R
sleep 0.5
t who_answers_is_told_in_its_view_v4 saw d0 "$RW4 $D4 1280 $D4 $RW4"
t who_answers_is_told_in_its_view_v6 saw d0 "$RW6 $D6 1280 $D6 $RW6"
on "$R" ip link set lan0 mtu 1500
on "$R" ip link set lan1 mtu 1280
# quoted DEV ADDRESS : by a too-big at that device
quoted()
{
	errors "$1" | grep -E " $2( |$)"
}
nobody_is_told_of()
{
	fails quoted c0 "$1" && fails quoted s0 "$1" && fails quoted d0 "$2"
}
t nobody_is_told_of_the_other_side_v4 nobody_is_told_of $D4 $C4
t nobody_is_told_of_the_other_side_v6 nobody_is_told_of $D6 $C6

# --- without ctd
hops_and_transfer()
{
	both_hops "$E4" 28 && both_hops "$E6" 48 && transfer "$C" 20M -p 5203 -c "$E4" &&
		transfer "$C" 20M -p 5203 -c "$E6" -R && both_translated "$C" "$RW4" "$RW6"
}
kill_ctd
t with_ctd_killed hops_and_transfer
start_ctd "$R" "$TMP/plain.conf"
t with_the_next_ctd hops_and_transfer
over_a_move "$TMP/plain.conf" "$C" $E4 lan0,lan1 hops_and_transfer

# --- a server inside, published: the link that is too small is the router's own, lan0
links 1500 1500
on "$R" ip link set lan0 mtu 1280
forget
t upload_to_a_published_server_v4 transfer "$S" 20M -p 5202 -c $RW4
forget
t upload_to_a_published_server_v6 transfer "$S" 20M -p 5202 -c $RW6
sleep 0.5
t sender_outside_is_told_in_its_view_v4 saw s0 "$RW4 $E4 1280 $E4 $RW4 5202"
t sender_outside_is_told_in_its_view_v6 saw s0 "$RW6 $E6 1280 $E6 $RW6 5202"
t nothing_of_the_inside_is_told all_quote s0 $E4 $E6
on "$R" ip link set lan0 mtu 1500

# --- a black hole: the client does not get the router's errors
links 1400 1400
forget
on "$C" nft -f - <<-END
	table inet hole { chain i { type filter hook input priority 0;
		icmp type destination-unreachable drop
		icmpv6 type packet-too-big drop
	}; }
END
stalls()
{
	on "$C" timeout 4 iperf3 -n 5M -c "$1" >"$TMP/iperf" 2>&1
	[ $? = 124 ] || { cat "$TMP/iperf"; return 1; }
}
t black_hole_v4_is_one stalls $E4
t black_hole_v6_is_one stalls $E6
t rules_with_mss_clamp ctctl fw load "$TMP/clamp.conf"
forget
t clamped_100MB_v4 transfer "$C" 100M -p 5203 -c $E4
t clamped_100MB_v6 transfer "$C" 100M -p 5203 -c $E6
t clamped_download_v4 transfer "$C" 100M -p 5203 -c $E4 -R
t clamped_download_v6 transfer "$C" 100M -p 5203 -c $E6 -R
# with its errors the path is none
on "$C" nft flush ruleset
t the_same_path_with_its_errors_v4 transfer "$C" 5M -p 5203 -c $E4
t the_same_path_with_its_errors_v6 transfer "$C" 5M -p 5203 -c $E6
t nothing_was_lost_to_nat test "$(counter nat_lost)" = 0
t table_is_consistent ctctl check
finish
