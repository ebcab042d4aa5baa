#!/bin/bash
# beside: yes
# A guest in the kernel: what an IPsec policy, a chain of somebody else or a routing rule
# would touch goes by the stack, is tracked once and translated where it leaves.
#
#   client c0 ── lan0 router wan0 ── s0 server   203.0.113.2, way to 192.0.2.80 (table main)
#   dock   d0 ── docker0     wan1 ── x0 second   198.51.100.2, way to 192.0.2.80 (table 100)
#   10.7.0.2     10.7.0.1    198.51.100.1
#                            2001:db8:9::1 ── 2001:db8:9::2
#
# Server and second both are 192.0.2.80 and 2001:db8:80::80; who answers tells the way.
# This kernel has xfrm policies but no ESP: what a policy takes is never sent at all, so
# anything that arrives has gone around it.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh
need curl nft ping

X=$T-x D=$T-d
BOTH4=192.0.2.80 BOTH6=2001:db8:80::80
net_router
net_ns "$X" "$D"
net_link "$R" wan1 "$X" x0
net_link "$R" docker0 "$D" d0
net_addr "$R" wan1 198.51.100.1/24 2001:db8:9::1/64
net_addr "$X" x0 198.51.100.2/24 2001:db8:9::2/64
net_addr "$R" docker0 10.7.0.1/24
net_addr "$D" d0 10.7.0.2/24
on "$D" ip route add default via 10.7.0.1
for ns in "$S" "$X"; do
	net_addr "$ns" lo $BOTH4/32 $BOTH6/128
done
# answers to UDP come from the address that was asked
on "$S" ip route replace 203.0.113.0/24 dev s0 src $BOTH4
on "$S" ip -6 route replace 2001:db8:2::/64 dev s0 src $BOTH6 metric 256
on "$X" ip route replace 198.51.100.0/24 dev x0 src $BOTH4
on "$X" ip -6 route replace 2001:db8:9::/64 dev x0 src $BOTH6 metric 256
on "$R" ip route add $BOTH4 via $S4
on "$R" ip -6 route add $BOTH6 via $S6
on "$R" ip route add default via 198.51.100.2 table 100
on "$R" ip -6 route add default via 2001:db8:9::2 table 100
on "$R" ethtool -K wan1 tx off >/dev/null
conf=$(
	config guest <<-END
		set default deny
		lan = lan0
		nat out on wan0 from \$lan.net -> (wan0)
		nat out on wan1 from \$lan.net -> (wan1)
		pass in on \$lan
		pass in on docker0
		pass in on wan0 proto tcp to self port 8080
	END
)
serve_http "$S" 80
serve_http "$D" 80
for ns in "$S" "$X"; do
	serve_echo "$ns" 7000 7001
done
start_ctd "$R" "$conf"

nft_in()
{
	on "$1" nft -f -
}
# found N : ctd's last word on what is beside it
found()
{
	grep 'event=beside .*found=[0-9]' "$CTD_LOG" | tail -n 1 | grep -q "found=$1 " ||
		{ grep beside "$CTD_LOG" | tail -n 3; return 1; }
}
found_soon()
{
	poll_until 10 found "$1"
}
# by stack|redirect COMMAND... : at least ten of its packets go that way, by the stack all
by()
{
	local way=$1 fast stack
	shift
	fast=$(counter fast_forward) stack=$(counter stack_forward)
	"$@" || return
	fast=$(($(counter fast_forward) - fast)) stack=$(($(counter stack_forward) - stack))
	echo "$fast redirected, $stack by the stack"
	case $way in
	stack) [ "$fast" = 0 ] && [ "$stack" -ge 10 ] ;;
	redirect) [ "$fast" -ge 10 ] ;;
	esac
}
# Twenty lines there and back over one connection: ADDRESS PORT
talk()
{
	on "$C" /usr/bin/python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.settimeout(5)
for i in range(20):
    s.send(b"line %d\n" % i)
    assert b"line %d" % i in s.recv(4096)' "$1" "$2"
}
# seen_as ADDRESS tcp|udp TO PORT
seen_as()
{
	local want=$1 got
	shift
	got=$(echo_from "$C" "$@") || { echo "$got"; return 1; }
	got=${got#::ffff:}
	[[ $got == "$want "* ]] || { echo "seen as '$got', not from $want"; return 1; }
}
seen_both()
{
	seen_as "$1" tcp "$BOTH4" "$3" && seen_as "$1" udp "$BOTH4" "$3" &&
		seen_as "$2" tcp "$BOTH6" "$3" && seen_as "$2" udp "$BOTH6" "$3"
}
ping_large()
{
	on "$C" ping -c 2 -i 0.2 -W 2 -s 4000 "$1"
}
load()
{
	ctctl fw load "$conf" >"$TMP/load" 2>&1 || { cat "$TMP/load"; return 1; }
}
warned()
{
	load || return
	grep -q "warning: .*$1" "$TMP/load" || { cat "$TMP/load"; return 1; }
}
not_warned()
{
	load && fails grep warning "$TMP/load"
}
nothing_beside()
{
	on "$R" nft flush ruleset
	found_soon 0
}

# --- nothing beside us, and what does not count
nft_in "$R" <<-END
	table inet filter {
		chain input { type filter hook input priority 0; tcp dport 9 drop; }
		chain forward { type filter hook forward priority 0; policy accept; }
	}
	table inet bpfct_guard_test { chain f { type filter hook forward priority 0; counter; }; }
END
t empty_chains_and_our_own_do_not_matter not_warned
t v4_is_redirected by redirect talk $BOTH4 7000
t v6_is_redirected by redirect talk $BOTH6 7000
# One transaction of more messages than the kernel's filter looks at: ctd finds that none matters.
# (Two sets by turns: elements of one are a message together.)
nft_in "$R" <<<'table inet many { set s0 { type ipv4_addr; }; set s1 { type ipv4_addr; }; }'
for i in $(seq 100); do
	echo "add element inet many s$((i % 2)) { 10.99.0.$i }"
done >"$TMP/elements"
sleep 0.5 # ctd has looked at the new table
on "$R" nft -f "$TMP/elements"
t set_elements_hold_nothing_back poll_until 10 by redirect talk $BOTH4 7000
on "$R" nft flush ruleset

# --- a forward chain of somebody else
# The chain appears in mid-transfer and drops it: were packets still redirected, it would end well.
# ctd is stopped: not one packet may wait for its next turn.
established_is_stopped()
{
	local pid before after
	on "$C" curl -sS --max-time 100 --limit-rate 300K -o "$TMP/got" "http://$S4/large" >/dev/null 2>&1 &
	pid=$!
	poll_until 10 test -s "$TMP/got"
	kill -STOP "$CTD_PID"
	nft_in "$R" <<-END
		table ip foreign { chain f { type filter hook forward priority 0; ip saddr $S4 drop; }; }
	END
	before=$(counter fast_forward)
	sleep 1.5
	after=$(counter fast_forward)
	kill -CONT "$CTD_PID"
	kill "$pid" 2>/dev/null
	wait "$pid"
	echo "$((after - before)) packets were redirected after the chain was there"
	[ "$after" = "$before" ] && [ "$(stat -c %s "$TMP/got")" -lt 19000000 ] && found_soon 1
}
t established_connection_meets_a_new_chain established_is_stopped
t v6_is_redirected_beside_a_v4_chain by redirect talk $BOTH6 7000
t load_warns_of_a_chain warned "nft table ip foreign, chain f (forward)"
nothing_beside
t redirected_again by redirect talk $BOTH4 7000
nft_in "$R" <<-END
	table inet foreign { chain f { type filter hook forward priority 0;
		tcp dport 7000 counter
		tcp dport 7001 drop
	}; }
END
found_soon 1
counted()
{
	local n
	on "$R" nft reset rules >/dev/null 2>&1 || on "$R" nft reset counters >/dev/null
	n=$(chain_count)
	by stack talk "$1" 7000 || return
	n=$(($(chain_count) - n))
	[ "$n" -ge 20 ] || { echo "the chain has seen $n packets"; return 1; }
}
chain_count()
{
	on "$R" nft list table inet foreign | grep -o 'packets [0-9]*' | cut -d' ' -f2
}
t foreign_chain_sees_each_packet_v4 counted $BOTH4
t foreign_chain_sees_each_packet_v6 counted $BOTH6
t foreign_chain_may_drop fails echo_from "$C" tcp "$BOTH4" 7001
t translated_behind_a_foreign_chain seen_both $RW4 $RW6 7000
t fragments_behind_a_foreign_chain_v4 ping_large $BOTH4
t fragments_behind_a_foreign_chain_v6 ping_large $BOTH6
nothing_beside

# --- what Docker does: a network masqueraded and a port published by the kernel's own NAT
nft_in "$R" <<-END
	table ip docker {
		chain pre { type nat hook prerouting priority -100; iifname wan0 tcp dport 8080 dnat to 10.7.0.2:80; }
		chain post { type nat hook postrouting priority 100; ip saddr 10.7.0.0/24 oifname wan0 masquerade; }
	}
END
found_soon 2
docker_seen()
{
	local got
	got=$(echo_from "$D" "$1" "$BOTH4" 7000) || { echo "$got"; return 1; }
	[[ ${got#::ffff:} == "$RW4 "* ]] || { echo "seen as $got"; return 1; }
}
t published_port_is_reached page "$S" "http://$RW4:8080/page"
t foreign_masquerade_tcp docker_seen tcp
t foreign_masquerade_udp docker_seen udp
t foreign_masquerade_ping on "$D" ping -c 2 -i 0.2 -W 2 $S4
t ours_beside_it seen_both $RW4 $RW6 7000
t fragments_when_connections_open_late ping_large $BOTH4
t load_warns_of_docker warned "nft table ip docker, chain pre (prerouting)"
nothing_beside

# --- routing by marks that a chain sets: port 7001 by wan1, and out with its address
nft_in "$R" <<-END
	table inet steer { chain pre { type filter hook prerouting priority -150;
		iifname lan0 meta l4proto { tcp, udp } th dport 7001 meta mark set 1
	}; }
END
on "$R" ip rule add fwmark 1 table 100
on "$R" ip -6 rule add fwmark 1 table 100
found_soon 3
tracked_once()
{
	local n
	echo_from "$C" udp "$BOTH4" 7001 40001 >/dev/null || return
	n=$(ctctl -L -p udp --sport 40001 2>/dev/null | tee "$TMP/list" | wc -l)
	[ "$n" = 1 ] && grep -q 'packets=1 .*packets=1 ' "$TMP/list" && return
	cat "$TMP/list"
	return 1
}
t marked_leave_by_the_other_wan seen_both 198.51.100.1 2001:db8:9::1 7001
t others_by_the_first seen_both $RW4 $RW6 7000
t such_a_connection_is_one_record tracked_once
t load_warns_of_the_rule warned "ip rule [0-9]*, by fwmark"
on "$R" nft flush ruleset
found_soon 2
t fwmark_rule_alone by stack talk $BOTH4 7000
on "$R" ip rule del fwmark 1 table 100
on "$R" ip -6 rule del fwmark 1 table 100
found_soon 0
# Rules that a look-up follows
on "$R" ip rule add iif lan0 ipproto tcp dport 7001 table 100
t rule_by_port_is_followed seen_as 198.51.100.1 tcp "$BOTH4" 7001
t and_leaves_the_others_alone seen_as $RW4 tcp "$BOTH4" 7000
t rule_by_interface_still_redirects by redirect talk $BOTH4 7001
on "$R" ip rule del iif lan0 ipproto tcp dport 7001 table 100

# --- changes under a live connection: its packets follow at once. What counts is that they
# do; how many of the first packets after a change did is told (see docs/gateway.md).
way_changes()
{
	on "$C" /usr/bin/python3 - "$R" "$S" "$X" "$@" <<-'END'
		import socket, subprocess, sys, time
		router, s, x, to, old, new = sys.argv[1:]
		sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
		sock.connect((to, 7009))
		def run(ns, *cmd):
		    return subprocess.run(["nsenter", f"--net=/run/netns/{ns}", *cmd], capture_output=True, text=True, check=True).stdout
		def count(ns):
		    return int(run(ns, "nft", "list", "table", "inet", "way").split("packets ")[1].split()[0])
		def arrives(ns, before, seconds):
		    end = time.monotonic() + seconds
		    while time.monotonic() < end:
		        if count(ns) > before:
		            return True
		    return False
		sock.send(b"1"), sock.send(b"2")
		first, rounds = 0, 10
		for i in range(rounds):
		    gateway, ns = ((new, x), (old, s))[i % 2]
		    before = count(ns)
		    run(router, "ip", "route", "replace", to, "via", gateway)
		    sock.send(b"after the change")
		    if arrives(ns, before, 0.2):
		        first += 1
		        continue
		    sock.send(b"a moment later")
		    if not arrives(ns, before, 5):
		        sys.exit(f"round {i}: the old way still")
		print(f"the first packet was right {first} times of {rounds}")
		if first < rounds / 2:
		    sys.exit("too late, too often")
	END
}
for ns in "$S" "$X"; do
	nft_in "$ns" <<-END
		table inet way { chain i { type filter hook input priority 0; udp dport 7009 counter drop; }; }
	END
done
t route_change_moves_a_live_connection_v4 way_changes $BOTH4 $S4 198.51.100.2
t route_change_moves_a_live_connection_v6 way_changes $BOTH6 $S6 2001:db8:9::2

# --- xfrm
policy()
{
	case $1 in
	4) on "$R" ip xfrm policy add src 10.0.0.0/24 dst $BOTH4/32 dir out tmpl src $RW4 dst $S4 proto esp mode tunnel ;;
	6) on "$R" ip xfrm policy add src fd00:1::/64 dst $BOTH6/128 dir out tmpl src $RW6 dst $S6 proto esp mode tunnel ;;
	esac
}
nft_in "$S" <<-END
	table inet seen { chain i { type filter hook input priority 0; udp dport 7000 counter; }; }
END
plain()
{
	on "$S" nft list table inet seen | grep -o 'packets [0-9]*' | cut -d' ' -f2
}
# Datagrams all the time over one connection that is redirected; a policy is added; from
# then on not one arrives in the clear, though ctd is stopped when it is added.
no_plaintext()
{
	local first before after late pid
	first=$(plain)
	on "$C" /usr/bin/python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 7000))
end = time.monotonic() + 20
while time.monotonic() < end:
    try:
        s.send(b"in the clear\n")
    except OSError:
        pass
    time.sleep(0.0005)' "$2" &
	pid=$!
	sleep 1
	before=$(plain)
	kill -STOP "$CTD_PID"
	policy "$1"
	after=$(plain)
	sleep 1
	late=$(($(plain) - after))
	kill -CONT "$CTD_PID"
	found_soon 1
	sleep 0.5
	kill "$pid"
	wait "$pid" 2>/dev/null
	echo "$((before - first)) packets before, $late with the policy and ctd stopped, $(($(plain) - after)) in all afterwards"
	[ $((before - first)) -ge 100 ] && [ "$(plain)" = "$after" ]
}
no_policy()
{
	on "$R" ip xfrm policy flush
	found_soon 0
}
t no_plaintext_around_a_policy_v4 no_plaintext 4 $BOTH4
t load_warns_of_the_policy_v4 warned "xfrm policy (IPsec), IPv4, dir out"
t v6_is_redirected_beside_a_v4_policy by redirect talk $BOTH6 7000
no_policy
t no_plaintext_around_a_policy_v6 no_plaintext 6 $BOTH6
t load_warns_of_the_policy_v6 warned "xfrm policy (IPsec), IPv6, dir out"
no_policy
t redirected_without_policies by redirect talk $BOTH4 7000
on "$R" ip xfrm policy setdefault fwd block
found_soon 1
t default_policy_is_obeyed fails echo_from "$C" udp "$BOTH4" 7000
on "$R" ip xfrm policy setdefault fwd accept
found_soon 0

# --- a ctd that hangs is taken for dead after 5 s, one that is killed at once
nothing_redirected()
{
	local fast
	fast=$(counter fast_forward)
	talk "$BOTH4" 7000 && talk "$BOTH6" 7000 || return
	[ "$(counter fast_forward)" = "$fast" ] || { echo "redirected"; return 1; }
}
hangs()
{
	sleep 6
	nothing_redirected
}
clear_text()
{
	local n
	n=$(plain)
	WAIT=1 fails echo_from "$C" udp "$BOTH4" 7000 && [ "$(plain)" = "$n" ]
}
kill -STOP "$CTD_PID"
t nothing_is_redirected_when_ctd_hangs hangs
kill -CONT "$CTD_PID"
t redirected_when_it_goes_on poll_until 10 by redirect talk $BOTH4 7000
kill_ctd
t nothing_is_redirected_when_ctd_is_dead nothing_redirected
policy 4
t policy_added_meanwhile_is_obeyed clear_text
start_ctd "$R" "$conf"
found_soon 1
t and_by_the_next_ctd clear_text
no_policy
t redirected_after_all by redirect talk $BOTH4 7000

t nothing_was_lost_to_nat test "$(counter nat_lost)" = 0
t table_is_consistent ctctl check
over_a_move "$conf" "$C" "$S4" lan0,docker0 talk "$BOTH4" 7000
finish
