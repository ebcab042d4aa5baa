#!/bin/bash
# ctd owns the port space: pools follow the rules, the interface's address, the
# host's sockets and the configuration; leases outlive a reload and a restart; what
# does not fit is refused and the old rules stay.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

net_router
serve_echo "$S" 7000 7001
serve_http "$S"

# pool ADDRESS CLASS FIELD : of `ctctl -j nat`; nothing if there is no such pool
pool()
{
	ctctl -j nat | /usr/bin/python3 -c '
import json, sys
address, cls, field = sys.argv[1:]
for p in json.load(sys.stdin):
    if p["address"] == address and p["class"] == cls and (p["live"] or field == "live"):
        print(p.get(field, p["paths"].get(field)))' "$@"
}

# pool_is ADDRESS CLASS FIELD VALUE
pool_is()
{
	local got
	got=$(pool "$1" "$2" "$3")
	[ "$got" = "$4" ] || { echo "$1 $2: $3 is '$got', expected '$4'"; return 1; }
}

conf=$(
	config pools <<-'END'
		set default deny
		set nat reserved { 1024-1033, 5060 }
		wan = wan0
		lan = lan0
		nat out on $wan from $lan.net -> ($wan)
		pass in on $lan
	END
)
start_ctd "$R" "$conf"

sizes()
{
	pool_is "$RW4" tcp size 64512 && pool_is "$RW4" udp size 64512 && pool_is "$RW4" icmp size 65536 &&
		pool_is "$RW6" tcp size 64512 || return
	[ "$(ctctl nat | grep -c live)" = 8 ] || { ctctl nat; return 1; }
}
t a_pool_for_each_address_and_class sizes
least_leased()
{
	local n
	n=$(pool "$RW4" tcp leased)
	[ "$n" -ge 4096 ] || { echo "only $n leased"; return 1; }
}
t at_least_4096_ports_of_a_pool_are_leased_ahead least_leased
t no_port_is_leased_twice ctctl check

t configured_ports_are_reserved pool_is "$RW4" tcp reserved 11
t icmp_ids_are_not_ports pool_is "$RW4" icmp reserved 0

# A port of the host's: listening, or bound for UDP; not on loopback.
sockets()
{
	nsenter --net="/run/netns/$R" -- /usr/bin/python3 -c '
import socket, sys
t = socket.socket(); t.bind(("0.0.0.0", 20001)); t.listen()
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(("::", 20002))
l = socket.socket(); l.bind(("127.0.0.1", 20003)); l.listen()
print("bound", flush=True)
sys.stdin.read()' >"$TMP/bound" < <(sleep 600) &
	PIDS+=($!)
	SOCKETS=$!
	poll_until 20 grep -q bound "$TMP/bound"
}
sockets
reserved_by_sockets()
{
	poll_until 20 pool_is "$RW4" tcp reserved 12 && poll_until 20 pool_is "$RW4" udp reserved 12
}
t ports_of_the_hosts_sockets_are_reserved reserved_by_sockets
# leases POOL PORT... : how many slots of the pool's rings hold one of these
leases()
{
	bpftool -j map dump pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/nat_ring_v1" |
		/usr/bin/python3 -c '
import json, sys
pool, ports, pools = int(sys.argv[1]), {int(p) | 0x10000 for p in sys.argv[3:]}, int(sys.argv[2])
raw = b"".join(bytes(int(b, 16) for b in e["value"]) for e in json.load(sys.stdin))
room = len(raw) // pools
mine = raw[pool * room:(pool + 1) * room]
print(sum(int.from_bytes(mine[i:i + 4], sys.byteorder) in ports for i in range(0, room, 4)))' \
		"$1" "$(bpftool -j map show pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/nat_pool_v1" |
			grep -oE '"max_entries":[0-9]+' | cut -d: -f2)" "${@:2}"
}
# A port whose socket has just been found is taken out of its ring by the next poll.
not_leased()
{
	local n
	n=$(leases 1 "$@")
	[ "$n" = 0 ] || { echo "$n of the reserved ports are leased"; return 1; }
}
never_leased()
{
	poll_until 20 not_leased 1024 1025 1026 1027 1028 1029 1030 1031 1032 1033 5060 20001 || return
	local n
	n=$(leases 1 {30000..60000})
	[ "$n" -gt 1000 ] || { echo "only $n of 30,000 others are: not looking at the right rings"; return 1; }
}
t reserved_ports_are_not_leased never_leased
kill "$SOCKETS"
released()
{
	poll_until 20 pool_is "$RW4" tcp reserved 11
}
t a_closed_sockets_port_is_free_again released

rings()
{
	bpftool map dump pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/nat_ring_v1" | md5sum
}
reload_keeps()
{
	local before after
	before=$(rings)
	echo "pass in on wan0 proto tcp port 9" >>"$conf"
	ctctl fw load "$conf" || return
	after=$(rings)
	[ "$before" = "$after" ] || { echo "the rings have changed"; return 1; }
	pool_is "$RW4" tcp index 1
}
t a_reload_keeps_pools_and_rings reload_keeps
restart_keeps()
{
	local after
	after=$(rings)
	[ "$before" = "$after" ] || { echo "the rings have changed"; return 1; }
	ctctl check
}
kill_ctd
before=$(rings)
start_ctd "$R" "$conf"
t a_killed_and_restarted_ctd_takes_over_what_is_leased restart_keeps

# Refused, with the line, and nothing changed.
too_large()
{
	local out
	out=$(
		config large <<-'END'
			set nat pools 8
			wan = wan0
			nat out on $wan -> 192.0.2.1-192.0.2.3
		END
	)
	fails ctctl fw load "$out" 2>"$TMP/why" || return
	grep -q ':3:.*pools' "$TMP/why" || { cat "$TMP/why"; return 1; }
	pool_is "$RW4" tcp index 1
}
t a_pool_that_is_too_large_is_refused_with_its_line too_large
no_room()
{
	local out before
	out=$(
		config noroom <<-'END'
			set default deny
			set nat reserved { 2000-9999 }
			wan = wan0
			nat out on $wan -> 192.0.2.0-192.0.2.40
		END
	)
	before=$(ctctl nat | awk '{ print $1, $2, $3 }')
	fails ctctl fw load "$out" 2>"$TMP/why" || return
	grep -q ':4: no room for 164 pools' "$TMP/why" || { cat "$TMP/why"; return 1; }
	[ "$before" = "$(ctctl nat | awk '{ print $1, $2, $3 }')" ] || { ctctl nat; return 1; }
	pool_is "$RW4" tcp reserved 11
}
t pools_beyond_what_is_mapped_are_refused_with_their_line no_room
range_pools()
{
	local more
	more=$(
		config range <<-'END'
			set default deny
			wan = wan0
			lan = lan0
			nat out on $wan from $lan.net -> 192.0.2.1-192.0.2.3 ports 2000-2999
			pass in on $lan
		END
	)
	ctctl fw load "$more" 2>/dev/null || return
	pool_is 192.0.2.3 tcp size 1000 && poll_until 20 pool_is 192.0.2.1 tcp leased 1000 || return
	[ -z "$(pool "$RW4" tcp index)" ] || { echo "the old pool is still live"; return 1; }
	ctctl fw load "$conf" && pool_is "$RW4" tcp size 64512
}
t pools_come_and_go_with_the_rules range_pools

# listed ADDRESS: are there connections whose replies go there?
listed()
{
	ctctl -L -q "$1" 2>/dev/null | grep -q "dst=$1"
}

no_pool()
{
	[ -z "$(pool "$1" tcp index)" ]
}

# Masquerade follows the address; connections of the old one end with it.
address_changes()
{
	page "$C" "http://$S4/page" || return
	listed "$RW4" || { echo "no connection to $RW4"; return 1; }
	on "$R" ip addr add 203.0.113.77/24 dev wan0
	on "$R" ip addr del "$RW4/24" dev wan0
	on "$R" ip addr replace 203.0.113.77/24 dev wan0
	poll_until 20 pool_is 203.0.113.77 tcp size 64512 || return
	poll_until 20 no_pool "$RW4" || { echo "the old pool is still live"; return 1; }
	page "$C" "http://$S4/page" || return
	poll_until 20 fails listed "$RW4" || return
	poll_until 20 grep -q 'event=nat_address_gone.*address=203.0.113.1' "$CTD_LOG"
}
t masquerade_follows_the_interfaces_address address_changes
# --- the address (and with hash the port) that a rule with a range gives
on "$S" ip route add 192.0.2.0/24 via 203.0.113.77
# by_rule OPTION: a file with this rule
by_rule()
{
	config "$1" <<-END
		set default deny
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> 192.0.2.1-192.0.2.7 $1
		pass in on \$lan
	END
}
# seen PORT SOURCE-PORT: external address and port
seen()
{
	echo_from "$C" udp "$S4" "$1" "$2" x | cut -d' ' -f1,2
}
hashed()
{
	local first others i got
	ctctl fw load "$(by_rule hash)" || return
	first=$(seen 7000 5555)
	[[ -n $first && ${first#* } != 5555 ]] || { echo "seen: '$first'"; return 1; }
	for i in 1 2 3; do
		ctctl -F 2>/dev/null
		got=$(seen 7000 5555)
		[ "$got" = "$first" ] || { echo "first $first, then $got"; return 1; }
	done
	for i in {5600..5619}; do seen 7001 "$i"; done >"$TMP/others"
	others=$(cut -d' ' -f1 "$TMP/others" | sort -u | wc -l)
	[ "$others" -gt 3 ] || { echo "only $others addresses for 20 connections"; return 1; }
}
t hash_gives_a_tuple_the_same_address_and_port_again hashed
# Everything is new after this: maps, secret, pools.
persistent()
{
	local first i got path
	path=$(by_rule persistent)
	ctctl fw load "$path" && ctctl -F 2>/dev/null || return
	first=$(seen 7000 5555)
	[ "${first#* }" = 5555 ] || { echo "seen: '$first'"; return 1; }
	for i in {5600..5605}; do
		got=$(seen 7001 "$i")
		[ "$got" = "${first% *} $i" ] || { echo "first $first, then $got"; return 1; }
	done
	stop_ctd
	unload_ctd "$CTD_INSTANCE" "$R" >/dev/null || return
	start_ctd "$R" "$path"
	got=$(seen 7001 5555)
	[ "$got" = "$first" ] || { echo "first $first, after the restart $got"; return 1; }
}
t persistent_gives_a_host_the_same_address_after_all_was_unloaded persistent
t nothing_is_wrong_afterwards ctctl check
finish
