#!/bin/bash
# beside: yes
# Helped connections whose segments meet more than a wire: routers that cut them into IP fragments, paths
# that do not carry them (path MTU discovery), and packets with a priority. Real sockets, lines in numbers that
# an edit has moved.
#
#   host ── h1 client c0 ── lan0 router wan0 ── s0 server p1 ── peer      (tests/lib/netns.sh: addresses)
#   fake FTP 2100   a router                    a router          fake FTP 2100
#
# The host's address is longer than the router's outside one: what it announces becomes shorter.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need nstat tc

H=$T-h P=$T-p
H4=10.100.200.200 H6=fd00:1111:2222:3333:4444:5555:6666:200
P4=198.51.100.2 P6=2001:db8:9::2 # by a path that is narrow behind the server
Q4=198.51.100.3 Q6=2001:db8:9::3 # and by one that is narrow behind our router
EPRT="EPRT |2|$H6|51210|"
LONG=$(printf 'x%.0s' {1..1350})

net_router
net_ns "$H" "$P"
net_link "$H" h0 "$C" h1
net_link "$S" p1 "$P" p0
net_addr "$H" h0 $H4/24 $H6/64
net_addr "$C" h1 10.100.200.1/24 fd00:1111:2222:3333::1/64
net_addr "$S" p1 198.51.100.1/24 2001:db8:9::1/64
net_addr "$P" p0 $P4/24 $P6/64 $Q4/24 $Q6/64
on "$H" ip route add default via 10.100.200.1
on "$H" ip -6 route add default via fd00:1111:2222:3333::1
on "$P" ip route add default via 198.51.100.1
on "$P" ip -6 route add default via 2001:db8:9::1
on "$H" ethtool -K h0 tso off gso off # a segment is what the wire shows
on "$P" ethtool -K p0 tso off gso off
on "$R" ip route add 10.100.200.0/24 via $C4
on "$R" ip -6 route add fd00:1111:2222:3333::/64 via $C6
on "$R" ip route add 198.51.100.0/24 via $S4
on "$R" ip -6 route add 2001:db8:9::/64 via $S6
for ns in "$C" "$S"; do
	on "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
done

for ns in "$H" "$P"; do
	: >"$TMP/$ns.log"
	serve "$ns" /usr/bin/python3 tests/lib/ftp_fake.py server 2100 "$TMP/$ns.log"
done
for ns in "$H" "$P"; do
	poll_until 10 listening "$ns" 2100
done
CTD_ARGS=--clsact start_ctd "$R" "$(config path <<-END
	set default deny
	wan = wan0
	lan = lan0
	nat out on \$wan from { \$lan.net, 10.100.200.0/24, fd00:1111:2222:3333::/64 } -> (\$wan)
	forward in on \$wan proto tcp to self port 2121 -> $H4:2100
	pass in on \$lan
	alg ftp on \$lan port 2100
	alg sip on \$lan
	alg ftp on \$wan port 2100
	alg ftp on lo port 2100
	END
)"

# fake NS ADDRESS PORT STEP... : a client
fake()
{
	on "$1" timeout 60 /usr/bin/python3 tests/lib/ftp_fake.py client "$2" "$3" read "${@:4}"
}
# heard NS LINE... : exactly these, from the last look on, but for ports
heard()
{
	local ns=$1
	shift
	tr -d '\r' <"$TMP/$ns.log" | sed 's/^\(PORT 203,0,113,1\),.*/\1/; s/^\(EPRT |2|2001:db8:2::1\)|.*/\1/' >"$TMP/heard"
	: >"$TMP/$ns.log"
	printf '%s\n' "$@" | cmp - "$TMP/heard" && return
	cut -c 1-100 "$TMP/heard"
	return 1
}
# count NS NAME : of the kernel's own counters
count()
{
	on "$1" nstat -asz "$2" | awk -v n="$2" '$1 == n { print $2 }'
}

# --- segments in fragments ---

# Both ends leave it to routers to cut, and the two beside ours do, at 400 bytes.
cutting()
{
	on "$H" sysctl -qw net.ipv4.ip_no_pmtu_disc="$1" && on "$P" sysctl -qw net.ipv4.ip_no_pmtu_disc="$1" || return
	if [ "$1" = 1 ]; then
		on "$C" ip route replace default via "$RL4" mtu lock 400 && on "$S" ip route replace "$RW4/32" dev s0 mtu lock 400
	else
		on "$C" ip route replace default via "$RL4" && on "$S" ip route del "$RW4/32" dev s0 &&
			on "$H" ip route flush cache && on "$P" ip route flush cache
	fi
}
# in_fragments COMMAND... : and both routers have cut something
in_fragments()
{
	local before_c before_s ret=0
	before_c=$(count "$C" IpFragCreates) before_s=$(count "$S" IpFragCreates)
	cutting 1 && "$@" || ret=1
	cutting 0
	echo "fragments: $(($(count "$C" IpFragCreates) - before_c)) from inside, $(($(count "$S" IpFragCreates) - before_s)) from outside"
	[ "$(count "$C" IpFragCreates)" -ge $((before_c + 3)) ] && [ "$(count "$S" IpFragCreates)" -ge $((before_s + 3)) ] && return "$ret"
}
# The announcement is in the last fragment of one segment and the first of the next; the server's words come in such, too.
a_client_is_edited()
{
	local x=${LONG:0:900}
	fake "$H" "$P4" 2100 line:NOOP read "send:SITE 200 $x\r\nPORT 10,100,200,200,200,10\r\n" read read \
		"send:PORT 10,100,200,200,200,11\r\nSITE 200 y$x\r\n" read read line:NOOP read >"$TMP/said" || { cat "$TMP/said"; return 1; }
	printf '%s\n' "220 fake" "200 ok" "200 $x" "200 ok" "200 ok" "200 y$x" "200 ok" | cmp - "$TMP/said" || return
	heard "$P" NOOP "SITE 200 $x" "PORT 203,0,113,1" "PORT 203,0,113,1" "SITE 200 y$x" NOOP
}
t segments_in_fragments_are_edited in_fragments a_client_is_edited

# A server behind the router: its 227 is the end of a reply of 900 bytes. The client asks in 900, too.
a_server_is_edited()
{
	local x=${LONG:0:900}
	fake "$P" "$RW4" 2121 line:NOOP read "line:SITE PASV=227-$x\\\\r\\\\n227 Passive (10,100,200,200,195,80)" read line:PASV read read \
		"line:HELP $x" read line:PASV read read line:NOOP read >"$TMP/said" || { cat "$TMP/said"; return 1; }
	sed 's/(203,0,113,1,[0-9]*,[0-9]*)/(ours)/' "$TMP/said" >"$TMP/ours"
	printf '%s\n' "220 fake" "200 ok" "200 ok" "227-$x" "227 Passive (ours)" "200 ok" "227-$x" "227 Passive (ours)" "200 ok" |
		cmp - "$TMP/ours" || { cut -c 1-100 "$TMP/said"; return 1; }
	[ "$(grep -ac "^HELP $x.$" "$TMP/$H.log")" = 1 ] && [ "$(grep -ac . "$TMP/$H.log")" = 6 ]
}
t replies_in_fragments_are_edited in_fragments a_server_is_edited

# --- paths that do not carry what the host sends ---

# A router says so about a segment as it has seen it. The host believes that only of what it has in flight, and
# its own numbers are six higher, or some fifty.
on "$S" ip route add $P4/32 dev p1 mtu lock 1280
on "$S" ip -6 route add $P6/128 dev p1 mtu 1280
on "$R" ip route add $Q4/32 via $S4 mtu lock 1280
on "$R" ip -6 route add $Q6/128 via $S6 mtu lock 1280
: >"$TMP/$P.log"
# learns ADDRESS ANNOUNCEMENT EDITED
learns()
{
	local before family=4 ret=0
	[ "${1#*:}" = "$1" ] || family=6
	before=$(count "$H" TcpExtOutOfWindowIcmps)
	fake "$H" "$1" 2100 line:NOOP read "line:$2" read "line:$2" read "line:HELP $LONG" read line:NOOP read >"$TMP/said" || ret=1
	heard "$P" NOOP "$3" "$3" "HELP $LONG" NOOP || ret=1
	[ "$(count "$H" TcpExtOutOfWindowIcmps)" = "$before" ] || { echo "the host believes it is forged"; ret=1; }
	on "$H" ip "-$family" route get "$1" | grep -q "mtu 1280" || { on "$H" ip "-$family" route get "$1"; ret=1; }
	return "$ret"
}
t a_routers_error_about_an_edited_connection_is_believed learns $P4 "PORT 10,100,200,200,200,10" PORT\ 203,0,113,1
t and_over_ipv6 learns $P6 "$EPRT" "EPRT |2|2001:db8:2::1"
t our_own_stacks_error_is_believed learns $Q4 "PORT 10,100,200,200,200,10" PORT\ 203,0,113,1
t and_that_over_ipv6 learns $Q6 "$EPRT" "EPRT |2|2001:db8:2::1"

# The other way: what a SIP server says becomes shorter, and its packets' destination is translated before the stack
# says of one that it is too long. Over this very path, no router beside.
on "$S" ethtool -K s0 tso off gso off
on "$R" ip route add $C4/32 dev lan0 mtu lock 1280
export CLIENT_NS=$C SERVER_NS=$S CTCTL INSTANCE=$CTD_INSTANCE CTD_LOG
a_server_learns()
{
	local before
	before=$(count "$S" TcpExtOutOfWindowIcmps)
	PYTHONPATH=tests/netns timeout 60 /usr/bin/python3 -c '
from alg_lab import *
phone = Phone(dial(5060))
phone.says(phone.request("OPTIONS", 1))
for _ in range(3):
    heard = phone.hears(phone.reply("200 OK", 1, "OPTIONS"))
    check(CLIENT in heard and OUTSIDE not in heard, "not edited: " + heard)
heard = phone.hears(phone.reply("200 OK", 1, "OPTIONS", b"x" * 1000).replace(b"application/sdp", b"text/plain"))
check(heard.endswith("x" * 1000), "not whole: " + heard)
check(phone.says(phone.request("OPTIONS", 2)).startswith("OPTIONS "), "the connection does not go on")' || return
	[ "$(count "$S" TcpExtOutOfWindowIcmps)" = "$before" ] || { echo "the server believes it is forged"; return 1; }
	on "$S" ip route get "$RW4" | grep -q "mtu 1280" || { on "$S" ip route get "$RW4"; return 1; }
}
t and_it_is_about_translated_destinations a_server_learns

# What ctd has acknowledged in the listener's name the host will not repeat: ctd finds out by itself.
a_line_in_pieces()
{
	on "$H" ip route flush cache
	fake "$H" "$P4" 2100 line:NOOP read "send:HELP $LONG\r\nPO" wait:0.3 'line:RT 10,100,200,200,200,12' read read line:NOOP read >"$TMP/said"
	heard "$P" NOOP "HELP $LONG" "PORT 203,0,113,1" NOOP
}
t what_ctd_repeats_gets_through a_line_in_pieces

# --- priorities (no VLAN devices in this kernel: whoever looks at skb->priority later) ---

filters() # INGRESS-DEVICE EGRESS-DEVICE add|del
{
	on "$R" tc filter "$3" dev "$1" ingress pref 1 bpf da obj "$O/tests/netns/priority.bpf.o" sec tc &&
		on "$R" tc filter "$3" dev "$2" egress pref 5000 bpf da obj "$O/tests/netns/priority.bpf.o" sec tc
}
dialog() # NS PRIORITY ANNOUNCEMENT
{
	fake "$1" "$P4" 2100 priority:"$2" line:NOOP read "line:$3" read line:NOOP read
}
forwarded()
{
	filters lan0 wan0 add && dialog "$H" 0 "PORT 10,100,200,200,200,10" && filters lan0 wan0 del &&
		filters wan0 lan0 add && dialog "$H" 0 "PORT 10,100,200,200,200,10"
}
t payload_and_replies_keep_their_priority forwarded
t and_what_the_router_sends_itself dialog "$R" 3 "PORT 203,0,113,1,200,10"
t tables_are_whole ctctl check
finish
