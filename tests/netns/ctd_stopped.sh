#!/bin/bash
# Without ctd nobody sweeps: what has expired must make room by itself (I6). Short
# time-outs, small tables, ctd killed, then 1,000 new connections a second for
# several table-fulls: none is refused, nor when much of the table is held by
# connections that live on.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/hold.sh
. "$(dirname "$0")/../lib/hold.sh"

LIMIT=4096
COUNT=$((3 * LIMIT))
KEPT=$((LIMIT * 3 / 8))
net_router
conf=$(
	config short <<-END
		set default deny
		set limit confirmed $LIMIT
		set limit half-open $LIMIT
		set timeout udp 1
		set timeout udp_stream 1
		set timeout icmp 1
		set timeout tcp_syn_sent 10
		set timeout tcp_syn_recv 10
		set timeout tcp_established 3600
		set timeout tcp_fin_wait 1
		set timeout tcp_close_wait 1
		set timeout tcp_last_ack 1
		set timeout tcp_time_wait 1
		set timeout tcp_close 1
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
	END
)
start_ctd "$R" "$conf"
ulimit -n "$(ulimit -H -n)" # the server holds both families' connections
serve_echo "$S" 7000
lan_mac=$(on "$R" ip -o link show lan0 | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2)
holder 4 "$S4"
holder 6 "$S6"
hold 4 open 1
hold 6 open 1
kill_ctd

refusals()
{
	ctctl stats | awk '$3 == "refused" && $2 > 0 { print $1, $2; n++ } $1 == "evicted" && $2 > 0 { print; n++ } END { exit !n }'
}
none_refused()
{
	fails refusals
}
# Half-open all their life: one-way UDP, from 64 hosts so that no host's share counts
half_open()
{
	on "$C" "$O/tests/lib/flood" c0 "$lan_mac" udp "$1" "$2" 7009 "$COUNT" 1000 && none_refused
}
# Confirmed and closed
confirmed()
{
	local before after
	before=$(counter promoted)
	on "$C" "$O/tests/lib/connect_rate" "$1" 7000 "$COUNT" 1000 || return
	none_refused || return
	after=$(counter promoted)
	[ $((after - before)) -ge "$COUNT" ] || { echo "only $((after - before)) of $COUNT were confirmed"; return 1; }
}
t half_open_v4_none_refused half_open 10.0.0.64/26 "$S4"
t half_open_v6_none_refused half_open fd00:1::/122 "$S6"
# With many places held: the clock passes by the living.
t kept_v4 hold 4 open $KEPT
t kept_v6 hold 6 open $KEPT
# Dumps meanwhile, as nodes come and go: each ends, none shows a connection twice, or one that
# is made of two.
dumps()
{
	local n
	for ((n = 0; n < 3; )); do
		ctctl -L -p tcp -f ipv4 >"$TMP/dump" 2>"$TMP/dump.err" || { cat "$TMP/dump.err"; return 1; }
		sed -E 's/packets=[0-9]+ bytes=[0-9]+ //g; s/\[UNREPLIED\] //' "$TMP/dump" | awk -v c="src=$C4" -v s="dst=$S4" '
			$5 != c || $6 != s || $8 != "dport=7000" { print "not ours: " $0; bad = 1 }
			$9 != "src=" substr(s, 5) || $11 != "sport=7000" { print "of two: " $0; bad = 1 }
			seen[$7]++ { print "twice: " $0; bad = 1 }
			END { exit bad || NR < 2 }' || return 1
		[ ! -e "$TMP/over" ] || n=$((n + 1)) # three more after the traffic
		sleep 0.2
	done
}
dumps >"$TMP/dumps" 2>&1 &
dumper=$!
t confirmed_beside_the_kept_v4_none_refused confirmed "$S4"
touch "$TMP/over"
wait "$dumper"
dumped=$?
cat "$TMP/dumps"
t dumps_during_traffic_are_whole test "$dumped" = 0
t confirmed_beside_the_kept_v6_none_refused confirmed "$S6"
t kept_v4_live_on hold 4 check
t kept_v6_live_on hold 6 check
t table_is_consistent ctctl check
finish
