#!/bin/bash
# Two routers, each with a ctd of its own on one machine, share nothing.
#
#   client ── lan0 router  wan0 ── server
#   client2 ─ lan0 router2 wan0 ── server2      (the same addresses again)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

net_router
conf=$(gateway_config)
start_ctd "$R" "$conf" "$T-one"
first=$CTD_PID
serve_echo "$S" 7000
C1=$C S1=$S R1=$R
C=$T-c2 R=$T-r2 S=$T-s2
net_router
start_ctd "$R" "$conf" "$T-two"
PIDS+=("$first")
serve_echo "$S" 7000
C2=$C S2=$S R2=$R

flows()
{
	"$CTCTL" --instance "$T-$1" -L 2>/dev/null | grep -c "sport=$2 "
}
only_in()
{
	[ "$(flows "$1" "$3")" = 1 ] || { echo "not in $1"; return 1; }
	[ "$(flows "$2" "$3")" = 0 ] || { echo "in $2 too"; return 1; }
}
t first_works echo_from "$C1" udp "$S4" 7000 44001
t second_works echo_from "$C2" udp "$S4" 7000 44002
t first_flow_is_only_in_the_first only_in one two 44001
t second_flow_is_only_in_the_second only_in two one 44002

same_tuple()
{
	echo_from "$C1" tcp "$S4" 7000 44003 && echo_from "$C2" tcp "$S4" 7000 44003 &&
		[ "$(flows one 44003)" = 1 ] && [ "$(flows two 44003)" = 1 ]
}
t same_tuple_in_both same_tuple

own_clock()
{
	"$CTCTL" --instance "$T-one" clock --advance 31 &&
		[ "$(flows one 44001)" = 0 ] && [ "$(flows two 44002)" = 1 ]
}
t each_has_a_clock_of_its_own own_clock

one_unloaded()
{
	kill "$first"
	wait "$first" 2>/dev/null
	"$CTD" --unload --instance "$T-one" --netns "$R1" || return
	[ ! -e "/sys/fs/bpf/bpfct/$T-one" ] || { echo "pins are left"; return 1; }
	on "$R1" tests/lib/hooks | grep fw_ && { echo "programs are left"; return 1; }
	echo_from "$C2" tcp "$S4" 7000 44004 && [ "$(flows two 44004)" = 1 ] && on "$R2" tests/lib/hooks | grep -q fw_
}
t unloading_one_leaves_the_other one_unloaded
t unloaded_router_only_forwards fails echo_from "$C1" udp "$S4" 7000
on "$S1" ip route add 10.0.0.0/24 via "$RW4"
t unloaded_router_is_a_plain_router echo_from "$C1" udp "$S4" 7000
[ "$S2" ] && finish
