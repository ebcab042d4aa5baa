#!/bin/bash
# SIP through NAT with real programs: sipp calls sipp, RTP from a file plays one way and its echo
# the other. UDP and TCP, IPv4 and IPv6; a registration lets calls in.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/sip.sh
. tests/lib/sip.sh

net_router
conf=$(sip_rules "")
start_ctd "$R" "$conf"

# call_out TRANSPORT LOCAL REMOTE FILTER PORT : the client calls; the echo comes back to it
call_out()
{
	heard "$C" c0 "$4" sipp "$C" -sf "$NETNS_TOP/tests/alg/sipp/call.xml" -key sound "$SOUND" -t "$1" \
		-i "$2" -p "$5" -m 1 "$3:5060" || return
	enough || return
	poll_until 10 media_is_over 6000
}

# talks NAME TRANSPORT CLIENT SERVER FILTER : a server of this transport and family, and a call to it
talks()
{
	local port=5060
	serve_sipp "$S" -sn uas -t "$2" -i "$4" -p $port -rtp_echo -mp 6000 -mi "$4"
	if [ "$2" = t1 ]; then
		poll_until 20 listening "$S" $port t
	else
		poll_until 20 listening "$S" $port u
	fi
	t "$1" call_out "$2" "$3" "$4" "$5" 5070
	kill "${PIDS[-1]}"
	poll_until 10 sip_gone "$S"
}
talks call_over_udp_has_media_both_ways u1 "$C4" "$S4" "udp and src $S4 and src port 6000"
talks call_over_tcp_has_media_both_ways t1 "$C4" "$S4" "udp and src $S4 and src port 6000"
bad_path on
talks call_over_tcp_on_a_bad_path t1 "$C4" "$S4" "udp and src $S4 and src port 6000"
bad_path off
talks call_over_ipv6_has_media_both_ways u1 "[$C6]" "[$S6]" "udp and src $S6 and src port 6000"
talks call_over_ipv6_and_tcp_has_media_both_ways t1 "[$C6]" "[$S6]" "udp and src $S6 and src port 6000"

# A call is held (re-INVITE) and goes on at another port (UPDATE). The server is told the same port
# for as long as it is the same; what was open for the old one ends with it.
expected_to() # PORT : media connections of the server's echo, by the phone's port
{
	ctctl -j flow list -p udp --dport 6000 -u EXPECTED | jq "[.[] | select(.orig.sport == $1)] | length"
}
has_moved()
{
	[ "$(expected_to 6010)" = 1 ] && [ "$(expected_to 6000)" = 0 ]
}
call_moves()
{
	local pid ret=0
	heard "$C" c0 "udp and src $S4 and src port 6000 and dst port 6010" sipp "$C" -sf "$NETNS_TOP/tests/alg/sipp/moves.xml" \
		-key sound "$SOUND" -t u1 -i "$C4" -p 5072 -m 1 "$S4:5060" &
	pid=$!
	poll_until 20 has_moved || { ctctl -L; ret=1; }
	wait "$pid" || return
	enough || return
	grep -a "^m=audio" "$TMP/follows.log" >"$TMP/told"
	cat "$TMP/told"
	# received and sent by turns: INVITE, re-INVITE and UPDATE are the odd ones
	awk 'NR == 1 { one = $2 } NR == 3 && $2 != one { exit 1 } NR == 5 && $2 == one { exit 1 } END { if (NR != 6) exit 1 }' "$TMP/told" || return
	[ "$(grep -ac "^c=IN IP4 $RW4" "$TMP/follows.log")" = 3 ] || return
	poll_until 10 media_is_over 6000 && return "$ret"
}
serve_sipp "$S" -sf "$NETNS_TOP/tests/alg/sipp/follows.xml" -t u1 -i "$S4" -p 5060 -rtp_echo -mp 6000 -mi "$S4" \
	-trace_msg -message_file "$TMP/follows.log"
poll_until 20 listening "$S" 5060 u
t held_call_goes_on_at_another_port call_moves
kill "${PIDS[-1]}"
poll_until 10 sip_gone "$S"

# used ROW : of a table of `ctctl stats`
used()
{
	ctctl -j stats | jq ".tables[] | select(.table == \"$1\") | .used"
}
# An offer that nobody answers sets ports aside, so that it can be passed on; it opens nothing.
# They go back with the connection that it came by.
# offers PORT : the client says INVITE from it, once
offers()
{
	on "$C" /usr/bin/python3 - "$C4" "$S4" "$1" <<-'END'
		import socket, sys
		me, peer, port = sys.argv[1:]
		sdp = f"v=0\r\no=a 1 1 IN IP4 {me}\r\ns=-\r\nc=IN IP4 {me}\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n"
		text = (f"INVITE sip:b@{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {me}:{port};branch=z9hG4bKx;rport\r\nMax-Forwards: 70\r\n"
		        f"From: <sip:a@{me}>;tag=1\r\nTo: <sip:b@{peer}>\r\nCall-ID: alone{port}@{me}\r\nCSeq: 1 INVITE\r\n"
		        f"Contact: <sip:a@{me}:{port}>\r\nContent-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}")
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind((me, int(port)))
		s.sendto(text.encode(), (peer, 5060))
	END
}
offer_alone()
{
	poll_until 20 ports_are 0 || return # of the calls before
	offers 5091
	poll_until 5 ports_are 2 || return
	left_none || { ctctl -L expect; return 1; }
	ctctl -D -p udp --orig-port-src 5091 >/dev/null 2>&1 || return
	poll_until 20 ports_are 0
}
ports_are()
{
	[ "$(used exp-ports)" = "$1" ] || { echo "$(used exp-ports) ports, not $1"; return 1; }
}
t an_offer_without_answer_opens_nothing_and_its_ports_go_back offer_alone

# hears_offer PORT : what the server gets of it
hears_offer()
{
	on "$S" timeout 10 /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$S4', 5060))
print(s.recv(4000).decode())" >"$TMP/offer" 2>&1 &
	poll_until 10 listening "$S" 5060 u || return
	offers "$1"
	wait $! || return
	cat "$TMP/offer"
	grep -q "^Contact: <sip:a@$RW4:" "$TMP/offer"
}
# An audio stream needs four expectations. Where they find no room, the other side is not told
# of a port to which nothing could come.
no_room()
{
	local before
	before=$(counter expect_refused)
	ctctl expect limit 3 || return
	hears_offer 5092 || return
	grep -q "^c=IN IP4 $C4" "$TMP/offer" && grep -q "^m=audio 30000 " "$TMP/offer" || return
	ports_are 0 && [ "$(counter expect_refused)" = $((before + 1)) ] || return
	ctctl expect limit 4 || return
	hears_offer 5093 || return
	grep -q "^c=IN IP4 $RW4" "$TMP/offer" && ports_are 2 || return
	# Another's offer: the four are promised.
	hears_offer 5094 || return
	grep -q "^c=IN IP4 $C4" "$TMP/offer" && ports_are 2 || return
	grep -q "reason=no_port" "$CTD_LOG" || return
	ctctl expect limit 4096 && ctctl -D -p udp --orig-port-src 5093 >/dev/null 2>&1 && poll_until 20 ports_are 0
}
t nothing_is_announced_that_has_no_room no_room

# A registration: what the registrar is told is ours, and from its address calls come in.
external_port()
{
	ctctl -j expect list | jq -e '.[] | select(.flags | index("outlives")) | .expected.dport'
}
# registers SECONDS CSEQ : each time at a new registrar, as sipp takes a Call-ID only once
registers()
{
	local ret=0
	serve_sipp "$S" -sf "$NETNS_TOP/tests/alg/sipp/registrar.xml" -t u1 -i "$S4" -p 5060
	poll_until 20 listening "$S" 5060 u
	sipp "$C" -sf "$NETNS_TOP/tests/alg/sipp/register.xml" -t u1 -i "$C4" -p 5060 -m 1 -key expires "$1" -key cseq_of "$2" \
		-cid_str "one@$C4" "$S4:5060" >"$TMP/register.log" 2>&1 || ret=$?
	kill "${PIDS[-1]}"
	[ "$ret" = 0 ] || tail -n 30 "$TMP/register.log"
	poll_until 10 sip_gone "$S" && return "$ret"
}
registered()
{
	registers 60 1 && poll_until 5 external_port >/dev/null && [ "$(ctctl expect count)" = 1 ]
}
t registration_is_held registered
unregistered()
{
	registers 0 2 && poll_until 5 left_none
}
t registration_ends_with_expiry_0 unregistered
again()
{
	registers 60 3 && poll_until 5 external_port
}
t registration_comes_again again

# The connection that registered is gone by then, and ctd is another.
call_in()
{
	ctctl -D -p udp --orig-port-src 5060 --orig-port-dst 5060 -s "$C4" >/dev/null 2>&1 || return
	heard "$S" s0 "udp and src $RW4 and dst port 6000" sipp "$S" -sf "$NETNS_TOP/tests/alg/sipp/call.xml" \
		-key sound "$SOUND" -t u1 -i "$S4" -p 5060 -m 1 "$RW4:$(external_port)" || return
	enough || return
	ctctl -L -u EXPECTED | grep -q "src=$S4 dst=$RW4 sport=5060" || { ctctl -L; return 1; }
	[ "$(ctctl expect count)" = 1 ]
}
kill_ctd 2>/dev/null
start_ctd "$R" "$conf"
serve_sipp "$C" -sn uas -t u1 -i "$C4" -p 5060 -rtp_echo -mp 6100 -mi "$C4"
poll_until 20 listening "$C" 5060 u
t the_registrar_calls_in_and_media_goes_both_ways call_in
stranger()
{
	on "$S" ip addr add 203.0.113.77/24 dev s0
	fails sipp "$S" -sf "$NETNS_TOP/tests/alg/sipp/call.xml" -key sound "$SOUND" -t u1 -i 203.0.113.77 -p 5060 -m 1 \
		-recv_timeout 1500 "$RW4:$(external_port)" >/dev/null 2>&1
}
t a_stranger_does_not_reach_the_contact stranger
kill "${PIDS[-1]}"

# The registration's port, and no other.
ports_back()
{
	[ "$(used exp-ports)" -le 1 ]
}
t ports_of_ended_calls_go_back poll_until 10 ports_back
t tables_are_whole ctctl check
finish
