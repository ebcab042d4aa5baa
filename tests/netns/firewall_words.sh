#!/bin/bash
# The words of the language that are not pass, block and nat: tables and limits,
# `block return`, antispoof, `set mss clamp`, `set skip on`.
#
#   client ── lan0 router wan0 ── server     (the server knows a way to the client)
#                    | dmz0 ── other         10.9.0.2/24, fd00:9::2/64
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need tcpdump

OTHER=$T-o
net_router
net_ns "$OTHER"
net_link "$R" dmz0 "$OTHER" o0
net_addr "$R" dmz0 10.9.0.1/24 fd00:9::1/64
net_addr "$OTHER" o0 10.9.0.2/24 fd00:9::2/64
on "$OTHER" ip route add default via 10.9.0.1
on "$OTHER" ip -6 route add default via fd00:9::1
on "$S" ip route add default via "$RW4"
on "$S" ip -6 route add default via "$RW6"
# Ours are the checks that are tried, not the kernel's.
on "$R" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
for dev in lan0 wan0 dmz0; do
	on "$R" sysctl -qw "net.ipv4.conf.$dev.rp_filter=0"
done

# rules SETTING... -- RULE... : around what every test needs
rules()
{
	local settings=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		settings+=("$1")
		shift
	done
	[ $# = 0 ] || shift
	{
		echo "set default deny"
		[ ${#settings[@]} = 0 ] || printf '%s\n' "${settings[@]}"
		echo "table blocked persist"
		echo "table friends { 10.0.0.0/24, fd00:1::/64 }"
		echo "block in from <blocked>"
		[ $# = 0 ] || printf '%s\n' "$@"
		echo "pass in on { lan0, wan0 }"
	} | config words
}
load()
{
	ctctl fw load "$(rules "$@")"
}

start_ctd "$R" "$(rules)"
serve_echo "$S" 7000 7001
serve_echo "$R" 7010
serve_echo "$C" 7020

reach()
{
	echo_from "$@"
}
blocked()
{
	WAIT=1 fails echo_from "$@"
}
grows()
{
	local name=$1 before after
	shift
	before=$(counter "$name")
	"$@" || return
	after=$(counter "$name")
	[ "$after" -gt "$before" ] || { echo "counter $name did not grow: $before, $after"; return 1; }
}

# Tables: ctctl changes them, and the next connection sees it.
table_blocks()
{
	reach "$C" "$1" "$2" 7000 || return
	ctctl fw table add blocked "$3" || return
	grows fw_block blocked "$C" "$1" "$2" 7000 || return
	ctctl fw table del blocked "$3" || return
	reach "$C" "$1" "$2" 7000
}
t table_blocks_an_address_v4 table_blocks tcp "$S4" "$C4"
t table_blocks_an_address_v6 table_blocks tcp "$S6" "$C6"
t table_blocks_a_network_v4 table_blocks udp "$S4" 10.0.0.0/8
t table_blocks_a_network_v6 table_blocks udp "$S6" fd00:1::/32

table_text()
{
	ctctl fw table show blocked | awk '{ print $1 }' | sort | tr '\n' ' '
}
table_is()
{
	[ "$(table_text)" = "$*${*:+ }" ] || { echo "the table holds: $(table_text), not $*"; return 1; }
}
persists()
{
	ctctl fw table add blocked 192.0.2.7 2001:db8:7::/48 && load && table_is 192.0.2.7 2001:db8:7::/48 || return
	ctctl fw table flush blocked && table_is
}
t persist_table_outlives_a_load persists
file_table()
{
	ctctl fw table add friends 192.0.2.9 && ctctl fw table show friends | grep -q 192.0.2.9 || return
	load && fails grep -q 192.0.2.9 <(ctctl fw table show friends) && ctctl fw table show friends | grep -q '10.0.0.0/24 *file'
}
t plain_table_is_the_file_s_after_a_load file_table
gone_table()
{
	ctctl fw table add blocked 192.0.2.1 || return
	config without <<<"pass in" >/dev/null
	ctctl fw load "$TMP/without.conf" && load && table_is
}
t table_that_the_rules_drop_is_emptied gone_table
wrong_words()
{
	fails ctctl fw table add nobody 192.0.2.1 && fails ctctl fw table add blocked 192.0.2.1/24 &&
		fails ctctl fw table add blocked 192.0.2.1 10.0.0.300 && table_is &&
		fails ctctl fw table add blocked && fails ctctl fw table melt blocked
}
t wrong_addresses_change_nothing wrong_words
t table_list_names_them bash -c "'$CTCTL' --instance '$CTD_INSTANCE' fw table show | grep -q '^blocked .*persist' &&
	'$CTCTL' --instance '$CTD_INSTANCE' fw table show -j | grep -q '\"name\":\"friends\"'"

# A limit: the first five of ten get through, the source is in the table then.
limited()
{
	local good=0
	load -- 'pass in on lan0 proto tcp to self port 7010 limit 5/1h overload <blocked>' || return
	for _ in 1 2 3 4 5; do
		reach "$C" tcp "$1" 7010 && good=$((good + 1))
	done
	[ "$good" = 5 ] || { echo "$good of the first five got through"; return 1; }
	grows fw_limit blocked "$C" tcp "$1" 7010 || return
	table_is "$2" && ctctl fw table show blocked | grep -q limit || return
	grows fw_block blocked "$C" tcp "$S4" 7000 || [ "$2" = "$C6" ] || return
	ctctl fw table flush blocked && table_is
}
t limit_puts_the_source_into_the_table_v4 limited "$RL4" "$C4"
t limit_puts_the_source_into_the_table_v6 limited "$RL6" "$C6"

# block return: an answer at once instead of a time-out.
refused()
{
	load -- 'block return in on lan0 proto { tcp, udp } port 7001' || return
	WAIT=5 echo_from "$C" "$1" "$2" 7001 2>&1 | grep -qi 'refused\|unreachable\|prohibited\|no route' ||
		{ echo "no answer for $1 $2"; return 1; }
}
t block_return_resets_tcp_v4 refused tcp "$S4"
t block_return_resets_tcp_v6 refused tcp "$S6"
resets_only()
{
	local pid
	nsenter --net="/run/netns/$C" -- tcpdump -l -i c0 -nn -c 1 'tcp[tcpflags] & tcp-rst != 0 and src port 7001' >"$TMP/rst" 2>"$TMP/rst.err" &
	pid=$!
	poll_until 5 grep -q listening "$TMP/rst.err"
	WAIT=2 fails echo_from "$C" tcp "$S4" 7001 >/dev/null 2>&1
	poll_until 3 grep -q "$S4.7001 > $C4" "$TMP/rst"
	local rc=$?
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return "$rc"
}
t reset_comes_from_the_address_that_was_asked resets_only
# hears FILTER COMMAND... : the client sees an ICMP error
hears()
{
	local pid rc filter=$1
	shift
	: >"$TMP/heard"
	nsenter --net="/run/netns/$C" -- tcpdump -l -i c0 -nn -c 1 "$filter" >"$TMP/heard" 2>"$TMP/heard.err" &
	pid=$!
	poll_until 5 grep -q listening "$TMP/heard.err"
	"$@" >/dev/null 2>&1
	poll_until 2 test -s "$TMP/heard" >/dev/null
	rc=$?
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return "$rc"
}
t block_return_tells_of_udp_v4 hears 'icmp[0] == 3 and icmp[1] == 13' env WAIT=1 nsenter --net="/run/netns/$C" -- \
	/usr/bin/python3 tests/lib/echo_client.py udp "$S4" 7001
t block_return_tells_of_udp_v6 hears 'icmp6[0] == 1 and icmp6[1] == 1' env WAIT=1 nsenter --net="/run/netns/$C" -- \
	/usr/bin/python3 tests/lib/echo_client.py udp "$S6" 7001
silent()
{
	load -- 'block in on lan0 proto { tcp, udp } port 7001' || return
	fails hears 'icmp or (tcp[tcpflags] & tcp-rst != 0)' env WAIT=1 nsenter --net="/run/netns/$C" -- \
		/usr/bin/python3 tests/lib/echo_client.py udp "$S4" 7001
}
t block_alone_says_nothing silent
bounded()
{
	load -- 'block return in on lan0 proto udp port 7001' || return
	nsenter --net="/run/netns/$C" -- tcpdump -l -i c0 -nn 'icmp[0] == 3' >"$TMP/many" 2>"$TMP/many.err" &
	local pid=$! n
	poll_until 5 grep -q listening "$TMP/many.err"
	on "$C" /usr/bin/python3 -c '
import socket, time
end = time.time() + 1
while time.time() < end:
    for port in range(200):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b"x", ("'"$S4"'", 7001))
        s.close()
    time.sleep(0.02)'
	sleep 1
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	n=$(wc -l <"$TMP/many")
	if [ "$n" -lt 1 ] || [ "$n" -gt 40 ]; then
		echo "$n answers to a second's flood"
		return 1
	fi
}
t answers_are_ten_a_second bounded

# Forged and impossible sources, crafted at the client; what passes is seen at the server.
cat >"$TMP/forge.py" <<'END'
import sys
from scapy.all import IP, IPv6, UDP, Ether, sendp, conf
conf.verb = 0
dev, mac, src, dst, port = sys.argv[1:6]
l3 = IPv6(src=src, dst=dst) if ":" in dst else IP(src=src, dst=dst)
sendp(Ether(dst=mac) / l3 / UDP(sport=int(port), dport=7000) / b"forged", iface=dev)
END
mac_of()
{
	on "$R" ip -o link show "$1" | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2
}
LAN_MAC=$(mac_of lan0)
PORT=40000
# passes SOURCE DESTINATION : a datagram from the client's wire arrives at the server
passes()
{
	local pid rc
	PORT=$((PORT + 1))
	: >"$TMP/came"
	nsenter --net="/run/netns/$S" -- tcpdump -l -i s0 -nn -Q in -c 1 "udp src port $PORT" >"$TMP/came" 2>"$TMP/came.err" &
	pid=$!
	poll_until 5 grep -q listening "$TMP/came.err"
	on "$C" /usr/bin/python3 "$TMP/forge.py" c0 "$LAN_MAC" "$1" "$2" "$PORT" || return
	poll_until 1 test -s "$TMP/came" >/dev/null
	rc=$?
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return "$rc"
}
refuses()
{
	PORT=$((PORT + 1))
	fails passes "$@"
}
t antispoof_loads load
t true_source_passes_v4 passes 10.0.0.77 "$S4"
t true_source_passes_v6 passes fd00:1::77 "$S6"
t source_of_another_interface_is_dropped_v4 grows fw_spoof refuses 10.9.0.2 "$S4"
t source_of_another_interface_is_dropped_v6 grows fw_spoof refuses fd00:9::2 "$S6"
t source_without_a_route_is_dropped_v4 grows fw_spoof refuses 198.51.100.1 "$S4"
t source_without_a_route_is_dropped_v6 grows fw_spoof refuses 2001:db8:77::1 "$S6"
t own_address_as_source_is_dropped_v4 grows fw_spoof refuses "$RL4" "$S4"
t own_address_as_source_is_dropped_v6 grows fw_spoof refuses "$RL6" "$S6"
t broadcast_as_source_is_dropped grows fw_spoof refuses 10.0.0.255 "$S4"
for source in 0.0.0.0 0.1.2.3 127.0.0.1 224.0.0.5 240.0.0.1 255.255.255.255; do
	t "source_${source}_is_dropped" grows fw_martian refuses $source "$S4"
done
for source in ::1 :: ff02::1 ff0e::7 ::ffff:192.0.2.1; do
	t "source_${source}_is_dropped" grows fw_martian refuses $source "$S6"
done
t link_local_source_is_not_forwarded refuses fe80::77 "$S6"
t loopback_as_destination_is_dropped grows fw_martian refuses 10.0.0.77 127.0.0.1
t neighbours_are_found_for_all_that bash -c "
	nsenter --net=/run/netns/$C ip -6 neigh flush dev c0; nsenter --net=/run/netns/$R ip -6 neigh flush dev lan0
	nsenter --net=/run/netns/$C ping -6 -c 1 -W 2 $RL6"
loose()
{
	load 'set antispoof loose' && passes 10.9.0.2 "$S4" && passes fd00:9::2 "$S6"
}
t loose_asks_for_a_route_only loose
t loose_wants_a_route grows fw_spoof refuses 198.51.100.1 "$S4"
antispoof_rule()
{
	load 'set antispoof loose' -- 'antispoof for dmz0' && grows fw_block refuses 10.9.0.2 "$S4" &&
		grows fw_block refuses fd00:9::2 "$S6" && passes 10.0.0.77 "$S4" && reach "$C" tcp "$S4" 7000
}
t antispoof_for_guards_an_interface antispoof_rule
off()
{
	load 'set antispoof off' && passes 198.51.100.1 "$S4" && passes 2001:db8:77::1 "$S6"
}
t off_asks_nothing off

# MSS: the way out is narrower than the client's link.
on "$R" ip link set wan0 mtu 1400
# mss_seen NS DEV COMMAND... : the MSS of the SYNs that arrive there
mss_of()
{
	local ns=$1 dev=$2 filter=$3 pid
	shift 3
	: >"$TMP/mss"
	nsenter --net="/run/netns/$ns" -- tcpdump -l -i "$dev" -nn -Q in -c 1 "$filter" >"$TMP/mss" 2>"$TMP/mss.err" &
	pid=$!
	poll_until 5 grep -q listening "$TMP/mss.err"
	"$@" >/dev/null || return
	poll_until 2 test -s "$TMP/mss" >/dev/null
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	grep -o 'mss [0-9]*' "$TMP/mss"
}
mss_is()
{
	local want=$1 got
	shift
	got=$(mss_of "$@")
	[ "$got" = "mss $want" ] || { echo "SYN says '$got', expected mss $want"; return 1; }
}
SYN='tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and dst port 7000'
SYNACK='tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack) and src port 7000'
SYN6='ip6[6] == 6 and ip6[53] & 18 == 2 and dst port 7000'
SYNACK6='ip6[6] == 6 and ip6[53] & 18 == 18 and src port 7000'
t mss_loads load
t mss_is_kept_without_the_setting mss_is 1460 "$S" s0 "$SYN" reach "$C" tcp "$S4" 7000
t mss_clamp_loads load 'set mss clamp'
t syn_is_clamped_v4 mss_is 1360 "$S" s0 "$SYN" reach "$C" tcp "$S4" 7000
t syn_is_clamped_v6 mss_is 1340 "$S" s0 "$SYN6" reach "$C" tcp "$S6" 7000
t syn_ack_is_clamped_v4 mss_is 1360 "$C" c0 "$SYNACK" reach "$C" tcp "$S4" 7000
t syn_ack_is_clamped_v6 mss_is 1340 "$C" c0 "$SYNACK6" reach "$C" tcp "$S6" 7000
route_mtu()
{
	on "$R" ip route add "$S4/32" dev wan0 mtu lock 1300 || return
	poll_until 5 bash -c "nsenter --net=/run/netns/$R ip route get $S4 | grep -q 'mtu lock 1300'" || return
	mss_is 1260 "$S" s0 "$SYN" reach "$C" tcp "$S4" 7000 && mss_is 1260 "$C" c0 "$SYNACK" reach "$C" tcp "$S4" 7000
	local rc=$?
	on "$R" ip route del "$S4/32" dev wan0
	return "$rc"
}
t route_s_mtu_counts route_mtu
not_raised()
{
	on "$C" ip link set c0 mtu 1300 || return
	mss_is 1260 "$S" s0 "$SYN" reach "$C" tcp "$S4" 7000
	local rc=$?
	on "$C" ip link set c0 mtu 1500
	return "$rc"
}
t mss_is_never_raised not_raised
nat_and_mss()
{
	load 'set mss clamp' -- 'nat out on wan0 from 10.0.0.0/24 -> (wan0)' || return
	mss_is 1360 "$S" s0 "$SYN and src $RW4" reach "$C" tcp "$S4" 7000
}
t syn_is_clamped_and_translated nat_and_mss
# Options at an odd place, and one that is cut short: the checksum stays right.
cat >"$TMP/odd.py" <<'END'
import sys
from scapy.all import IP, TCP, Ether, sendp, conf
conf.verb = 0
mac, dst = sys.argv[1:3]
sendp(Ether(dst=mac) / IP(src="10.0.0.2", dst=dst) / TCP(sport=45999, dport=7000, flags="S", seq=7,
      options=[("NOP", None), ("MSS", 1460), ("SAckOK", b""), ("NOP", None)]), iface="c0")
END
odd()
{
	local pid
	nsenter --net="/run/netns/$S" -- tcpdump -l -vvv -i s0 -nn -Q in -c 1 "src port 45999 or dst port 7000 and tcp[tcpflags] == tcp-syn" >"$TMP/odd" 2>"$TMP/odd.err" &
	pid=$!
	poll_until 5 grep -q listening "$TMP/odd.err"
	on "$C" /usr/bin/python3 "$TMP/odd.py" "$LAN_MAC" "$S4"
	poll_until 2 test -s "$TMP/odd" >/dev/null
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	cat "$TMP/odd"
	grep -q 'nop,mss 1360' "$TMP/odd" && grep -q 'cksum .* (correct)' "$TMP/odd"
}
t option_at_an_odd_place_keeps_its_checksum odd
on "$R" ip link set wan0 mtu 1500

# set skip on: dmz0 is not filtered, what leaves by wan0 is tracked and translated there.
unskipped()
{
	load && blocked "$OTHER" tcp 10.9.0.1 7010 && blocked "$OTHER" tcp "$S4" 7000
}
t interface_without_rules_is_denied unskipped
skipped()
{
	load 'set skip on dmz0' -- 'nat out on wan0 from 10.9.0.0/24 -> (wan0)' || return
	reach "$OTHER" tcp 10.9.0.1 7010 && reach "$OTHER" tcp "$S4" 7000 && reach "$OTHER" udp "$S4" 7000 || return
	ctctl -L -p tcp --dport 7000 2>/dev/null | grep -q "src=10.9.0.2 .*dst=$RW4"
}
t skipped_interface_passes_and_is_translated skipped
t skipped_interface_has_no_program bash -c "! nsenter --net=/run/netns/$R bpftool net show dev dmz0 2>/dev/null | grep -q fw_"
t others_are_judged_as_before blocked "$S" tcp "$C4" 7021
t skip_ends_with_its_line unskipped

finish
