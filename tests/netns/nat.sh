#!/bin/bash
# Every kind of NAT rule with real sockets, IPv4 and IPv6.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#   10.0.0.2 .3                   203.0.113.2
#   also 10.0.8.17, fd00:8::17: hosts of a static prefix
#
# The router has a default route to the server, which knows 203.0.113.0/24 only; what
# is not on the wire there (198.51.100.9) is the server's too.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need curl ping conntrack

net_router
net_addr "$C" c0 10.0.0.3/24 10.0.8.17/28 10.0.8.18/28 fd00:1::3/64 fd00:8::17/124
on "$R" sysctl -qw net.ipv4.conf.all.promote_secondaries=1
on "$R" ip route add default via "$S4"
on "$R" ip -6 route add default via "$S6"
on "$R" ip route add 10.0.8.16/28 dev lan0
on "$R" ip -6 route add fd00:8::10/124 dev lan0
net_addr "$S" s0 198.51.100.9/32 2001:db8:9::9/128
# pools and static prefixes are routed to the router
on "$S" ip route add 203.0.113.128/25 via "$RW4"
on "$S" ip -6 route add 2001:db8:3::/64 via "$RW6"

conf=$(
	config nat <<-END
		set default deny
		wan = wan0
		lan = lan0
		web = 10.0.0.2
		block in on \$wan proto tcp from 203.0.113.66 to any port 80
		pass in on \$lan
		forward in on \$wan proto tcp port 8080 -> \$web port 80 hairpin
		forward in on \$wan proto tcp port 8080 -> [fd00:1::2]:80 hairpin
		forward in on \$wan proto udp port 9000-9009 -> 10.0.0.2:9100-9109
		forward in on \$wan proto tcp port 8090 -> 10.0.0.2-10.0.0.3 port 80
		forward in on \$wan proto sctp port 9200 -> 10.0.0.2 port 9300
		redirect in on \$lan proto { tcp, udp } port 53 -> self port 5353
		nat out on \$wan from 10.0.8.16/28 -> 203.0.113.144/28 static hairpin
		nat out on \$wan from fd00:8::10/124 -> 2001:db8:3::10/124 static hairpin
		nat out on \$wan proto udp from 10.0.0.0/24 to any port 7001 -> 203.0.113.130-203.0.113.133 ports 3000-3999
		nat out on \$wan proto tcp from 10.0.0.0/24 to any port 7002 -> { 203.0.113.140, 203.0.113.142 }
		nat out on \$wan proto tcp from 10.0.0.0/24 to any port 7003 -> (\$wan) ports 40000-40000
		nat out on \$wan proto tcp from 10.0.0.0/24 -> (\$wan) ports 1024-39999 random
		nat out on \$wan proto { udp, icmp, icmp6 } from \$lan.net -> (\$wan) ports 50000-59999
		nat out on \$wan inet6 proto tcp from \$lan.net -> (\$wan)
		nat out on \$wan proto sctp from 10.0.0.0/24 -> (\$wan) ports 45000-45009
	END
)
start_ctd "$R" "$conf"
serve_echo "$C" 80 9100 9105
serve_echo "$R" 5353
serve_echo "$S" 7001 7002 7003 7004 53
# This kernel has no SCTP; usrsctp has, over raw sockets.
tree=$(fetch_closure libusrsctp2) || { echo "FAIL usrsctp_is_there: cannot be fetched"; exit 1; }
SCTP=(tests/lib/sctp_talk.py "$tree/usr/lib/x86_64-linux-gnu/libusrsctp.so.2")
for at in "$S $S4 7005" "$C 10.0.0.2 9300"; do
	read -r ns addr port <<<"$at"
	on "$ns" "${SCTP[@]}" serve "$addr" "$port" >"$TMP/sctp.$port" 2>&1 &
	PIDS+=($!)
	poll_until 20 grep -q listening "$TMP/sctp.$port"
done

# sees PATTERN ARGUMENTS-OF-echo_from... : what the server says of its peer
sees()
{
	local want=$1 got
	shift
	got=$(echo_from "$@") || { echo "$got"; return 1; }
	# shellcheck disable=SC2053 # a pattern
	[[ $got == $want ]] || { echo "got '$got', expected '$want'"; return 1; }
}

from()
{
	local addr=$1
	shift
	SOURCE=$addr "$@"
}

forward_reaches_the_inside_server()
{
	sees "$S4 4001 hello" "$S" tcp "$RW4" 8080 4001 && sees "$S6 4001 hello" "$S" tcp "$RW6" 8080 4001
}

forward_of_ports_keeps_their_order()
{
	sees "$S4 4002 hello" "$S" udp "$RW4" 9005 4002 && sees "$S4 4002 hello" "$S" udp "$RW4" 9000 4002 &&
		WAIT=0.3 fails echo_from "$S" udp "$RW4" 9001 4002
}

forward_leaves_other_ports_closed()
{
	WAIT=0.5 fails echo_from "$S" tcp "$RW4" 80 && WAIT=0.5 fails echo_from "$S" tcp "$RW4" 8081
}

block_rule_beats_a_forward()
{
	net_addr "$S" s0 203.0.113.66/24
	WAIT=0.5 fails from 203.0.113.66 echo_from "$S" tcp "$RW4" 8080 &&
		sees "$S4 *" "$S" tcp "$RW4" 8080
}

forward_to_a_range_shares_clients_out()
{
	local i dst=
	for i in $(seq 70 90); do
		net_addr "$S" s0 "203.0.113.$i/32"
		from "203.0.113.$i" sees "203.0.113.$i *" "$S" tcp "$RW4" 8090 || return
	done
	dst=$(ctctl -L -p tcp 2>/dev/null | grep 'dport=8090' | grep -o 'src=10.0.0.[23]' | sort -u | wc -l)
	[ "$dst" = 2 ] || { echo "$dst servers of 2 got a client"; return 1; }
}

hairpin_of_a_forward()
{
	from 10.0.0.3 sees "$RW4 *" "$C" tcp "$RW4" 8080 && from fd00:1::3 sees "$RW6 *" "$C" tcp "$RW6" 8080
}

redirect_answers_as_the_server_asked()
{
	# connected sockets take an answer from 198.51.100.9:53 alone
	sees "10.0.0.2 4010 hello" "$C" udp 198.51.100.9 53 4010 &&
		sees "10.0.0.2 4010 hello" "$C" tcp 198.51.100.9 53 4010 &&
		from fd00:1::2 sees "fd00:1::2 4010 hello" "$C" udp 2001:db8:9::9 53 4010 &&
		from fd00:1::2 sees "fd00:1::2 4010 hello" "$C" tcp 2001:db8:9::9 53 4010
}

static_prefix_out()
{
	from 10.0.8.17 sees "203.0.113.145 4020 hello" "$C" tcp "$S4" 7004 4020 &&
		from fd00:8::17 sees "2001:db8:3::17 4020 hello" "$C" udp "$S6" 7004 4020
}

static_prefix_in()
{
	sees "$S4 4021 hello" "$S" tcp 203.0.113.145 80 4021 &&
		sees "$S6 4021 hello" "$S" tcp 2001:db8:3::17 80 4021 &&
		on "$S" ping -c 1 -W 2 203.0.113.145 >/dev/null
}

static_prefix_hairpin()
{
	from 10.0.8.18 sees "203.0.113.146 4022 hello" "$C" tcp 203.0.113.145 80 4022
}

source_range_and_ports()
{
	local got
	got=$(from 10.0.0.3 echo_from "$C" udp "$S4" 7001) || { echo "$got"; return 1; }
	[[ $got =~ ^203\.0\.113\.13[0-3]\ 3[0-9]{3}\ hello ]] || { echo "$got"; return 1; }
}

source_list()
{
	local i got seen=
	for i in $(seq 100 115); do
		net_addr "$C" c0 "10.0.0.$i/32"
		got=$(from "10.0.0.$i" echo_from "$C" tcp "$S4" 7002) || { echo "$got"; return 1; }
		[[ $got =~ ^203\.0\.113\.14[02]\ ([0-9]+) ]] || { echo "$got"; return 1; }
		seen="$seen ${got%% *}"
		from "10.0.0.$i" sees "${got%% *} *" "$C" tcp "$S4" 7002 || return
	done
	[ "$(tr ' ' '\n' <<<"$seen" | sort -u | grep -c .)" = 2 ] || { echo "not both: $seen"; return 1; }
}

one_port_serves_one_connection()
{
	sees "$RW4 40000 hello" "$C" tcp "$S4" 7003 4030
}

random_keeps_no_port()
{
	local i got kept=0
	for i in 1 2 3; do
		got=$(echo_from "$C" tcp "$S4" 7004 $((4040 + i))) || { echo "$got"; return 1; }
		[[ $got == *" $((4040 + i)) hello" ]] && kept=$((kept + 1))
	done
	[ "$kept" = 0 ] || { echo "$kept of 3 ports kept"; return 1; }
}

masquerade_follows_the_address()
{
	sees "$RW4 5[0-9]* hello" "$C" udp "$S4" 7004 4050 || return
	on "$R" ip addr add 203.0.113.100/24 dev wan0
	on "$R" ip addr del "$RW4/24" dev wan0
	on "$R" ip route replace default via "$S4"
	poll_until 20 sees "203.0.113.100 5[0-9]* hello" "$C" udp "$S4" 7004
	local rc=$?
	on "$R" ip addr add "$RW4/24" dev wan0
	on "$R" ip addr del 203.0.113.100/24 dev wan0
	on "$R" ip route replace default via "$S4"
	poll_until 20 sees "$RW4 5[0-9]* hello" "$C" udp "$S4" 7004 && return "$rc"
}

sctp_ask()
{
	on "$1" timeout 60 "${SCTP[@]}" ask "${@:2}"
}

# Two clients with one port, 200 KB each at the same time: the checksum of every packet is right.
sctp_clients_share_the_address()
{
	local rc=0 a b
	sctp_ask "$C" 10.0.0.2 4060 "$S4" 7005 200000 >"$TMP/ask.a" 2>&1 &
	sctp_ask "$C" 10.0.0.3 4060 "$S4" 7005 200000 >"$TMP/ask.b" 2>&1 || rc=1
	wait $! || rc=1
	a=$(cat "$TMP/ask.a") b=$(cat "$TMP/ask.b")
	if [ "$rc" != 0 ] || [[ ! $a =~ ^$RW4\ 4500[0-9]\ 200000$ || ! $b =~ ^$RW4\ 4500[0-9]\ 200000$ ]] || [ "$a" = "$b" ]; then
		echo "got '$a' and '$b'"
		return 1
	fi
}

# The INITs that waited for it are answered one by one, each with a tag of its own; the client goes by the first (RFC 9260 5.2.3).
sctp_server_that_was_away_has_several_tags()
{
	local rc=0 got pid
	pid=$(pgrep -f "sctp_talk.py .* serve $S4 7005") || { echo "no server"; pgrep -fa sctp_talk; return 1; }
	kill -STOP "$pid"
	{ sleep 4 && kill -CONT "$pid"; } &
	got=$(sctp_ask "$C" 10.0.0.2 4062 "$S4" 7005 200000 2>&1) || rc=1
	wait $!
	[[ $rc = 0 && $got =~ ^$RW4\ 4500[0-9]\ 200000$ ]] || { echo "got '$got'"; return 1; }
}

sctp_forward_reaches_the_inside_server()
{
	local got
	got=$(sctp_ask "$S" "$S4" 4061 "$RW4" 9200 200000 2>&1)
	[ "$got" = "$S4 4061 200000" ] || { echo "got '$got'"; return 1; }
}

# shellcheck disable=SC2016 # macros of the file
show_prints_what_was_loaded()
{
	local shown=$TMP/shown.conf
	ctctl fw show -j >"$TMP/show.json" && ctctl fw show >"$shown" || return
	grep -qF 'forward in on $wan proto tcp from any to self port 8080 -> $web port 80 hairpin' "$shown" &&
		grep -qF 'nat out on $wan from 10.0.8.16/28 -> 203.0.113.144/28 static hairpin' "$shown" &&
		grep -qF 'redirect in on $lan proto { tcp, udp } from any to any port 53 -> self port 5353' "$shown"
}

# refused FILE PATTERN: not loaded, the reason with its line, and the rules stay
refused()
{
	local out
	if out=$(ctctl fw load "$1" 2>&1); then
		echo "loaded: $out"
		return 1
	fi
	[[ $out =~ $2 ]] || { echo "said: $out"; return 1; }
	sees "$S4 *" "$S" tcp "$RW4" 8080
}

wrong_pools_are_refused_and_the_old_rules_stay()
{
	refused "$(config overlap <<<'nat out on wan0 from 10.0.0.0/24 -> 203.0.113.130-203.0.113.140
nat out on wan0 from 10.0.8.0/24 -> 203.0.113.139 ports 1024-2000')" ':2:[0-9]+: 203.0.113.139 overlaps' &&
		refused "$(config order <<<'nat out on wan0 from any -> 203.0.113.9-203.0.113.5')" ':1:.*wrong way round' &&
		refused "$(config large <<<'nat out on wan0 from any -> 203.0.0.0/16')" ':1:.*too large' &&
		refused "$(config empty <<<'set nat reserved 1000-2000
nat out on wan0 from any -> (wan0) ports 1000-1500')" ':2:.*pool is empty'
}

foreign_addresses_are_warned_of()
{
	ctctl fw check "$(config foreign <<<'nat out on lo from any -> 192.0.2.99')" 2>&1 | grep -q 'warning: 192.0.2.99 is not ours'
}

t forward_reaches_the_inside_server forward_reaches_the_inside_server
t forward_of_ports_keeps_their_order forward_of_ports_keeps_their_order
t forward_leaves_other_ports_closed forward_leaves_other_ports_closed
t block_rule_beats_a_forward block_rule_beats_a_forward
t forward_to_a_range_shares_clients_out forward_to_a_range_shares_clients_out
t hairpin_of_a_forward hairpin_of_a_forward
t redirect_answers_as_the_server_asked redirect_answers_as_the_server_asked
t static_prefix_out static_prefix_out
t static_prefix_in static_prefix_in
t static_prefix_hairpin static_prefix_hairpin
t source_range_and_ports source_range_and_ports
t source_list source_list
t one_port_serves_one_connection one_port_serves_one_connection
t random_keeps_no_port random_keeps_no_port
t sctp_clients_share_the_address sctp_clients_share_the_address
t sctp_server_that_was_away_has_several_tags sctp_server_that_was_away_has_several_tags
t sctp_forward_reaches_the_inside_server sctp_forward_reaches_the_inside_server
t masquerade_follows_the_address masquerade_follows_the_address
t show_prints_what_was_loaded show_prints_what_was_loaded
t wrong_pools_are_refused_and_the_old_rules_stay wrong_pools_are_refused_and_the_old_rules_stay
t foreign_addresses_are_warned_of foreign_addresses_are_warned_of
finish
