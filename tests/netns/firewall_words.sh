#!/bin/bash
# beside: yes
# timeout: 600
# The words of the language that are not pass, block and nat: tables and limits,
# `block return`, antispoof, `set mss clamp`, `set skip on`.
#
#   client ── lan0 router wan0 ── server     (the server knows a way to the client)
#                    | dmz0 ── other         10.9.0.2/24, fd00:9::2/64
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh
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

# Tables: ctctl changes them, and the next connection sees it.
table_blocks()
{
	echo_from "$C" "$1" "$2" 7000 || return
	ctctl fw table add blocked "$3" || return
	grows fw_block unanswered "$C" "$1" "$2" 7000 || return
	ctctl fw table del blocked "$3" || return
	echo_from "$C" "$1" "$2" 7000
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
on_trial()
{
	ctctl fw table add blocked 192.0.2.1 && ctctl fw table add friends 192.0.2.9 &&
		ctctl fw load --confirm 2 "$TMP/without.conf" && poll_until 20 ctctl fw table show blocked || return
	table_is 192.0.2.1 || return
	ctctl fw table show friends
	ctctl fw table show friends | grep -q '192.0.2.9 *hand' || return
	ctctl fw load --confirm 60 "$TMP/without.conf" && ctctl fw confirm && load && table_is &&
		fails grep -q 192.0.2.9 <(ctctl fw table show friends)
}
t tables_outlive_a_trial_that_is_rolled_back on_trial
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
		echo_from "$C" tcp "$1" 7010 && good=$((good + 1))
	done
	[ "$good" = 5 ] || { echo "$good of the first five got through"; return 1; }
	grows fw_limit unanswered "$C" tcp "$1" 7010 || return
	table_is "$2" && ctctl fw table show blocked | grep -q limit || return
	grows fw_block unanswered "$C" tcp "$S4" 7000 || [ "$2" = "$C6" ] || return
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
	nsenter --net="/run/netns/$C" -- tcpdump --immediate-mode -l -i c0 -nn -c 1 'tcp[tcpflags] & tcp-rst != 0 and src port 7001' >"$TMP/rst" 2>"$TMP/rst.err" &
	pid=$!
	poll_until 20 grep -q listening "$TMP/rst.err"
	WAIT=2 fails echo_from "$C" tcp "$S4" 7001 >/dev/null 2>&1
	poll_until 10 grep -q "$S4.7001 > $C4" "$TMP/rst"
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
	nsenter --net="/run/netns/$C" -- tcpdump --immediate-mode -l -i c0 -nn -c 1 "$filter" >"$TMP/heard" 2>"$TMP/heard.err" &
	pid=$!
	poll_until 20 grep -q listening "$TMP/heard.err"
	"$@" >/dev/null 2>&1
	poll_until "${PATIENCE:-10}" test -s "$TMP/heard" >/dev/null
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
	PATIENCE=2 fails hears 'icmp or (tcp[tcpflags] & tcp-rst != 0)' env WAIT=1 nsenter --net="/run/netns/$C" -- \
		/usr/bin/python3 tests/lib/echo_client.py udp "$S4" 7001
}
t block_alone_says_nothing silent
bounded()
{
	load -- 'block return in on lan0 proto udp port 7001' || return
	nsenter --net="/run/netns/$C" -- tcpdump --immediate-mode -l -i c0 -nn 'icmp[0] == 3' >"$TMP/many" 2>"$TMP/many.err" &
	local pid=$! n
	poll_until 20 grep -q listening "$TMP/many.err"
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
	nsenter --net="/run/netns/$S" -- tcpdump --immediate-mode -l -i s0 -nn -Q in -c 1 "udp src port $PORT" >"$TMP/came" 2>"$TMP/came.err" &
	pid=$!
	poll_until 20 grep -q listening "$TMP/came.err"
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
		grows fw_block refuses fd00:9::2 "$S6" && passes 10.0.0.77 "$S4" && echo_from "$C" tcp "$S4" 7000
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
	nsenter --net="/run/netns/$ns" -- tcpdump --immediate-mode -l -i "$dev" -nn -Q in -c 1 "$filter" >"$TMP/mss" 2>"$TMP/mss.err" &
	pid=$!
	poll_until 20 grep -q listening "$TMP/mss.err"
	"$@" >/dev/null || return
	poll_until 10 test -s "$TMP/mss" >/dev/null
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
t mss_is_kept_without_the_setting mss_is 1460 "$S" s0 "$SYN" echo_from "$C" tcp "$S4" 7000
t mss_clamp_loads load 'set mss clamp'
t syn_is_clamped_v4 mss_is 1360 "$S" s0 "$SYN" echo_from "$C" tcp "$S4" 7000
t syn_is_clamped_v6 mss_is 1340 "$S" s0 "$SYN6" echo_from "$C" tcp "$S6" 7000
t syn_ack_is_clamped_v4 mss_is 1360 "$C" c0 "$SYNACK" echo_from "$C" tcp "$S4" 7000
t syn_ack_is_clamped_v6 mss_is 1340 "$C" c0 "$SYNACK6" echo_from "$C" tcp "$S6" 7000
route_mtu()
{
	on "$R" ip route add "$S4/32" dev wan0 mtu lock 1300 || return
	poll_until 5 bash -c "nsenter --net=/run/netns/$R ip route get $S4 | grep -q 'mtu lock 1300'" || return
	mss_is 1260 "$S" s0 "$SYN" echo_from "$C" tcp "$S4" 7000 && mss_is 1260 "$C" c0 "$SYNACK" echo_from "$C" tcp "$S4" 7000
	local rc=$?
	on "$R" ip route del "$S4/32" dev wan0
	return "$rc"
}
t route_s_mtu_counts route_mtu
not_raised()
{
	on "$C" ip link set c0 mtu 1300 || return
	mss_is 1260 "$S" s0 "$SYN" echo_from "$C" tcp "$S4" 7000
	local rc=$?
	on "$C" ip link set c0 mtu 1500
	return "$rc"
}
t mss_is_never_raised not_raised
nat_and_mss()
{
	load 'set mss clamp' -- 'nat out on wan0 from 10.0.0.0/24 -> (wan0)' || return
	mss_is 1360 "$S" s0 "$SYN and src $RW4" echo_from "$C" tcp "$S4" 7000
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
	poll_until 20 grep -q listening "$TMP/odd.err"
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
	load && unanswered "$OTHER" tcp 10.9.0.1 7010 && unanswered "$OTHER" tcp "$S4" 7000
}
t interface_without_rules_is_denied unskipped
skipped()
{
	load 'set skip on dmz0' -- 'nat out on wan0 from 10.9.0.0/24 -> (wan0)' || return
	echo_from "$OTHER" tcp 10.9.0.1 7010 && echo_from "$OTHER" tcp "$S4" 7000 && echo_from "$OTHER" udp "$S4" 7000 || return
	ctctl -L -p tcp --dport 7000 2>/dev/null | grep -q "src=10.9.0.2 .*dst=$RW4"
}
t skipped_interface_passes_and_is_translated skipped
t skipped_interface_has_no_program bash -c "! nsenter --net=/run/netns/$R bpftool net show dev dmz0 2>/dev/null | grep -q fw_"
t others_are_judged_as_before unanswered "$S" tcp "$C4" 7021
t skip_ends_with_its_line unskipped

# ctctl fw explain: what it says is what a packet then meets, and asking leaves no trace.
explain_rules()
{
	load 'set antispoof strict' -- \
		'forward in on wan0 proto tcp port 8080 -> 10.0.0.2 port 7020' \
		'nat out on wan0 proto udp from 10.0.0.0/24 to any port 7001 -> (wan0) ports 50000-59999 eim' \
		'block in on lan0 proto tcp port 7001' \
		'pass in on lan0 proto tcp to self port 7010 limit 2/1h' \
		"$@"
}
# says STATUS PATTERN WORDS... : what explain answers
says()
{
	local want=$1 pattern=$2 rc=0
	shift 2
	ctctl fw explain "$@" >"$TMP/said" 2>&1 || rc=$?
	cat "$TMP/said"
	[ "$rc" = "$want" ] || { echo "exit status $rc, not $want"; return 1; }
	grep -qE -- "$pattern" "$TMP/said" || { echo "does not say $pattern"; return 1; }
}
t explain_rules_load explain_rules
explained_pass()
{
	says 0 '^rule: line 10: pass in on' in on lan0 proto tcp from "$1" port 4000 to "$2" port 7000 &&
		echo_from "$C" tcp "$2" 7000 &&
		says 0 "^route: out wan0 to $2, redirected" in on lan0 proto tcp from "$1" port 4000 to "$2" port 7000
}
t explain_pass_v4 explained_pass "$C4" "$S4"
t explain_pass_v6 explained_pass "$C6" "$S6"
explained_default()
{
	says 3 '^rule: .*the default denies' in on dmz0 proto tcp from 10.9.0.2 port 4000 to "$S4" port 7000 &&
		unanswered "$OTHER" tcp "$S4" 7000
}
t explain_default explained_default
explained_block()
{
	says 3 '^rule: line 8: block in on lan0 proto tcp' in on lan0 proto tcp from "$1" port 4000 to "$2" port 7001 &&
		unanswered "$C" tcp "$2" 7001
}
t explain_block_v4 explained_block "$C4" "$S4"
t explain_block_v6 explained_block "$C6" "$S6"
explained_table()
{
	ctctl fw table add blocked "$C4" &&
		says 3 '^rule: line 5: block in from <blocked>' in on lan0 proto udp from "$C4" port 4000 to "$S4" port 7000 &&
		unanswered "$C" udp "$S4" 7000 && ctctl fw table del blocked "$C4" &&
		says 0 '^rule: line 10' in on lan0 proto udp from "$C4" port 4000 to "$S4" port 7000 && echo_from "$C" udp "$S4" 7000
}
t explain_table explained_table
explained_nat()
{
	local ask=(in on lan0 proto udp from "$C4" port 47001 to "$S4" port) seen
	says 0 "^source: line 7: nat out .*: address $RW4, port from 50000-59999" "${ask[@]}" 7001 &&
		says 0 '^binding: none yet' "${ask[@]}" 7001 || return
	seen=$(echo_from "$C" udp "$S4" 7001 47001) || return
	seen=${seen% *}
	echo "the server saw $seen"
	says 0 "^connection: udp, original" "${ask[@]}" 7001 || return
	ctctl flow flush >/dev/null && says 0 "^binding: $RW4 port [0-9]+\$" "${ask[@]}" 7001 || return
	[ "$(sed -n 's/^binding: \(.*\) port \(.*\)/\1 \2/p' "$TMP/said")" = "$seen" ]
}
t explain_nat_and_its_binding explained_nat
explained_forward()
{
	local ask=(in on wan0 proto tcp from "$S4" port 4000 to "$RW4" port 8080)
	says 0 '^destination: line 6: forward in .*: becomes 10.0.0.2 port 7020' "${ask[@]}" &&
		says 0 '^route: out lan0 to 10.0.0.2,' "${ask[@]}" && echo_from "$S" tcp "$RW4" 8080
}
t explain_forward explained_forward
explained_self()
{
	says 0 '^route: the router itself' in on lan0 proto icmp from "$C4" to "$RL4" &&
		on "$C" ping -c 1 -W 2 "$RL4"
}
t explain_to_the_router explained_self
explained_no_way()
{
	local ask=(in on lan0 proto udp from "$C4" port 4000 to 198.51.100.9 port 7000) rc=0
	says 0 '^route: not forwarded: .* no route' "${ask[@]}" || return
	on "$R" ip route add blackhole 198.51.100.0/24 || return
	says 3 '^route: none: the stack refuses it' "${ask[@]}" || rc=1
	on "$R" ip route del blackhole 198.51.100.0/24
	return "$rc"
}
t explain_without_a_way explained_no_way
explained_skip()
{
	local ask=(in on dmz0 proto tcp from 10.9.0.2 port 4000 to "$S4" port 7000)
	load 'set skip on dmz0' && says 0 "none is asked: .set skip on." "${ask[@]}" && echo_from "$OTHER" tcp "$S4" 7000 &&
		explain_rules && says 3 'the default denies' "${ask[@]}"
}
t explain_skipped_interface explained_skip
explained_limit()
{
	local ask=(in on lan0 proto tcp from "$C4" port 4000 to "$RL4" port 7010)
	says 0 '^rule: line 9: .* limit 2/3600s' "${ask[@]}" && echo_from "$C" tcp "$RL4" 7010 &&
		says 0 '^rule: line 9' "${ask[@]}" && echo_from "$C" tcp "$RL4" 7010 &&
		says 3 '^refused: fw_limit' "${ask[@]}" && unanswered "$C" tcp "$RL4" 7010
}
t explain_limit explained_limit
explained_spoof()
{
	says 3 "^refused: $1" in on lan0 proto udp from "$2" port 4000 to "$3" port 7000 && refuses "$2" "$3"
}
t explain_antispoof_v4 explained_spoof fw_spoof 10.9.0.2 "$S4"
t explain_antispoof_v6 explained_spoof fw_spoof fd00:9::2 "$S6"
t explain_martian explained_spoof fw_martian 127.0.0.1 "$S4"
# A connection outlives the rule that admitted it; another one does not begin.
explained_established()
{
	local ask=(in on lan0 proto udp from "$C4" port 47002 to "$S4" port 7000)
	echo_from "$C" udp "$S4" 7000 47002 && explain_rules 'block in on lan0 proto udp' || return
	says 0 '^connection: udp, original direction; its packets are not judged again' "${ask[@]}" &&
		echo_from "$C" udp "$S4" 7000 47002 &&
		says 3 '^rule: line 10: block in on lan0 proto udp' "${ask[@]/47002/47003}" &&
		unanswered "$C" udp "$S4" 7000 47003
}
t explain_established explained_established
# Of a binding all but the seconds that it has left; of the statistics all but the sweep's rounds.
marks()
{
	ctctl stats | grep -v '^sweep_' && ctctl fw show -j && ctctl nat && ctctl nat bindings | sed 's/ *[0-9]*$//' &&
		ctctl flow count && ctctl fw table show && ctctl fw table show blocked
}
ask_much()
{
	local port
	for port in 7000 7001 7010; do
		ctctl fw explain in on lan0 proto tcp from 10.0.0.9 port 4000 to "$S4" port "$port"
		ctctl fw explain in on lan0 proto udp from 10.0.0.9 port 4000 to "$S4" port "$port"
		ctctl fw explain in on lan0 proto tcp from 10.0.0.9 port 4000 to "$RL4" port "$port"
		ctctl fw explain in on lan0 proto tcp from 10.9.0.2 port 4000 to "$S4" port "$port"
		ctctl fw explain in on wan0 proto tcp from "$S4" port 4000 to "$RW4" port 8080
	done
}
# Again if something else happened meanwhile: a trace would be there each time.
no_trace()
{
	explain_rules && ctctl flow flush >/dev/null 2>&1 || return
	for _ in 1 2 3 4 5; do
		marks >"$TMP/marks.before"
		ask_much >"$TMP/said"
		[ "$(grep -c '^answer: ' "$TMP/said")" = 15 ] || return
		marks | diff "$TMP/marks.before" - && return
	done
	return 1
}
t explain_leaves_no_trace no_trace
explain_usage()
{
	says 2 'takes in on IF' in on lan0 && says 2 'not .10.0.0.300' in on lan0 from 10.0.0.300 &&
		says 2 'no protocol' in on lan0 proto tpc && says 2 'two families' in on lan0 proto tcp from "$C4" to "$S6" &&
		says 2 'flags are letters' in on lan0 proto tcp from "$C4" to "$S4" flags X &&
		says 1 'no such interface' in on nosuch0 proto tcp from "$C4" to "$S4" &&
		says 0 'loopback is never filtered' in on lo proto tcp from 127.0.0.1 to 127.0.0.1 &&
		says 3 'opens none' in on lan0 proto tcp from "$C4" port 4000 to "$S4" port 7000 flags R
}
t explain_says_what_is_wrong explain_usage
explain_json()
{
	ctctl -j fw explain in on lan0 proto tcp from "$C4" port 4000 to "$S4" port 7001 >"$TMP/said"
	[ $? = 3 ] && /usr/bin/python3 -c 'import json, sys; a = json.load(open(sys.argv[1])); assert a["passes"] is False and "line 8" in a["rule"], a' "$TMP/said"
}
t explain_in_json explain_json

# ctd killed: what is in force stays in force, but that nobody answers for `block return`.
held=$(rules 'set mss clamp' -- 'block return in on lan0 proto tcp port 7001' \
	'pass in on lan0 proto tcp to self port 7010 limit 5/1h overload <blocked>')
limited_still()
{
	for _ in 1 2 3 4 5; do
		SOURCE=10.0.0.68 echo_from "$C" tcp "$RL4" 7010 || return
	done
	SOURCE=10.0.0.68 unanswered "$C" tcp "$RL4" 7010
}
words_hold()
{
	unanswered "$C" tcp "$S4" 7001 && SOURCE=10.0.0.66 unanswered "$C" tcp "$S4" 7000 && SOURCE=10.0.0.67 echo_from "$C" tcp "$S4" 7000 &&
		refuses 10.9.0.2 "$S4" && refuses fd00:9::2 "$S6" && passes 10.0.0.77 "$S4" &&
		mss_is 1360 "$S" s0 "$SYN" echo_from "$C" tcp "$S4" 7000
}
on "$R" ip link set wan0 mtu 1400
on "$C" ip addr add 10.0.0.66/24 dev c0
on "$C" ip addr add 10.0.0.67/24 dev c0
on "$C" ip addr add 10.0.0.68/24 dev c0
words_load()
{
	ctctl fw load "$held" && ctctl fw table add blocked 10.0.0.66
}
t words_for_a_kill_load words_load
t words_hold words_hold
kill_ctd
t words_hold_with_ctd_killed words_hold
t limit_holds_with_ctd_killed limited_still
start_ctd "$R" "$held"
t words_hold_with_the_next_ctd words_hold
t who_was_over_the_limit_stays_blocked table_is 10.0.0.66 10.0.0.68
# taken over from the kernel's NAT, whose connection no rule of ours would translate
words_for_the_new()
{
	ctctl fw table add blocked 10.0.0.66 && words_hold
}
# What the server sends before MSS is clamped must fit the uplink too.
on "$S" ip link set s0 mtu 1400
serve_http "$S" 80
over_a_move "$held" "$C" "$S4" lan0,dmz0 words_for_the_new
finish
