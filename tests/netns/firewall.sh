#!/bin/bash
# The firewall's language against real packets: what it admits, what it stops.
#
#   client ── lan0 router wan0 ── server     (the server knows a way to the client)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need tcpdump

net_router
net_addr "$S" s0 203.0.113.66/24
on "$S" ip route add 10.0.0.0/24 via "$RW4"
on "$S" ip route add fd00:1::/64 via "$RW6"

rules()
{
	config "$1" <<-END
		set default deny
		wan = wan0
		lan = { lan0 }
		inside = { 10.0.0.0/24, fd00:1::/64 }
		nat out on \$wan from \$inside -> (\$wan)

		# the LAN
		block in on \$lan proto tcp port 7003
		pass in on \$lan proto tcp to ! self port { 7000-7004, 7100 }
		pass in on \$lan proto udp port 7000
		pass in on \$lan inet6 proto udp port 7001
		pass in on \$lan proto icmp icmp-type 8
		pass in on \$lan proto icmp6 icmp-type 128
		# the WAN
		block in on \$wan from 203.0.113.66
		pass in on \$wan proto tcp to self port 7010
		pass in on \$wan proto tcp to 10.0.0.2 port 7020
		# on the way out
		block out on \$wan proto tcp port 7004
		${2:-}
	END
}
start_ctd "$R" "$(rules first)"
serve_echo "$S" 7000 7001 7003 7004 7005 7100
serve_echo "$R" 7000 7010 7011
serve_echo "$C" 7020 7021

t pass_rule_admits_tcp_v4 echo_from "$C" tcp "$S4" 7000
t pass_rule_admits_tcp_v6 echo_from "$C" tcp "$S6" 7000
t pass_rule_admits_udp_v4 echo_from "$C" udp "$S4" 7000
t pass_rule_admits_udp_v6 echo_from "$C" udp "$S6" 7000
t default_denies_tcp_v4 grows fw_default unanswered "$C" tcp "$S4" 7005
t default_denies_tcp_v6 grows fw_default unanswered "$C" tcp "$S6" 7005
t family_of_a_rule_counts_v4 unanswered "$C" udp "$S4" 7001
t family_of_a_rule_counts_v6 echo_from "$C" udp "$S6" 7001
t first_match_wins grows fw_block unanswered "$C" tcp "$S4" 7003
t out_rule_stops_what_came_in grows fw_block unanswered "$C" tcp "$S4" 7004
t not_self_excludes_the_router_v4 unanswered "$C" tcp "$RL4" 7000
t not_self_excludes_the_router_v6 unanswered "$C" tcp "$RL6" 7000
t self_admits_to_the_router_v4 echo_from "$S" tcp "$RW4" 7010
t self_admits_to_the_router_v6 echo_from "$S" tcp "$RW6" 7010
t default_denies_to_the_router unanswered "$S" tcp "$RW4" 7011
t self_means_every_address_of_the_router echo_from "$S" tcp "$RL4" 7010
t default_denies_from_the_wan unanswered "$S" tcp "$C4" 7021
t address_rule_admits_from_the_wan echo_from "$S" tcp "$C4" 7020
t echo_request_passes on "$C" ping -c 1 -W 2 "$S4"
t echo_request_v6_passes on "$C" ping -c 1 -W 2 "$S6"
t echo_request_from_the_wan_does_not fails on "$S" ping -c 1 -W 1 "$RW4"
t local_out_is_passed_v4 echo_from "$R" tcp "$S4" 7005
t local_out_is_passed_v6 echo_from "$R" udp "$S6" 7005

source_rule()
{
	SOURCE=203.0.113.66 unanswered "$S" tcp "$RW4" 7010 && SOURCE=$S4 echo_from "$S" tcp "$RW4" 7010
}
t source_address_rule_blocks grows fw_block source_rule

# Neighbour discovery passes a default of deny.
neighbours()
{
	on "$C" ip -6 neigh flush dev c0
	on "$R" ip -6 neigh flush dev lan0
	on "$R" ip -6 neigh flush dev wan0
	echo_from "$C" tcp "$S6" 7000
}
t neighbour_discovery_passes neighbours

# Crafted packets from the client; what passes is seen at the server.
cat >"$TMP/craft.py" <<'END'
import sys
from scapy.all import IP, IPv6, TCP, UDP, ICMP, Ether, Raw, sendp, getmacbyip, conf
conf.verb = 0
dst, mac, what, port = sys.argv[1:4] + [int(sys.argv[4])]
l3 = IPv6(dst=dst) if ":" in dst else IP(dst=dst)
packets = {
    "syn_fin": l3 / TCP(sport=port, dport=7000, flags="SF"),
    "null": l3 / TCP(sport=port, dport=7000, flags=0),
    "stray_rst": l3 / TCP(sport=port, dport=7000, flags="R", seq=1),
    "stray_syn_ack": l3 / TCP(sport=port, dport=7000, flags="SA", seq=1, ack=1),
    "short_tcp": l3.__class__(bytes(l3.copy().__class__(dst=dst, **({"nh": 6} if ":" in dst else {"proto": 6})) / Raw(b"\0" * 8))),
    "good_syn": l3 / TCP(sport=port, dport=7000, flags="S", seq=1),
}
sendp(Ether(dst=mac) / packets[what], iface="c0")
END
router_mac=$(on "$R" cat /proc/self/net/dev >/dev/null; on "$R" ip -o link show lan0 | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2)
sent_and_seen()
{
	local pid rc=1
	# not by on(): kill must end tcpdump itself
	nsenter --net="/run/netns/$S" -- tcpdump -l -i s0 -nn -Q in -c 1 "src port $port or src port 0" >"$TMP/seen" 2>"$TMP/seen.err" &
	pid=$!
	poll_until 5 grep -q listening "$TMP/seen.err"
	on "$C" /usr/bin/python3 "$TMP/craft.py" "$1" "$router_mac" "$2" "$port" || return
	poll_until 1 test -s "$TMP/seen" >/dev/null && rc=0
	cat "$TMP/seen"
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return "$rc"
}
never_seen()
{
	fails sent_and_seen "$@"
}
port=45000 # each packet has one of its own: none belongs to another's connection
for family in 4 6; do
	server=S$family
	t "good_syn_is_forwarded_v$family" sent_and_seen "${!server}" good_syn
	for what in syn_fin null stray_rst stray_syn_ack short_tcp; do
		port=$((port + 1))
		t "invalid_${what}_is_dropped_v$family" grows fw_invalid never_seen "${!server}" "$what"
	done
done

# A reload changes what is new and leaves what is there.
cat >"$TMP/hold.py" <<'END'
import socket, sys
s = socket.create_connection((sys.argv[1], 7100))
f = s.makefile("rw")
for line in sys.stdin:
    f.write(line)
    f.flush()
    print(f.readline(), end="", flush=True)
END
reload()
{
	coproc HOLD { on "$C" /usr/bin/python3 "$TMP/hold.py" "$S4"; }
	# shellcheck disable=SC2153 # a coprocess's
	local in=${HOLD[1]} out=${HOLD[0]} pid=$HOLD_PID answer
	echo one >&"$in"
	read -r -t 3 answer <&"$out"
	[[ $answer == *one ]] || { echo "no answer before"; return 1; }
	rules second | xargs sed -i 's/, 7100 }/ }/'
	ctctl fw load "$TMP/second.conf" || return
	echo two >&"$in"
	read -r -t 3 answer <&"$out"
	[[ $answer == *two ]] || { echo "the old connection broke"; return 1; }
	kill "$pid"
	fails echo_from "$C" tcp "$S4" 7100 && echo_from "$C" tcp "$S4" 7000
}
t reload_keeps_connections_and_stops_new_ones reload

broken_reload()
{
	local before rc=0
	ctctl fw show >"$TMP/before" || return
	rules third "pass in on nosuch0 proto tcp prot 5"
	ctctl fw load "$TMP/third.conf" >"$TMP/answer" 2>&1 && { echo "was loaded"; return 1; }
	grep -qE ':[0-9]+:[0-9]+: .*expected' "$TMP/answer" || rc=1
	ctctl fw show | cmp - "$TMP/before" || rc=1
	cat "$TMP/answer"
	echo_from "$C" tcp "$S4" 7000 || rc=1
	return "$rc"
}
t broken_reload_changes_nothing_and_says_where broken_reload
finish
