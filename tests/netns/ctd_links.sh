#!/bin/bash
# beside: yes
# On which interfaces ctd's programs are: not on the ports of a bridge, bond or
# team, whose frames are their master's, and again wherever they were lost.
#
#   client ── lan0 ═ br-lan router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

net_router
on "$R" ip link add br-lan type bridge
on "$R" ip link set br-lan up
on "$R" ip addr flush dev lan0
on "$R" ip link set lan0 master br-lan
net_addr "$R" br-lan $RL4/24 $RL6/64
on "$C" ip neigh flush dev c0
conf=$(
	config bridge <<-EOF
		set default deny
		nat out on wan0 from 10.0.0.0/24 -> (wan0)
		pass in on br-lan
	EOF
)
start_ctd "$R" "$conf"

# attached DEV [tcx|clsact]: both programs on it, once
attached()
{
	local how=${2:-tcx}
	[ "$(on "$R" tests/lib/hooks "$1" 2>/dev/null)" = "$1 ingress $how fw_ingress
$1 egress $how fw_egress" ]
}
bare()
{
	! on "$R" tests/lib/hooks "$1" | grep -q fw_
}
nothing_on_away()
{
	[ -z "$(on "$C" tests/lib/hooks away0)" ]
}
# flag DEV 0|1 : FW_IF_ATTACHED in the firewall's map of interfaces
flag()
{
	local index flags
	index=$(on "$R" ip -j link show dev "$1" | jq '.[0].ifindex')
	flags=$(/usr/sbin/bpftool map dump pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/fw_iface_v2" -j |
		jq ".[] | select(.formatted.key == $index) | .formatted.value.flags")
	[ -n "$flags" ] || { echo "$1 ($index) is not in the map"; return 1; }
	[ $((flags >> 1 & 1)) = "$2" ] || { echo "flags of $1 are $flags"; return 1; }
}
is_port()
{
	poll_until 5 bare "$1" && poll_until 5 flag "$1" 0
}
is_routed()
{
	poll_until 5 attached "$1" && poll_until 5 flag "$1" 1
}
through()
{
	on "$C" ping -qc 1 -W 2 "$S4"
}

t port_of_a_bridge_is_left_alone is_port lan0
t bridge_itself_is_attached is_routed br-lan
t bridged_lan_reaches_the_server through
t bridged_lan_reaches_the_router on "$C" ping -qc 1 -W 2 $RL4

released()
{
	on "$R" ip link set lan0 nomaster && is_routed lan0
}
t released_port_is_attached released
unsolicited()
{
	on "$R" ip addr add 10.9.0.1/24 dev lan0
	on "$C" ip addr add 10.9.0.2/24 dev c0
	fails on "$C" ping -qc 1 -W 1 10.9.0.1
	local rc=$?
	on "$R" ip addr del 10.9.0.1/24 dev lan0
	on "$C" ip addr del 10.9.0.2/24 dev c0
	return "$rc"
}
t released_port_is_filtered unsolicited
enslaved()
{
	on "$R" ip link set lan0 master br-lan && is_port lan0 && through
}
t enslaved_interface_is_detached enslaved

while_away()
{
	on "$R" ip link set lan0 nomaster
	is_routed lan0 || return
	stop_ctd
	on "$R" ip link set lan0 master br-lan
	attached lan0 || { echo "the programs should have stayed"; return 1; }
}
t programs_stay_while_ctd_is_away while_away
stop_ctd
start_ctd "$R" "$conf"
t port_since_ctd_was_away_is_detached is_port lan0
t bridged_lan_after_the_restart through

# slave_of KIND MASTER CHECK [ARG...]
slave_of()
{
	local kind=$1 check=$2
	shift 2
	on "$R" ip link add "x-$kind" type "$kind" "$@" || return
	on "$R" ip link add "s-$kind" type veth peer name "p-$kind"
	is_routed "s-$kind" || return
	on "$R" ip link set "s-$kind" master "x-$kind" || return
	sleep 0.3
	"$check" "s-$kind" || return
	is_routed "x-$kind" || return
	on "$R" ip link set "s-$kind" nomaster
	is_routed "s-$kind" || return
	on "$R" ip link del "s-$kind"
	on "$R" ip link del "x-$kind"
}
# A kernel without that kind of device says so by name.
slaves()
{
	local name=$1
	shift
	if on "$R" ip link add probe0 type "$1" "${@:3}" 2>/dev/null; then
		on "$R" ip link del probe0
		t "$name" slave_of "$@"
	else
		echo "skip $name: this kernel has no $1 devices"
	fi
}
slaves slave_of_a_bond_is_left_alone bond is_port
slaves slave_of_a_team_is_left_alone team is_port
slaves slave_of_a_vrf_stays_attached vrf is_routed table 77

# All within one batch of messages: ctd sleeps meanwhile.
index_of()
{
	on "$R" ip -j link show dev "$1" | jq '.[0].ifindex'
}
there_and_back()
{
	local before
	on "$R" ip link add trip0 type veth peer name trip1
	is_routed trip0 || return
	before=$(index_of trip0)
	kill -STOP "$CTD_PID"
	on "$R" ip link set trip0 netns "$C"
	on "$C" ip link set trip0 netns "$R"
	bare trip0 || echo "the programs survived the journey"
	kill -CONT "$CTD_PID"
	[ "$(index_of trip0)" = "$before" ] || { echo "came back with another index"; return 1; }
	is_routed trip0 || return
	on "$R" ip link del trip0
}
t interface_that_comes_back_with_its_index_is_attached there_and_back

removals()
{
	grep -c event=programs_removed "$CTD_LOG"
}
# detach DEV SIDE: as root may do it with the link of another
detach()
{
	/usr/sbin/bpftool link detach pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/tcx_$2_$(index_of "$1")"
}
# It is said once in a second or two, and trip0's journey may just have been.
said_of_wan0()
{
	grep -q 'level=warning event=programs_removed .*interface=wan0' "$CTD_LOG" && return
	detach wan0 in
	is_routed wan0 || return
	grep -q 'level=warning event=programs_removed .*interface=wan0' "$CTD_LOG"
}
link_removed()
{
	poll_until 10 said_of_wan0 || return
	attached wan0 && through
}
t link_that_somebody_detaches_is_put_back link_removed
pin_removed()
{
	sleep 2.1
	local before
	before=$(removals)
	rm "/sys/fs/bpf/bpfct/$CTD_INSTANCE/tcx_out_$(index_of wan0)"
	is_routed wan0 && [ "$(removals)" = $((before + 1)) ]
}
t pin_that_somebody_removes_is_put_back pin_removed
foreign_qdisc()
{
	local before
	before=$(removals)
	on "$R" tc qdisc add dev wan0 clsact && on "$R" tc qdisc del dev wan0 clsact || return
	sleep 1.2
	is_routed wan0 && [ "$(removals)" = "$before" ]
}
t qdisc_of_others_is_no_concern foreign_qdisc
# Filters of others have a say about what we let pass.
foreign_filter()
{
	local side
	for side in ingress egress; do
		on "$R" tc qdisc add dev wan0 clsact
		on "$R" tc filter add dev wan0 "$side" bpf direct-action object-file "$O/tests/netns/drop.bpf.o" section tc || return
		fails on "$R" ping -qc 1 -W 1 "$S4" || { echo "$side: not asked"; return 1; }
		on "$R" tc qdisc del dev wan0 clsact
		on "$R" ping -qc 1 -W 1 "$S4" || return
	done
}
t filters_of_others_go_on_working foreign_filter
own_detach()
{
	local before
	before=$(removals)
	sleep 2.1
	on "$R" ip link set lan0 nomaster
	is_routed lan0 || return
	on "$R" ip link set lan0 master br-lan
	is_port lan0 || return
	sleep 0.3
	[ "$(removals)" = "$before" ] || { tail -n 3 "$CTD_LOG"; return 1; }
}
t own_detaching_is_no_removal own_detach

# The message of the removal is lost with others (ENOBUFS).
lost()
{
	local i j drops
	for i in $(seq 0 79); do
		for j in $(seq 0 249); do
			echo "route add 198.18.$i.$j/32 dev br-lan"
		done
	done >"$TMP/routes"
	kill -STOP "$CTD_PID"
	on "$R" ip -batch "$TMP/routes"
	on "$R" ip route flush root 198.18.0.0/16
	detach wan0 in
	drops=$(on "$R" cat /proc/net/netlink | awk '$2 == 0 { sum += $9 } END { print sum + 0 }')
	kill -CONT "$CTD_PID"
	[ "$drops" -gt 0 ] || { echo "no message was lost"; return 1; }
	poll_until 10 attached wan0 && is_port lan0
}
t lost_messages_attach_everywhere_once_more lost

# TCX programs go along into another namespace.
moved_away()
{
	on "$R" ip link add away0 type veth peer name away1
	is_routed away0 || return
	on "$R" ip link set away0 netns "$C"
	poll_until 5 nothing_on_away || { on "$C" tests/lib/hooks away0; return 1; }
	on "$C" ip link del away0
}
t interface_that_moves_away_is_let_go moved_away
on "$R" ip link add away0 type veth peer name away1
is_routed away0
stop_ctd
on "$R" ip link set away0 netns "$C"
on "$C" tests/lib/hooks away0
start_ctd "$R" "$conf"
moved_while_away()
{
	# the kernel lets go of a link some time after its last reference
	poll_until 5 nothing_on_away || { on "$C" tests/lib/hooks away0; return 1; }
	on "$C" ip link del away0
}
t interface_that_moved_away_without_ctd_is_let_go moved_while_away
stop_ctd

# The other way, as where the kernel has no TCX; and from one to the other.
CTD_ARGS=--clsact start_ctd "$R" "$conf"
is_filtered()
{
	poll_until 5 attached "$1" clsact && poll_until 5 flag "$1" 1
}
t clsact_replaces_tcx is_filtered wan0
t clsact_lets_through through
qdisc_removed()
{
	sleep 2.1
	local before
	before=$(removals)
	on "$R" tc qdisc del dev wan0 clsact
	is_filtered wan0 && through && [ "$(removals)" = $((before + 1)) ]
}
t clsact_that_somebody_removes_is_put_back qdisc_removed
filter_removed()
{
	sleep 2.1
	local before
	before=$(removals)
	on "$R" tc filter del dev wan0 ingress
	is_filtered wan0 && [ "$(removals)" = $((before + 1)) ]
}
t filter_that_somebody_removes_is_put_back filter_removed
many_removals()
{
	local before i
	before=$(removals)
	for i in $(seq 20); do
		poll_until 5 attached wan0 clsact && on "$R" tc qdisc del dev wan0 clsact || return
	done
	is_filtered wan0 || return
	# at most one line a second, and this took some
	[ $(($(removals) - before)) -le 10 ] || { echo "$(removals) lines, $before before"; return 1; }
}
t removals_do_not_fill_the_log many_removals
enslaved_filters()
{
	on "$R" ip link set lan0 nomaster
	is_filtered lan0 || return
	on "$R" ip link set lan0 master br-lan && is_port lan0 && through
}
t enslaved_interface_loses_its_filters enslaved_filters
stop_ctd
start_ctd "$R" "$conf"
t tcx_replaces_clsact is_routed wan0
no_qdisc()
{
	! on "$R" tc qdisc show | grep clsact
}
t clsact_of_the_former_ctd_is_gone no_qdisc
t tcx_lets_through through
finish
