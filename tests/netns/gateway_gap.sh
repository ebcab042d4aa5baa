#!/bin/bash
# beside: yes
# No gap: of an interface that appears, not one packet passes before our programs
# are on it, whatever ctd does at that moment; nor out of it.
#
#   client ── lan0 router wan0 ── server
#   stranger x0 ── new0 router            made and removed all the time: a veth,
#            xu ── ux                     a bridge, a VXLAN over ux, a tun
#
# The stranger sends without a pause, v4 and v6, to the router itself and to the
# server through it. Counters stand in the receivers' namespaces.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh
need nft

X=$T-x
MAC=02:00:00:00:66:01
FAR4=198.51.100.2 FAR6=2001:db8:66::2
net_router
net_ns "$X"
for ns in "$R" "$S" "$X"; do
	on "$ns" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
	on "$ns" nft -f - <<-END || exit 1
		table inet count {
			counter v4 { }
			counter v6 { }
			chain last {
				type filter hook input priority 300;
				meta nfproto ipv4 udp dport 9000 counter name v4
				meta nfproto ipv6 udp dport 9000 counter name v6
			}
		}
	END
done
# what VXLAN's own packets need
net_link "$R" ux "$X" xu
net_addr "$R" ux 192.0.2.1/24
net_addr "$X" xu 192.0.2.2/24
conf=$(gateway_config)
echo "pass in on ux proto udp to self port 4789" >>"$conf"
serve "$X" tests/lib/blast.py x0 $MAC 9000 $RW4 $S4 $RW6 $S6

counted()
{
	on "$1" nft -j list counter inet count "$2" | jq '.nftables[] | .counter // empty | .packets'
}
# What has come out of the new interface, before anybody judges it: a bridge's by its port
arrived()
{
	local dev=new0
	on "$R" ip link show dev p0 >/dev/null 2>&1 && dev=p0
	on "$R" ip -j -s link show dev "$dev" | jq '.[0].stats64.rx.packets'
}
arrived_some()
{
	[ "$(arrived)" -ge "${1:-400}" ]
}
appear()
{
	on "$R" ip link add new0 address $MAC "$@" type veth peer name x0 netns "$X" || return
	on "$R" ip link set new0 up && on "$X" ip link set x0 up
}
vanish()
{
	on "$R" ip link del new0
}
appear_bridge()
{
	on "$R" ip link add new0 address "$MAC" type bridge || return
	on "$R" ip link add p0 type veth peer name x0 netns "$X" || return
	on "$R" ip link set p0 master new0 && on "$R" ip link set p0 up && on "$R" ip link set new0 up &&
		on "$X" ip link set x0 up
}
vanish_bridge()
{
	on "$R" ip link del p0 && vanish
}
appear_vxlan()
{
	on "$R" ip link add new0 address "$MAC" type vxlan id 7 remote 192.0.2.2 dstport 4789 dev ux || return
	on "$X" ip link add x0 type vxlan id 7 remote 192.0.2.1 dstport 4789 dev xu || return
	on "$R" ip link set new0 up && on "$X" ip link set x0 up
}
vanish_vxlan()
{
	vanish && on "$X" ip link del x0
}
# no link header, as of WireGuard or PPP
appear_tun()
{
	: >"$TMP/tun"
	/usr/bin/python3 tests/lib/tun_pair.py "$R" new0 "$X" x0 >"$TMP/tun" 2>&1 &
	TUN=$!
	poll_until 10 grep -q ready "$TMP/tun" && on "$R" ip link set new0 up && on "$X" ip link set x0 up
}
vanish_tun()
{
	kill "$TUN"
	wait "$TUN" 2>/dev/null
	poll_until 10 fails on "$R" ip link show dev new0
}
# appears_as KIND : once, under traffic
appears_as()
{
	"appear_$1" && poll_until 20 arrived_some && none_passed
	local rc=$?
	"vanish_$1"
	return "$rc"
}
# Nothing of what the stranger sends has come to anybody
none_passed()
{
	local ns family
	for ns in "$R" "$S"; do
		for family in v4 v6; do
			[ "$(counted "$ns" "$family")" = 0 ] ||
				{ echo "$(counted "$ns" "$family") packets $family came through to $ns"; return 1; }
		done
	done
}
# appears_under ROUNDS [ip link ARGS] : under traffic; and while that goes on
appears_under()
{
	local i rounds=$1
	shift
	for ((i = 0; i < rounds; i++)); do
		appear "$@" || return
		poll_until 20 arrived_some || return
		vanish
		none_passed || return
	done
}
open_to()
{
	on "$R" nft list set inet "bpfct_guard_$T" open | tr -d '\n' | grep -qE "[{ ]\"?$1[\", ]"
}

# Before ctd starts, as the unit does it; and all the while that it starts
t guard_is_made_before_ctd_starts "$CTD" --guard -f "$conf" --instance "$T" --netns "$R"
t guard_leaves_no_lock_file test ! -e "/run/bpfct/$T.lock"
t closed_before_ctd_starts appears_under 2
# The carrier of VXLAN is open: it is what comes out of the tunnel that must not pass.
on "$R" nft add element inet "bpfct_guard_$T" open '{ ux }'
for kind in bridge vxlan tun; do
	t "closed_before_ctd_starts_$kind" appears_as $kind
done
on "$R" nft delete element inet "bpfct_guard_$T" open '{ ux }'
closed_lan()
{
	fails on "$C" ping -qc 1 -W 1 "$RL4"
}
t everything_is_closed_before_ctd_starts closed_lan
appear
start_ctd "$R" "$conf"
t closed_while_ctd_starts none_passed
t lan_is_open_once_ctd_runs on "$C" ping -qc 1 -W 2 $RL4
t new_interface_is_opened_for_our_programs_to_judge poll_until 10 open_to new0
t and_these_deny none_passed
closes_again()
{
	vanish && poll_until 10 fails open_to new0
}
t interface_that_went_is_taken_off_the_list closes_again

t closed_with_ctd_alive appears_under 6
for kind in bridge vxlan tun; do
	t "closed_with_ctd_alive_$kind" appears_as $kind
done
kill -STOP "$CTD_PID"
t closed_with_ctd_stopped appears_under 3
for kind in bridge vxlan tun; do
	t "closed_with_ctd_stopped_$kind" appears_as $kind
done

# Out of it: a client that may go anywhere, to a network that nobody translates for yet
appear
on "$R" ip addr add 198.51.100.1/24 dev new0
on "$R" ip addr add 2001:db8:66::1/64 dev new0 nodad
on "$X" ip addr add $FAR4/24 dev x0
on "$X" ip addr add $FAR6/64 dev x0 nodad
mac=$(on "$X" ip -j link show dev x0 | jq -r '.[0].address')
on "$R" ip neigh replace $FAR4 lladdr "$mac" dev new0
on "$R" ip neigh replace $FAR6 lladdr "$mac" dev new0
knock()
{
	local i
	for ((i = 0; i < ${1:-1}; i++)); do
		echo_from "$C" udp "$FAR4" 9000 0 quiet
		echo_from "$C" udp "$FAR6" 9000 0 quiet
	done
	[ "$(counted "$X" v4)" != 0 ] && [ "$(counted "$X" v6)" != 0 ]
}
nothing_leaves()
{
	knock 5
	[ "$(counted "$X" v4) $(counted "$X" v6)" = "0 0" ] || { echo "some left"; return 1; }
}
t nothing_is_forwarded_to_it_with_ctd_stopped nothing_leaves
kill -CONT "$CTD_PID"
t forwarded_to_it_once_our_programs_are_there poll_until 20 knock
vanish

# Taken away by somebody else
flushed()
{
	kill -STOP "$CTD_PID"
	on "$R" nft delete table inet "bpfct_guard_$T"
	kill -CONT "$CTD_PID"
	poll_until 10 open_to lan0 || return
	grep -q guard_changed "$CTD_LOG" && appears_under 2
}
t guard_that_somebody_removed_is_put_back flushed

# Packets that our programs redirect do not meet netfilter, nor anything else of the stack
serve_echo "$S" 7000
received()
{
	on "$R" cat /proc/net/snmp /proc/net/snmp6 |
		awk '$1 == "Ip:" && $3 ~ /^[0-9]+$/ { n += $4 } $1 == "Ip6InReceives" { n += $2 } END { print n }'
}
redirected()
{
	local before after
	echo_from "$C" udp "$S4" 7000 7777 && echo_from "$C" udp "$S6" 7000 7777 || return
	before=$(received)
	for _ in $(seq 10); do
		echo_from "$C" udp "$S4" 7000 7777 && echo_from "$C" udp "$S6" 7000 7777 || return
	done
	after=$(received)
	# 40 datagrams; neighbours may have a word
	[ $((after - before)) -lt 20 ] || { echo "the stack received $((after - before)) packets"; return 1; }
}
t redirected_packets_never_meet_it redirected

kill_ctd
t closed_with_ctd_killed appears_under 3
for kind in bridge vxlan tun; do
	t "closed_with_ctd_killed_$kind" appears_as $kind
done
t lan_stays_open_with_ctd_killed on "$C" ping -qc 1 -W 2 $RL4
appear
start_ctd "$R" "$conf"
t closed_while_ctd_starts_again none_passed
t known_interfaces_were_open_all_the_time open_to lan0

# Another default, and back
load()
{
	ctctl fw load "$1"
}
{ cat "$conf" && echo 'set default pass'; } | grep -v 'default deny' >"$TMP/pass.conf"
no_guard()
{
	! on "$R" nft list table inet "bpfct_guard_$T" >/dev/null 2>&1
}
passing()
{
	vanish
	load "$TMP/pass.conf" && no_guard && [ "$(status .guard)" = false ]
}
t default_pass_has_no_guard passing
denying()
{
	load "$conf" && poll_until 10 open_to lan0 && [ "$(status .guard)" = true ] && appears_under 2
}
t default_deny_has_it_again denying
# taken over from nft in mid-transfer
serve_http "$S" 80
over_a_move "$conf" "$C" $S4 lan0 appears_under 2
stop_ctd
t guard_outlives_ctd open_to lan0

# And the counters count: without it all of that passes.
unload_ctd "$T" "$R"
t unload_opens no_guard
all_pass()
{
	local ns
	for ns in "$R" "$S"; do
		[ "$(counted "$ns" v4)" != 0 ] && [ "$(counted "$ns" v6)" != 0 ] || return
	done
}
t then_everything_passes eval 'appear && poll_until 20 all_pass'
vanish
passes_as()
{
	local ns rc
	for ns in "$R" "$S"; do
		on "$ns" nft reset counters table inet count >/dev/null
	done
	"appear_$1" && poll_until 20 all_pass
	rc=$?
	"vanish_$1"
	return "$rc"
}
for kind in bridge vxlan tun; do
	t "then_everything_passes_$kind" passes_as $kind
done
finish
