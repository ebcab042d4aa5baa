#!/bin/bash
# Ports with ctd stopped, killed, restarted: what is leased ahead serves 4,096 new
# connections of a pool and more, then the bounded fall-back; a restarted ctd finds
# what belongs to whom.
#
#   client 10.0.0.2, .3, .10-.29 ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
# timeout: 600
. "$(dirname "$0")/../lib/netns.sh"

net_router

. tests/lib/nat_pool.sh

serve_echo "$S" 7000 7001

# --- what `ctctl nat` shows: how the ports were come by, most at a time, held down
conf=$(rules shown "nat out on \$wan from \$lan.net -> (\$wan) ports 40000-40499 eim")
start_ctd "$R" "$conf"

# field NAME VALUE : of the pool of UDP on the router's address, in text and JSON alike
field()
{
	local json text
	json=$(pool "$RW4" udp "$1")
	text=$(ctctl nat | awk -v want="$1" -v addr="$RW4" '
		NR == 1 { for (i = 1; i <= NF; i++) column[tolower($i)] = i }
		$1 == addr && $2 == "udp" { print $column[want] }')
	[ "$json/$text" = "$2/$2" ] || { ctctl nat; echo "$1: $json in JSON, $text in text, expected $2"; return 1; }
}
pool_path()
{
	ctctl -j nat | /usr/bin/python3 -c '
import json, sys
print(sum(p["paths"][sys.argv[2]] for p in json.load(sys.stdin) if p["address"] == sys.argv[1] and p["class"] == "udp"))' "$RW4" "$1"
}
shown_by_path()
{
	local i
	# A port of the pool's is kept; towards another server the same binding serves;
	# a port that is not of the pool is replaced by a leased one.
	for i in 40100 40101 40102; do
		echo_from "$C" udp "$S4" 7000 "$i" one >/dev/null || return
		echo_from "$C" udp "$S4" 7001 "$i" two >/dev/null || return
	done
	for i in 50100 50101; do
		echo_from "$C" udp "$S4" 7000 "$i" three >/dev/null || return
	done
	field kept 3 && field bound 3 && field stolen 0 && field fallback 0 && field hashed 0 || return
	[ "$(pool_path leased)" = 2 ] || { ctctl nat; return 1; }
	field used 5 && field tuples 13 && field size 500
}
t ctctl_nat_shows_by_which_path_ports_were_taken shown_by_path
t and_the_most_that_were_used_at_a_time poll_until 20 field high 5
# Flushed, the bindings wait for 300 s; then their ports rest for the hold-down.
shown_held()
{
	ctctl -F 2>/dev/null
	poll_until 20 field tuples 5 || return # the bindings themselves
	ctctl clock --advance 301
	poll_until 20 field used 0 && field held 5 && field high 5 || return
	ctctl clock --advance 12 # hold-down 10 s
	poll_until 20 field held 0 && field high 5
}
t and_which_are_held_down_after_their_last_use shown_held

conf=$(rules random "nat out on \$wan from \$lan.net -> (\$wan) random")
filled()
{
	local leased
	leased=$(pool "$RW4" udp leased)
	[ "${leased:-0}" -ge 4096 ] || { echo "$leased leased"; return 1; }
}
loaded()
{
	ctctl fw load "$conf" && poll_until 20 filled
}
t rules_with_another_pool_load loaded

# The rule never keeps a port, so each connection takes a lease. Stopped, not
# killed: it holds what it has mapped and answers nothing.
kill -STOP "$CTD_PID"
many stopped udp "$S4" 7000 4096 "${HOSTS[@]}"
leased_only()
{
	said stopped "ok: 4096 open" && at_least 4096 "$RW4" udp leased stolen || return
	[ "$(pool "$RW4" udp fallback)" = 0 ] || { echo "the fall-back was needed"; return 1; }
}
t with_ctd_stopped_4096_connections_of_a_pool_open leased_only
then_fallback()
{
	ask stopped "open 6000" "ok: 10096 open" && at_least 1000 "$RW4" udp fallback
}
t then_the_bounded_fallback_serves then_fallback
t and_the_first_ones_work_still ask stopped check "ok: 10096 open"
kill -CONT "$CTD_PID"
t ctd_going_on_fills_the_rings_again poll_until 20 filled
t no_port_was_leased_twice ctctl check
ask stopped close "ok: 0 open" >/dev/null
done_with stopped

# kill -9 under load, three times; what is in use afterwards is what is in the table.
on "$C" "$O/tests/lib/connect_rate" "$S4" 7001 5400 300 >"$TMP/load" 2>&1 &
load=$!
for _ in 1 2 3; do
	sleep 1
	kill_ctd 2>/dev/null
	start_ctd "$R" "$conf"
done
wait "$load"
load_status=$?
load_went_well()
{
	cat "$TMP/load"
	return "$load_status"
}
t connections_open_while_ctd_is_killed_again_and_again load_went_well
t what_is_used_afterwards_is_what_lives ctctl check
nothing_leaked()
{
	ctctl -F 2>/dev/null
	poll_until 20 at_most 0 "$RW4" tcp used tuples && ctctl check
}
t no_port_leaked_by_the_kills nothing_leaked
finish
