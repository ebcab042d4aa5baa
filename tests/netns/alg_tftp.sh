#!/bin/bash
# TFTP through NAT with real programs: tftpd-hpa, curl, atftp. The server answers from a port of
# its own choice, which only an expectation lets in, and finds the client by the master's translation.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh
need curl jq

net_router
on "$C" ip addr add 10.0.0.3/24 dev c0
mkdir -p "$TMP/tftp" && chmod 755 "$TMP" && chmod 777 "$TMP/tftp"
head -c 200000 /dev/zero | noise >"$TMP/tftp/file"
touch "$TMP/tftp/up" "$TMP/tftp/up2" && chmod 666 "$TMP/tftp"/*
for ns in "$S" "$C"; do
	serve_program "$ns" tftpd-hpa in.tftpd -L -c -u nobody -s "$TMP/tftp"
	poll_until 20 listening "$ns" 69 u
done
# rules NAME [LINE...] : masquerade from the LAN and, before that, what the test is about;
# NAT_HOW: how it masquerades
rules()
{
	local name=$1
	shift
	config "$name" <<-END
		set default deny
		wan = wan0
		lan = lan0
		$(printf '%s\n' "$@")
		nat out on \$wan from \$lan.net -> (\$wan) ${NAT_HOW:-}
		pass in on \$lan
	END
}
load()
{
	ctctl fw load "$(rules "$@")"
}
start_ctd "$R" "$(rules none)"

# left N : so many expectations
left()
{
	[ "$(ctctl -C expect)" = "$1" ]
}
same_file()
{
	cmp "$TMP/tftp/file" "$1"
}
fetches()
{
	rm -f "$TMP/got"
	on "$1" curl -sS --max-time 15 -o "$TMP/got" "tftp://$2/file" && same_file "$TMP/got"
}
sends()
{
	program "$1" atftp atftp --tftp-timeout 3 -p -r "$3" -l "$TMP/tftp/file" "$2" && same_file "$TMP/tftp/$3"
}

no_rule_no_helper()
{
	fails on "$C" curl -sS --max-time 3 -o "$TMP/got" "tftp://$S4/file" || return
	left 0
}
t without_alg_rule_the_answer_stays_outside no_rule_no_helper

load masq "alg tftp on lan0" || exit 1
t curl_reads_through_masquerade fetches "$C" "$S4"
t curl_reads_over_ipv6 fetches "$C" "[$S6]"
atftp_reads()
{
	rm -f "$TMP/got"
	program "$C" atftp atftp -g -r file -l "$TMP/got" "$S4" && same_file "$TMP/got"
}
t atftp_reads_through_masquerade atftp_reads
t atftp_writes_through_masquerade sends "$C" "$S4" up
related()
{
	ctctl -j flow list -u EXPECTED >"$TMP/flows"
	[ "$(jq 'length' "$TMP/flows")" -gt 0 ] || { ctctl -L; return 1; }
	[ "$(counter expect_used)" -ge 4 ]
}
t transfers_are_related_to_their_request related

NAT_HOW=eim load eim "alg tftp on lan0" || exit 1
t curl_reads_through_an_endpoint_independent_mapping fetches "$C" "$S4"

load forward "alg tftp on wan0" "forward in on wan0 proto udp port 69 -> $C4" || exit 1
t curl_reads_from_a_server_behind_nat fetches "$S" "$RW4"
t atftp_writes_to_a_server_behind_nat sends "$S" "$RW4" up2

load both "alg tftp on wan0" "forward in on wan0 proto udp port 69 -> $C4" \
	"nat out on lan0 from 203.0.113.0/24 -> (lan0)" || exit 1
t curl_reads_with_both_sides_translated fetches "$S" "$RW4"

load masq2 "alg tftp on lan0" || exit 1

# sent NS SOURCE-ADDRESS SOURCE-PORT TO BYTES : one datagram to port 69
sent()
{
	on "$1" /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$2', $3))
s.sendto(b'$5', ('$4', 69))"
}
# Requests that are none, and a port under 1024 that the answer would open
grants_nothing()
{
	sent "$C" "$C4" 4700 "$S4" 'GET / HTTP/1.1' || return
	sent "$C" "$C4" 4701 "$S4" '\0\1file\0octet' || return
	sent "$C" "$C4" 4702 "$S4" '\0\1\0octet\0' || return
	sent "$C" "$C4" 500 "$S4" '\0\1none\0octet\0' || return
	sleep 1
	left 0
}
t what_is_no_request_grants_nothing grants_nothing

kill "${PIDS[0]}" # the server: the answers are ours now
# Another address than the one asked may not answer, nor the one asked to another port.
on "$S" ip addr add 203.0.113.77/24 dev s0
only_the_server_asked()
{
	sent "$C" "$C4" 4800 "$S4" '\0\1file\0octet\0'
	poll_until 5 left 1 || return
	on "$C" timeout 4 /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$C4', 4800))
s.settimeout(2)
try:
    while True:
        print(s.recvfrom(100), flush=True)
except OSError:
    pass" >"$TMP/heard" &
	sleep 0.5
	on "$S" /usr/bin/python3 -c "
import socket
for source, port, text in (('203.0.113.77', 4800, b'foreign'), ('$S4', 4801, b'astray'), ('$S4', 4800, b'right'),
                           ('$S4', 4800, b'second')):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.sendto(text, ('$RW4', port))"
	wait $!
	cat "$TMP/heard"
	grep -q right "$TMP/heard" && fails grep -E 'foreign|astray|second' "$TMP/heard"
}
t only_the_server_asked_may_answer_and_once only_the_server_asked

# One request after the other from many ports: as many expectations as there may be, no more.
flood()
{
	ctctl expect limit 50 && on "$C" /usr/bin/python3 -c "
import socket
for port in range(20000, 20200):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('$C4', port))
    s.sendto(b'\0\1file\0octet\0', ('$S4', 69))" || return
	poll_until 10 left 50 || return
	sleep 0.5
	left 50 && [ "$(counter expect_refused)" -ge 100 ] && ctctl expect flush && left 0
}
t a_flood_of_requests_has_its_limit flood
t tables_are_whole ctctl check
finish
