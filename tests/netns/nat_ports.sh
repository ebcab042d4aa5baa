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
ulimit -n "$(ulimit -H -n)"
HOSTS=()
for ((i = 10; i < 30; i++)); do
	on "$C" ip addr add 10.0.0.$i/24 dev c0
	HOSTS+=("10.0.0.$i")
done
on "$C" ip addr add 10.0.0.3/24 dev c0

. tests/lib/nat_pool.sh

serve_echo "$S" 7000 7001
conf=$(rules random "nat out on \$wan from \$lan.net -> (\$wan) random")
start_ctd "$R" "$conf"

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
refilled()
{
	local leased
	leased=$(pool "$RW4" udp leased)
	[ "$leased" -ge 4096 ] || { echo "$leased leased"; return 1; }
}
t ctd_going_on_fills_the_rings_again poll_until 20 refilled
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
