#!/bin/bash
# beside: yes
# SIP messages above the MTU, over UDP in IP fragments, through NAT: sipp calls sipp with media both ways,
# IPv4 and IPv6; pieces in any order; a message that only its editing makes too long; and what must
# not pass: datagrams that never become whole, or whose pieces overlap.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/sip.sh
. tests/lib/sip.sh

net_router
conf=$(sip_rules "set fragments timeout 2")
start_ctd "$R" "$conf"

# Every message gets 2,500 bytes more.
pad=$(head -c 2500 /dev/zero | tr '\0' x)
sed "s/^ *CSeq:/    X-Pad: $pad\n&/" tests/alg/sipp/call.xml >"$TMP/call.xml"
program "$S" sip-tester sipp -sd uas 2>/dev/null | sed "s/^ *\[last_CSeq:\]/      X-Pad: $pad\n&/" >"$TMP/uas.xml"

bound()
{
	listening "$S" 5060 u
}
# seen NS DEV FILTER : a capture; its packets are counted by `captured`
seen()
{
	rm -f "$TMP/$2.err"
	on "$1" tcpdump -Qin -nni "$2" --immediate-mode -U -w "$TMP/$2.pcap" "$3" >"$TMP/$2.err" 2>&1 &
	WATCHERS+=($!)
	poll_until 10 grep -q listening "$TMP/$2.err"
}
captured() # DEV [FILTER]
{
	tcpdump -nnr "$TMP/$1.pcap" "${@:2}" 2>/dev/null | wc -l
}
# calls CLIENT SERVER FRAGMENT : FRAGMENT is the filter of a piece of a message
calls()
{
	local ret=0 peer=${2//[][]/}
	WATCHERS=()
	serve_sipp "$S" -sf "$TMP/uas.xml" -t u1 -i "$2" -p 5060 -rtp_echo -mp 6000 -mi "$2" \
		-trace_msg -message_file "$TMP/uas.log"
	poll_until 20 bound || return
	seen "$C" c0 "src $peer and (udp port 6000 or $3)" && seen "$S" s0 "$3" || return
	sipp "$C" -sf "$TMP/call.xml" -key sound "$SOUND" -t u1 -i "$1" -p 5070 -m 1 \
		"$2:5060" >"$TMP/call.log" 2>&1 || ret=$?
	poll_until 5 heard_enough || ret=1
	kill "${WATCHERS[@]}" "${PIDS[-1]}"
	wait "${WATCHERS[@]}" 2>/dev/null
	[ "$ret" = 0 ] || tail -n 30 "$TMP/call.log"
	poll_until 10 sip_gone "$S"
	echo "pieces at the server: $(captured s0), at the client: $(captured c0 "$3")"
	[ "$(captured s0)" -ge 6 ] && [ "$(captured c0 "$3")" -ge 4 ] || return
	poll_until 10 media_is_over 6000 && return "$ret"
}
heard_enough()
{
	[ "$(captured c0 "udp src port 6000")" -ge 60 ]
}
t call_of_long_messages_has_media_both_ways calls "$C4" "$S4" "ip[6:2] & 0x3fff != 0"
t the_server_was_told_the_routers_address grep -qa "^c=IN IP4 $RW4" "$TMP/uas.log"
t call_of_long_messages_over_ipv6_has_media_both_ways calls "[$C6]" "[$S6]" "ip6[6] == 44"

lan_mac=$(on "$R" ip -o link show lan0 | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2)
# says FAMILY PORT SIZE PIECE... ; heard in $TMP/heard
says()
{
	local me=$C4 peer=$S4
	[ "$1" = 4 ] || { me=$C6; peer=$S6; }
	on "$C" /usr/bin/python3 tests/lib/siplong.py send c0 "$lan_mac" "$me" "$peer" "${@:2}"
}
# listens FAMILY SECONDS : in the background; $! is its process
listens()
{
	local me=$S4
	[ "$1" = 4 ] || me=$S6
	on "$S" /usr/bin/python3 tests/lib/siplong.py hear "$me" "$2" >"$TMP/heard" 2>&1 &
	poll_until 10 bound
}
# arrives FAMILY PORT SIZE PIECE... : once, whole, and with the router's address
arrives()
{
	local router=$RW4 pid
	[ "$1" = 4 ] || router=$RW6
	listens "$1" 10 || return
	pid=$!
	says "$@" || return
	wait "$pid"
	cat "$TMP/heard"
	grep -q "^from $router contact $router media $router body whole pad whole " "$TMP/heard"
}
in_any_order()
{
	arrives 4 5081 4000 0-1400 1400-2800 2800- && arrives 4 5082 4000 2800- 0-1400 1400-2800 &&
		arrives 4 5083 4000 1400-2800 2800- 0-1400 && arrives 6 5084 4000 2800- 1400-2800 0-1400 &&
		arrives 6 5085 4000 0-1400 0-1400 1400-2800 2800-
}
t pieces_arrive_edited_in_whatever_order_they_came in_any_order
many_pieces()
{
	local at pieces=()
	for ((at = 0; at < 5952; at += 96)); do
		pieces+=("$at-$((at + 96))")
	done
	arrives 4 5086 6000 "${pieces[@]}" 5952- && arrives 6 5087 6000 "${pieces[@]}" 5952-
}
t message_of_sixty_pieces_arrives many_pieces

# It filled the MTU before its addresses became longer. IPv4 says: not to be fragmented.
outgrows()
{
	WATCHERS=()
	seen "$S" s0 "ip[6:2] & 0x1fff != 0 or ip6[6] == 44" || return
	arrives 4 5088 1472 all && arrives 6 5089 1452 all && poll_until 5 in_pieces
	local ret=$?
	kill "${WATCHERS[@]}"
	wait "${WATCHERS[@]}" 2>/dev/null
	return "$ret"
}
in_pieces()
{
	[ "$(captured s0)" -ge 3 ] || { echo "pieces at the server: $(captured s0)"; return 1; }
}
t message_that_outgrows_the_mtu_arrives outgrows

# What follows is of connections that exist and are helped.
# nothing_of COUNTER PORT4 PORT6 PIECE... : nothing arrives, the reason is counted each time
nothing_of()
{
	local reason=$1 six before pid port
	for six in 4 6; do
		port=$2
		[ "$six" = 4 ] || port=$3
		before=$(counter "$reason")
		listens "$six" 1.5 || return
		pid=$!
		says "$six" "$port" 4000 "${@:4}" || return
		wait "$pid"
		cat "$TMP/heard"
		grep -qx nothing "$TMP/heard" || return
		poll_until 5 counted "$reason" "$before" || return
	done
}
counted()
{
	[ "$(counter "$1")" -gt "$2" ] || { echo "$1 is $(counter "$1"), was $2"; return 1; }
}
t message_that_never_becomes_whole_does_not_pass nothing_of frag_timeout 5081 5084 0-1400 2800-
t overlapping_pieces_do_not_pass nothing_of frag_overlap 5082 5085 0-1400 1400-2800 "~1392-2800" 2800-
t piece_of_another_content_does_not_pass nothing_of frag_overlap 5083 5084 0-1400 "~0-1400" 1400-2800 2800-
t pieces_under_two_ids_do_not_pass nothing_of frag_timeout 5082 5085 0-1400 =1400-2800 2800-

# While ctd is away nothing passes unread; its sender says it again, and it does when ctd is back.
says_again()
{
	says 4 5083 4000 0-1400 1400-2800 2800-
}
unheard()
{
	[ ! -s "$TMP/heard" ] || { cat "$TMP/heard"; return 1; }
}
kill_ctd 2>/dev/null
listens 4 60
t without_ctd_a_long_message_is_not_passed_on says_again
t nor_is_it_a_moment_later unheard
start_ctd "$R" "$conf"
heard_again()
{
	says_again && poll_until 2 fails unheard && grep -q "^from $RW4 contact $RW4 media $RW4 body whole" "$TMP/heard"
}
t it_passes_edited_when_ctd_is_back poll_until 20 heard_again
nothing_held()
{
	[ "$(ctctl -j stats | jq '.tables[] | select(.table == "fragments") | .used')" = 0 ] || { ctctl frag; return 1; }
}
t no_piece_is_left poll_until 10 nothing_held
finish
