#!/bin/bash
# beside: yes
# FTP of the router's own: a client on it whose server opens the data connection, a server on it whose
# clients do; nothing else gets in. Control payload is taken and comes back at egress.
#
#   router wan0 ── server        (tests/lib/netns.sh: addresses)
#   vsftpd 21    vsftpd 21, and 2121, for which no helper is named; a fake 2100
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh

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
	alg ftp on lo port { 21, 2100 }
	alg ftp on \$wan
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
t tables_are_whole ctctl check
finish
