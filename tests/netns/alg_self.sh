#!/bin/bash
# beside: yes
# FTP, TFTP and SIP of the router's own: clients and phones on it to which others open the data connection, servers
# on it whose clients do; nothing else gets in. Payload is taken and comes back at egress.
#
#   router wan0 ── server        (tests/lib/netns.sh: addresses)
#   vsftpd 21    vsftpd 21, and 2121, for which no helper is named; a fake 2100
#   in.tftpd 69  in.tftpd 69, and 1069, for which none is named
#   sipp 5060    sipp 5060, and 5061, for which none is named
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/sip.sh
. tests/lib/sip.sh

net_router
FTP_LARGE=3000000
serve_vsftpd "$R" 21 && serve_vsftpd "$S" 21 && serve_vsftpd "$S" 2121 || exit 1
FAKE=$TMP/fake.log
: >"$FAKE"
serve "$S" /usr/bin/python3 tests/lib/ftp_fake.py server 2100 "$FAKE"
poll_until 10 listening "$S" 2100
RULES=$(config ftp <<-END
	set default deny
	wan = wan0
	pass in on \$wan proto tcp port 21
	pass in on \$wan proto udp port { 69, 5060 }
	alg ftp on lo port { 21, 2100 }
	alg tftp on lo
	alg sip on lo
	alg ftp on \$wan
	alg sip on \$wan
END
)
start_ctd "$R" "$RULES"

small()
{
	on "$1" curl -sS --max-time 15 "${@:2}" | grep -qx "the file behind the router"
}
client_on_the_router()
{
	small "$R" -P - --disable-eprt "ftp://$S4/small" && small "$R" -P - "ftp://$S4/small" &&
		small "$R" -P - "ftp://[$S6]/small" && small "$R" "ftp://$S4/small"
}
t client_on_the_router_is_sent_its_data client_on_the_router
t without_a_helper_it_is_not fails small "$R" -P - --max-time 3 "ftp://$S4:2121/small"
server_on_the_router()
{
	small "$S" --disable-epsv "ftp://$RW4/small" && small "$S" "ftp://$RW4/small" && small "$S" "ftp://[$RW6]/small" &&
		small "$S" -P - "ftp://$RW4/small"
}
t server_on_the_router_is_asked_for_data server_on_the_router
whole()
{
	[ "$(on "$1" curl -sS --max-time 30 "${@:2}" | md5sum)" = "$FTP_MD5" ]
}
t a_large_file_goes_out whole "$S" "ftp://$RW4/large"
t a_large_file_comes_in whole "$R" -P - "ftp://$S4/large"
# What is held is acknowledged to a socket of this host, and repeated in its name.
in_pieces()
{
	on "$R" timeout 30 /usr/bin/python3 tests/lib/ftp_fake.py client "$S4" 2100 read send:PO wait:0.3 \
		'send:RT 203,0,113,1,' wait:0.3 line:200,10 read && grep -aq '^PORT 203,0,113,1,200,10.$' "$FAKE"
}
t a_line_in_pieces_is_put_together in_pieces
# The line in pieces was agreed upon, and then both ends went: not after its 30 s.
none_left()
{
	[ "$(ctctl expect count)" = 0 ] || { ctctl -L expect; return 1; }
}
t expectations_end_with_the_control_connection poll_until 15 none_left

# --- TFTP: the server answers from a port of its own choice ---

mkdir -p "$TMP/tftp" && chmod 755 "$TMP" "$TMP/tftp"
head -c 100000 /dev/zero | noise >"$TMP/tftp/file"
for at in "$R 69" "$S 69" "$S 1069"; do
	read -r ns port <<<"$at"
	serve_program "$ns" tftpd-hpa in.tftpd -L -u nobody -a ":$port" -s "$TMP/tftp"
	poll_until 20 listening "$ns" "$port" u
done
# reads NS URL [SECONDS]
reads()
{
	rm -f "$TMP/got"
	on "$1" curl -sS --max-time "${3:-15}" -o "$TMP/got" "$2" && cmp "$TMP/got" "$TMP/tftp/file"
}
t tftp_client_on_the_router_is_answered reads "$R" "tftp://$S4/file"
t tftp_client_on_the_router_is_answered_over_ipv6 reads "$R" "tftp://[$S6]/file"
t without_a_helper_tftp_is_not_answered fails reads "$R" "tftp://$S4:1069/file" 2
t tftp_server_on_the_router_answers reads "$S" "tftp://$RW4/file"

# --- SIP: the other side's media comes first, and the router's end sends it back ---

sed '/play_pcap_audio/d' tests/alg/sipp/call.xml >"$TMP/silent.xml"
# phone_on_the_router TRANSPORT ROUTER SERVER PORT : calls a server, which plays; the echo is heard at the server
phone_on_the_router()
{
	local ret=0 of=${2//[][]/}
	serve_sipp "$S" -sf "$NETNS_TOP/tests/alg/sipp/plays.xml" -key sound "$SOUND" -t "$1" -i "$3" -p "$4" -mp 6000 -mi "$3"
	poll_until 20 listening "$S" "$4" "${1:0:1}" || return
	heard "$S" s0 "udp and src $of and src port 6100" sipp "$R" -sf "$TMP/silent.xml" -t "$1" -i "$2" -p 5070 \
		-rtp_echo -mp 6100 -mi "$2" -m 1 "$3:$4" || ret=1
	kill "${PIDS[-1]}"
	poll_until 10 sip_gone "$S"
	[ "$ret" = 0 ] && enough
}
t phone_on_the_router_hears_who_it_calls phone_on_the_router u1 $RW4 $S4 5060
t and_over_ipv6_and_tcp phone_on_the_router t1 "[$RW6]" "[$S6]" 5060
t without_a_helper_it_hears_nobody fails phone_on_the_router u1 $RW4 $S4 5061
phone_on_the_router_is_called()
{
	serve_sipp "$R" -sn uas -t u1 -i "$RW4" -p 5060 -rtp_echo -mp 6200 -mi "$RW4"
	poll_until 20 listening "$R" 5060 u || return
	heard "$S" s0 "udp and src $RW4 and src port 6200" sipp "$S" -sf "$NETNS_TOP/tests/alg/sipp/call.xml" -key sound "$SOUND" \
		-t u1 -i "$S4" -p 5070 -mp 6300 -mi "$S4" -m 1 "$RW4:5060" && enough
}
t phone_on_the_router_hears_who_calls_it phone_on_the_router_is_called
t what_was_expected_ends_with_the_calls poll_until 15 left_none
t tables_are_whole ctctl check
finish
