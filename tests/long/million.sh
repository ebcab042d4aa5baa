#!/bin/bash
# timeout: 3600
# A million connections at once, masqueraded, all of them made by packets on the
# path: UDP both ways, 50,000 to each of 20 servers. None is lost; real ones beside
# them go on; dump, check and sweep do their work; a sample carries more traffic.
#
#   50,000 x 10.64.0.0/16 ── c0 ── lan0 router wan0 ── s0, which answers for 198.18.0.1-20
#
# SERVERS=N takes fewer of them.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/hold.sh
. "$(dirname "$0")/../lib/hold.sh"

EACH=50000
: "${SERVERS:=20}"
ALL=$((EACH * SERVERS))
net_router
on "$R" ip route add 10.64.0.0/16 via $C4
on "$R" ip route add 198.18.0.0/24 via $S4
net_reflects "$S" s0
conf=$(
	config million <<-END
		set default deny
		set antispoof off
		set limit confirmed 1048576
		set timeout udp_stream 3600
		wan = wan0
		lan = lan0
		nat out on \$wan from 10.0.0.0/8 -> (\$wan)
		pass in on \$lan
	END
)
start_ctd "$R" "$conf"
serve_echo "$S" 7000
mac=$(on "$R" ip -o link show lan0 | sed 's/.*ether \([^ ]*\).*/\1/')

# Real ones, opened before all the others and kept.
holder 4 "$S4"
t real_ones_open hold 4 open 200

# used TABLE : of IPv4
used()
{
	ctctl stats | awk -v t="$1" '$1 == t && $2 == "IPv4" { print $3 }'
}
datagrams()
{
	on "$C" "$O/tests/lib/flood" c0 "$mac" udp 10.64.0.0/16 "198.18.0.$1" 7 "$EACH" 100000
}
# Two-way and older than 2 s is confirmed, as in netfilter; what the machine lost is sent again.
fill_one()
{
	local want=$((EACH * $1 + 200)) i
	for i in 1 2 3 4 5 6 7 8; do
		datagrams "$1" >/dev/null || return
		ctctl clock --advance 3 || return
		[ "$i" = 1 ] || [ "$(used confirmed)" -lt "$want" ] || return 0
	done
	echo "server $1: $(used confirmed) confirmed, not $want"
	return 1
}
fill()
{
	local n
	for ((n = 1; n <= SERVERS; n++)); do
		fill_one "$n" || return
	done
}
began=$SECONDS
t connections_open fill
echo "  filled in $((SECONDS - began)) s: $(used confirmed) confirmed, $(used stubs) stubs"
all_there()
{
	ctctl stats | grep -E '^(confirmed|half-open|nodes|stubs) '
	[ "$(used confirmed)" -ge $((ALL + 200)) ] && [ "$(used stubs)" -ge $((ALL + 200)) ] &&
		[ "$(counter evicted)" = 0 ] && [ "$(counter table_full)" = 0 ]
}
t all_are_in_the_table all_there
t real_ones_go_on_beside_them hold 4 check
t new_ones_open_beside_them hold 4 open 100

dumped()
{
	local from lines
	from=$(date +%s%N)
	ctctl -L -p udp >"$TMP/dump" 2>/dev/null || return
	echo "  dump: $((($(date +%s%N) - from) / 1000000)) ms" >"$TMP/dump.ms"
	lines=$(wc -l <"$TMP/dump")
	[ "$lines" = "$ALL" ] || { echo "$lines lines, not $ALL"; return 1; }
	# each once, each two-way, each with a port of its own to the server
	[ "$(grep -c ASSURED "$TMP/dump")" = "$ALL" ] || { echo "not all assured"; return 1; }
	lines=$(awk '{ print $10, $11, $12, $13 }' "$TMP/dump" | sort -u | wc -l)
	[ "$lines" = "$ALL" ] || { echo "$lines different reply tuples, not $ALL"; return 1; }
}
t dump_has_each_once dumped
cat "$TMP/dump.ms" 2>/dev/null
t check_finds_nothing ctctl check

# packets_of SERVER : both ways, of all its connections
packets_of()
{
	ctctl -L -p udp -d "$1" 2>/dev/null | grep -oE 'packets=[0-9]+' | awk -F= '{ sum += $2 } END { print sum + 0 }'
}
# One more datagram each way on every connection of one server, and not one new record.
sampled()
{
	local server=198.18.0.$((SERVERS / 2)) before
	before=$(used nodes)
	packets_of "$server" >"$TMP/packets.before"
	datagrams $((SERVERS / 2)) >/dev/null
	sleep 1
	packets_of "$server" >"$TMP/packets.after"
	paste "$TMP/packets.before" "$TMP/packets.after"
	[ "$(used nodes)" = "$before" ] || { echo "$(used nodes) nodes, were $before"; return 1; }
	# a busy machine may lose some on the veth: nine tenths both ways must have gone through
	[ $(($(cat "$TMP/packets.after") - $(cat "$TMP/packets.before"))) -ge $((EACH * 18 / 10)) ]
}
t a_sample_carries_more_traffic sampled

# Over at once: the sweep ends every one of them, and the real ones live on.
swept()
{
	local from cpu
	[ "$(used confirmed)" -ge $((ALL + 200)) ] || { echo "only $(used confirmed) to end"; return 1; }
	from=$(date +%s%N)
	cpu=$(awk '{ print $14 + $15 }' "/proc/$CTD_PID/stat")
	ctctl clock --advance 3601 || return
	# TCP's own time is five days: not over
	poll_until 120 few_left || return
	echo "  sweep of $ALL: $((($(date +%s%N) - from) / 1000000)) ms, $(($(awk '{ print $14 + $15 }' "/proc/$CTD_PID/stat") - cpu))0 ms of CPU" >"$TMP/sweep.ms"
}
few_left()
{
	[ "$(used confirmed)" -le 300 ] || { echo "$(used confirmed) confirmed"; return 1; }
}
t sweep_ends_what_has_expired swept
cat "$TMP/sweep.ms" 2>/dev/null
t real_ones_have_survived_it_all hold 4 check
t table_is_consistent_afterwards ctctl check
finish
