#!/bin/bash
# alone: yes
# Floods from outside (I3): the table of confirmed connections almost full, then
# ten times its size in spoofed SYNs and one-way UDP to passed ports. No confirmed
# connection is lost or broken, what is refused is counted, and who comes from
# inside is still admitted. At the limit newcomers are refused, and admitted again
# once there is room.
#
#   client ── lan0 router wan0 ── server, and attackers 198.18.0.0/15, 2001:db8:f::/48
#   victims 10.0.0.9, fd00:1::9: nobody there answers
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/hold.sh
. "$(dirname "$0")/../lib/hold.sh"

LIMIT=${FLOOD_LIMIT:-4096} # a family; the server holds two descriptors for each
KEPT=$((LIMIT - 96))
FLOOD=$((10 * LIMIT))
net_router
conf=$(
	config flood <<-END
		set default deny
		set antispoof off
		set limit confirmed $LIMIT
		set limit half-open $LIMIT
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
		pass in on \$wan proto tcp port 7001
		pass in on \$wan proto udp port 7001
	END
)
start_ctd "$R" "$conf"
ulimit -n "$(ulimit -H -n)" # the server holds both families' connections
serve_echo "$S" 7000
on "$R" ip route add default via "$S4"
on "$R" ip -6 route add default via "$S6"
on "$R" ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev lan0
on "$R" ip -6 neigh replace fd00:1::9 lladdr 02:00:00:00:00:09 dev lan0
wan_mac=$(on "$R" ip -o link show wan0 | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2)

flood()
{
	on "$S" "$O/tests/lib/flood" s0 "$wan_mac" "$@"
}
flood4() { flood "$1" 198.18.0.0/15 10.0.0.9 7001 "$2" "$3"; }
flood6() { flood "$1" 2001:db8:f::/48 fd00:1::9 7001 "$2" "$3"; }

holder 4 "$S4"
holder 6 "$S6"
# used TABLE FAMILY: the figure of `ctctl stats`
used()
{
	ctctl stats | awk -v t="$1" -v f="$2" '$1 == t && $2 == f { print $3; exit }'
}
# refusals [REASON...] : how many in all
refusals()
{
	local n sum=0
	[ $# != 0 ] || set -- table_full half_full prefix_share nodes_full
	for n; do
		sum=$((sum + $(counter "$n")))
	done
	echo "$sum"
}
confirmed()
{
	local n
	n=$(used confirmed "IPv$1")
	[ "$n" = "$2" ] || { echo "$n confirmed, not $2"; return 1; }
}
nothing_lost()
{
	[ "$(counter evicted)" = 0 ] || { echo "$(counter evicted) evicted"; return 1; }
	hold 4 check && hold 6 check && ctctl check
}
# flooded PROTOCOL FAMILY REFUSALS [REASON] : sent whole, and at least so many refused
flooded()
{
	local before after
	before=$(refusals "${@:4}")
	"flood$2" "$1" "$FLOOD" 20000 || return
	after=$(refusals "${@:4}")
	echo "$((after - before)) refused of $FLOOD"
	[ $((after - before)) -ge "$3" ]
}
# More than the rings and their successors of three seconds can hold
SOME=$((FLOOD / 10))

t fill_v4 hold 4 open $KEPT
t fill_v6 hold 6 open $KEPT
t all_are_confirmed_v4 poll_until 5 confirmed 4 $KEPT
t all_are_confirmed_v6 poll_until 5 confirmed 6 $KEPT
t syn_flood_v4_is_refused_and_counted flooded tcp 4 "$SOME"
t inside_is_admitted_after_a_syn_flood_v4 echo_from "$C" tcp "$S4" 7000
t syn_flood_v6_is_refused_and_counted flooded tcp 6 "$SOME"
t inside_is_admitted_after_a_syn_flood_v6 echo_from "$C" tcp "$S6" 7000
t nothing_lost_to_syn_floods nothing_lost
t udp_flood_v4_is_refused_and_counted flooded udp 4 "$SOME"
t udp_flood_v6_is_refused_and_counted flooded udp 6 "$SOME"
t nothing_lost_to_udp_floods nothing_lost

# While it goes on
during()
{
	local pid i rc=0
	flood4 tcp 100000 20000 &
	pid=$!
	for ((i = 0; i < 10; i++)); do
		echo_from "$C" tcp "$S4" 7000 || rc=1
	done
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return "$rc"
}
t inside_is_admitted_during_a_flood during

# Full to the limit. What was closed meanwhile goes first, else it makes room later.
only_the_kept()
{
	ctctl clock --advance 125 && poll_until 10 confirmed 4 "$KEPT" && poll_until 10 confirmed 6 "$KEPT"
}
t closed_ones_expire only_the_kept
full()
{
	hold "$1" open $((LIMIT - $(used confirmed "IPv$1"))) && confirmed "$1" "$LIMIT"
}
at_the_limit()
{
	local before after
	before=$(counter table_full)
	fails echo_from "$C" tcp "$1" 7000 || return
	after=$(counter table_full)
	[ "$after" -gt "$before" ] || { echo "refused but not counted as table_full"; return 1; }
}
t full_to_the_limit_v4 full 4
t full_to_the_limit_v6 full 6
t newcomer_is_refused_at_the_limit_v4 at_the_limit "$S4"
t newcomer_is_refused_at_the_limit_v6 at_the_limit "$S6"
t flood_at_the_limit_v4 flooded tcp 4 $((FLOOD * 9 / 10)) table_full
t flood_at_the_limit_v6 flooded udp 6 $((FLOOD * 9 / 10)) table_full
t nothing_lost_at_the_limit nothing_lost
t room_again_v4 hold 4 close 50
t room_again_v6 hold 6 close 50
room()
{
	ctctl clock --advance 125 && poll_until 10 echo_from "$C" tcp "$1" 7000
}
t newcomer_is_admitted_when_there_is_room_v4 room "$S4"
t newcomer_is_admitted_when_there_is_room_v6 room "$S6"
t the_others_are_still_whole nothing_lost
finish
