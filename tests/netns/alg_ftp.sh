#!/bin/bash
# FTP through NAT: real servers and clients, and a server that says what it is told to.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#   behind NAT                    vsftpd 21, with TLS 2122, proftpd 2121, a fake 2100
#   vsftpd 21 behind a forward of the router's port 2021 as well; `tx off` on both of its devices
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh

net_router
FTP_LARGE=20000000
need openssl
serve_vsftpd "$S" 21 && serve_proftpd "$S" 2121 && serve_vsftpd_tls "$S" 2122 && serve_vsftpd "$C" 21 || exit 1
FAKE=$TMP/fake.log
: >"$FAKE"
serve "$S" /usr/bin/python3 tests/lib/ftp_fake.py server 2100 "$FAKE"
poll_until 10 listening "$S" 2100
RULES=$(config ftp <<-END
	set default deny
	wan = wan0
	lan = lan0
	nat out on \$wan from \$lan.net -> (\$wan)
	forward in on \$wan proto tcp to self port 2021 -> $C4:21
	forward in on \$wan inet6 proto tcp to self port 2021 -> [$C6]:21
	pass in on \$lan
	alg ftp on \$lan port { 21, 2121, 2122, 2100 }
	alg ftp on \$wan port 21
END
)
start_ctd "$R" "$RULES"

small()
{
	on "$1" curl -sS --max-time 60 "${@:2}" | grep -qx "the file behind the router"
}

# Both kinds of each command, to both servers
curl_fetches()
{
	local port
	for port in 21 2121; do
		small "$C" --disable-epsv "ftp://$S4:$port/small" &&
			small "$C" "ftp://$S4:$port/small" &&
			small "$C" -P - --disable-eprt "ftp://$S4:$port/small" &&
			small "$C" -P - "ftp://$S4:$port/small" || return
	done
}

curl_fetches_over_ipv6()
{
	small "$C" "ftp://[$S6]:21/small" && small "$C" -P - "ftp://[$S6]:21/small" &&
		small "$C" "ftp://[$S6]:2121/small" && small "$C" -P - "ftp://[$S6]:2121/small"
}

# lftp_gets PASSIVE HOST:PORT
lftp_gets()
{
	rm -f "$TMP/l"
	program "$C" lftp timeout 20 lftp -e \
		"set net:max-retries 2; set net:timeout 8; set ftp:passive-mode $1; ls; get small -o $TMP/l; bye" "ftp://$2" &&
		cmp "$TMP/l" "$FTP_ROOT/small"
}

# An active transfer is what a passive one of lftp would hide
lftp_fetches()
{
	local at
	for at in "$S4:21" "$S4:2121" "[$S6]:21" "[$S6]:2121"; do
		lftp_gets on "$at" && lftp_gets off "$at" || return
	done
}

tnftp_fetches()
{
	local at mode
	for at in "$S4:21" "$S4:2121" "[$S6]:21" "[$S6]:2121"; do
		for mode in active passive; do
			rm -f "$TMP/t4"
			program "$C" tnftp timeout 20 env FTPMODE="$mode" tnftp -o "$TMP/t4" "ftp://$at/small" && cmp "$TMP/t4" "$FTP_ROOT/small" || return
		done
	done
}

# The server is behind the router: it names its own address, the client must be told ours
server_behind_nat()
{
	small "$S" --disable-epsv --ftp-skip-pasv-ip "ftp://$RW4:2021/small" &&
		small "$S" --disable-epsv --no-ftp-skip-pasv-ip "ftp://$RW4:2021/small" &&
		small "$S" "ftp://$RW4:2021/small" && small "$S" -P - --disable-eprt "ftp://$RW4:2021/small"
}

server_behind_nat_over_ipv6()
{
	small "$S" "ftp://[$RW6]:2021/small" && small "$S" -P - "ftp://[$RW6]:2021/small"
}

# AUTH TLS: what follows cannot be read; a passive transfer needs no help from inside
a_real_tls_session()
{
	local before
	before=$(grep -c "reason=tls off=yes" "$CTD_LOG")
	small "$C" --ssl-reqd -k "ftp://$S4:2122/small" && [ "$(grep -c "reason=tls off=yes" "$CTD_LOG")" = $((before + 1)) ]
}

# How many expectations there are
expected()
{
	ctctl -L expect 2>/dev/null | grep -c .
}

# fake STEP... : a client of the fake server, behind NAT
fake()
{
	on "$C" timeout 120 /usr/bin/python3 tests/lib/ftp_fake.py client $S4 2100 read "$@"
}

heard()
{
	grep -aq "$1" "$FAKE" || { tail -n 3 "$FAKE"; echo "the server has not heard: $1"; return 1; }
}

PORT_OURS='^PORT 203,0,113,1,[0-9]*,[0-9]*.$'

# Nagle's algorithm keeps the rest back until the first piece is acknowledged
a_line_in_pieces_is_put_together()
{
	local from=$SECONDS
	: >"$FAKE"
	fake send:PO wait:0.3 'send:RT 10,0,0,2,' wait:0.3 line:200,10 read && heard "$PORT_OURS" &&
		[ $((SECONDS - from)) -lt 30 ]
}

several_commands_in_a_segment()
{
	: >"$FAKE"
	fake 'send:NOOP\r\nport 10,0,0,2,200,10\r\nNOOP\r\n' read read read line:NOOP read && heard '^port 203,0,113,1,' &&
		[ "$(grep -ac '^NOOP.$' "$FAKE")" = 3 ]
}

# The second transfer announces after an edit that changed a length
announcements_go_on()
{
	: >"$FAKE"
	fake 'line:PORT 10,0,0,2,200,10' read 'line:PORT 10,0,0,2,200,11' read 'line:EPRT |1|10.0.0.2|51212|' read line:NOOP read &&
		heard '^EPRT |1|203.0.113.1|' && [ "$(grep -ac "$PORT_OURS" "$FAKE")" = 2 ]
}

# nothing_granted WHY STEP... : passes as it is, and opens nothing
nothing_granted()
{
	local why=$1 before after
	shift
	: >"$FAKE"
	ctctl -F expect >/dev/null 2>&1
	before=$(grep -c "reason=$why" "$CTD_LOG")
	fake "$@" >"$TMP/said" || { cat "$TMP/said"; return 1; }
	after=$(grep -c "reason=$why" "$CTD_LOG")
	[ "$after" = $((before + 1)) ] || { echo "$why was logged $((after - before)) times"; return 1; }
	[ "$(expected)" = 0 ] || { ctctl -L expect; echo "something is expected"; return 1; }
}

another_host_is_not_announced()
{
	nothing_granted other_host 'line:PORT 10,0,0,9,200,10' read && heard '^PORT 10,0,0,9,200,10.$'
}

a_privileged_port_is_not_announced()
{
	nothing_granted port_low 'line:PORT 10,0,0,2,0,22' read && heard '^PORT 10,0,0,2,0,22.$'
}

a_bounce_in_227_is_not_followed()
{
	nothing_granted other_host line:NOOP read 'line:SITE PASV=227 Entering Passive Mode (192,0,2,7,195,80)' read line:PASV read
}

# netfilter opens what an unasked 227 names
a_227_that_nobody_asked_for()
{
	nothing_granted unasked line:NOOP read 'line:SITE 227 Entering Passive Mode (203,0,113,2,195,80)' read line:NOOP read
}

# A client that is logged in; the server connects to what PORT names before it has said 200, which
# opens nothing, and another time behind it.
only_when_the_server_has_agreed()
{
	fake line:NOOP read 'line:SITE 230 in' read 'line:SITE CONNECT=before' read listen:51240 'line:PORT 10,0,0,2,200,40' read \
		'line:SITE CONNECT=after' read listen:51241 'line:PORT 10,0,0,2,200,41' read read >"$TMP/said"
	cat "$TMP/said"
	[ "$(sed -n '5p;7,8p' "$TMP/said" | cut -c 1-3 | tr '\n' ' ')" = "425 200 150 " ]
}

# NAT slipstreaming: a browser is made to post text to port 21
http_loses_the_helper()
{
	nothing_granted not_protocol 'send:POST / HTTP/1.1\r\nHost: x\r\n\r\nPORT 10,0,0,2,200,10\r\n' read read read read &&
		heard '^PORT 10,0,0,2,200,10.$'
}

numbers_out_of_range()
{
	nothing_granted range 'line:PORT 10,0,0,2,300,10' read && heard '^PORT 10,0,0,2,300,10.$'
}

nul_in_a_line()
{
	nothing_granted nul 'send:PORT 10,0,0,2,200,10\x00\r\n' read
}

an_oversized_line_passes()
{
	local long
	long=$(printf 'A%.0s' {1..2000})
	nothing_granted line_long "line:PORT 10,0,0,2,200,10,$long" read && heard "^PORT 10,0,0,2,200,10,$long.$"
}

tls_is_left_alone()
{
	local got
	: >"$FAKE"
	got=$(fake 'line:AUTH TLS' read 'send:\x16\x03\x01PORT 10,0,0,2,200,10\r\n' read) || return
	[ "$(tail -n 1 <<<"$got" | tr -d '\026\003\001')" = "PORT 10,0,0,2,200,10" ]
}

the_end_of_a_held_line_passes()
{
	: >"$FAKE"
	fake send:PO wait:0.3 end && heard '^PO<end>$'
}

a_large_file_is_whole()
{
	[ "$(on "$C" curl -sS --max-time 60 -P - "ftp://$S4/large" | md5sum)" = "$FTP_MD5" ]
}

an_upload_is_whole()
{
	on "$C" curl -sS --max-time 60 -P - -T "$FTP_ROOT/large" "ftp://$S4/incoming/up" &&
		[ "$(md5sum <"$FTP_ROOT/incoming/up")" = "$FTP_MD5" ]
}

# ctd is killed with a transfer under way and with a line in hand that it has told the client
# has arrived: the next one has to deliver that, over a bad path. Not within t(): the shell must know the new ctd.
kill_in_the_midst()
{
	: >"$FAKE"
	rm -f "$TMP/go"
	bad_path on
	fake send:PO "until:$TMP/go" 'line:RT 10,0,0,2,200,10' read line:NOOP read >"$TMP/killed" 2>&1 &
	LINE_PID=$!
	on "$C" curl -sS --max-time 150 --limit-rate 10M -P - -o "$TMP/k" "ftp://$S4/large" 2>"$TMP/curl" &
	CURL_PID=$!
	poll_until 20 test -s "$TMP/k"
	sleep 1
	kill_ctd
	touch "$TMP/go"
	sleep 1
	t nothing_passes_without_ctd fails heard PORT
	start_ctd "$R" "$RULES"
	wait $LINE_PID || cat "$TMP/killed"
	t the_line_in_hand_is_delivered heard "$PORT_OURS"
	wait $CURL_PID || cat "$TMP/curl"
	t the_transfer_is_whole transferred
}

transferred()
{
	[ "$(md5sum <"$TMP/k")" = "$FTP_MD5" ]
}

# Commands and replies are lost and change places on both sides of the router
over_a_bad_path()
{
	local i ret=0
	bad_path on || return
	for i in 1 2 3; do
		small "$C" -P - --disable-eprt "ftp://$S4/small" || ret=$i
		small "$C" --disable-epsv "ftp://$S4/small" || ret=$i
	done
	bad_path off && return "$ret"
}

two_hundred_at_once()
{
	on "$C" /usr/bin/python3 tests/lib/ftp_many.py "$S4" 21 200
}

t curl_fetches curl_fetches
t curl_fetches_over_ipv6 curl_fetches_over_ipv6
t lftp_fetches lftp_fetches
t tnftp_fetches tnftp_fetches
t server_behind_nat server_behind_nat
t server_behind_nat_over_ipv6 server_behind_nat_over_ipv6
t a_real_tls_session a_real_tls_session
for name in a_line_in_pieces_is_put_together several_commands_in_a_segment announcements_go_on another_host_is_not_announced \
	a_privileged_port_is_not_announced a_bounce_in_227_is_not_followed a_227_that_nobody_asked_for only_when_the_server_has_agreed http_loses_the_helper \
	numbers_out_of_range nul_in_a_line an_oversized_line_passes tls_is_left_alone the_end_of_a_held_line_passes a_large_file_is_whole \
	an_upload_is_whole over_a_bad_path two_hundred_at_once; do
	t $name $name
done
kill_in_the_midst
finish
