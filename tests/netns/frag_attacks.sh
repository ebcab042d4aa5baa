#!/bin/bash
# alone: yes
# timeout: 300
# Floods of fragments that never become whole, from outside, and a good flow beside
# them: 3,000-byte datagrams and their echoes, in fragments both ways, through the
# masquerading router. What is held never passes the bound, no memory is taken, all
# goes with time, and who stays under its quota is served.
#
#   client ── lan0 router wan0 ── server, and attackers 198.18.0.0/15, 2001:db8:f::/48
#   victims 10.0.0.9, fd00:1::9: nobody there answers
#
# What each malformed fragment by itself does: tests/scapy/frag_counters.py.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need jq bpftool ping

DATAGRAMS=1024 BYTES=4194304 # the default limits
net_router
conf=$(
	config attacks <<-END
		set default deny
		set antispoof off
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
		pass in on \$wan proto udp port 7001
	END
)
start_ctd "$R" "$conf"
serve "$S" /usr/bin/python3 tests/lib/datagrams.py serve 7000
poll_until 20 listening "$S" 7000 u
on "$R" ip route add default via "$S4"
on "$R" ip -6 route add default via "$S6"
for a in 10.0.0.9 fd00:1::9; do
	on "$R" ip neigh replace "$a" lladdr 02:00:00:00:00:09 dev lan0
done
wan_mac=$(on "$R" ip -o link show wan0 | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2)

frag()
{
	ctctl -j frag | jq -r "$1"
}
# flood KIND FAMILY COUNT RATE [SOURCE]
flood()
{
	local src=${5:-198.18.0.0/15} dst=10.0.0.9
	if [ "$2" = 6 ]; then
		src=${5:-2001:db8:f::/48} dst=fd00:1::9
	fi
	on "$S" "$O/tests/lib/fragflood" s0 "$wan_mac" "$1" "$src" "$dst" "$3" "$4"
}
memory()
{
	local pin
	for pin in /sys/fs/bpf/bpfct/"$T"/frag_*; do
		bpftool -j map show pinned "$pin" | jq .bytes_memlock
	done | awk '{ n += $1 } END { print n }'
}
within()
{
	frag ".total | select(.datagrams.high <= $DATAGRAMS and .bytes.high <= $BYTES and .datagrams.used <= $DATAGRAMS and .bytes.used <= $BYTES)" |
		grep -q . || { frag .total; return 1; }
	[ "$(memory)" = "$MEMORY" ] || { echo "$(memory) bytes of maps, $MEMORY before"; return 1; }
}
# good FAMILY SECONDS PERCENT : echoes of 3,000 bytes, so many come back
good()
{
	local to=$S4 out sent got
	[ "$1" = 4 ] || to=$S6
	out=$(on "$C" /usr/bin/python3 tests/lib/datagrams.py flow "$to" 7000 3000 "$2" 200) || return
	read -r sent got _ <<<"$out"
	echo "$out" >"$TMP/flow.$1"
	echo "sent $sent, came back $got"
	[ "$sent" -ge 20 ] && [ $((got * 100)) -ge $((sent * $3)) ]
}
# What must come back, in percent. 40,000 pieces a second of 8 bytes take 80 MB a second of
# chunks: then what is held lives for 50 ms, and who is slower loses.
least()
{
	[ "$1" = smack ] && echo 75 || echo 98
}
# beside KIND FAMILY [SOURCE] : 100,000 fragments at 40,000 a second
beside()
{
	local pid rc=0
	flood "$1" "$2" 100000 40000 "${3:-}" >"$TMP/flood" 2>&1 &
	pid=$!
	good "$2" 2.2 "$(least "$1")" || rc=1
	wait "$pid" || { cat "$TMP/flood"; rc=1; }
	return "$rc"
}
empty()
{
	frag '.total | select(.datagrams.used == 0 and .bytes.used == 0)' | grep -q . || { frag .total; return 1; }
}
all_goes()
{
	ctctl clock --advance 20 && poll_until 20 empty
}
# counted FAMILY COUNTER LEAST COMMAND... : the counter of `ctctl frag` grows by so much
counted()
{
	local fam=inet counter=$2 least=$3 before after
	[ "$1" = 4 ] || fam=inet6
	shift 3
	before=$(frag ".$fam.$counter")
	"$@" || return
	after=$(frag ".$fam.$counter")
	echo "$counter: $((after - before))"
	[ $((after - before)) -ge "$least" ]
}
# A page and a ping, neither in fragments
unharmed()
{
	on "$C" ping -c 5 -i 0.05 -W 2 -q "$S4" | grep -q ' 0% packet loss' && on "$C" ping -c 5 -i 0.05 -W 2 -q "$S6" | grep -q ' 0% packet loss'
}
whole_beside()
{
	local pid rc=0
	flood "$@" 100000 40000 >/dev/null &
	pid=$!
	unharmed || rc=1
	wait "$pid"
	return "$rc"
}

if [ "${NETNS_WITH:-}" = nft ]; then # what the kernel's own makes of it: figures to compare, no verdict
	for f in 4 6; do
		for kind in first later rose smack overlap; do
			beside $kind $f >/dev/null
			echo "# nft beside a $kind flood, IPv$f: sent, came back, the worst took: $(cat "$TMP/flow.$f")"
		done
	done
	finish
fi
MEMORY=$(memory)
memory_is_told()
{
	local told
	told=$(frag .memory)
	echo "$told told, $MEMORY taken"
	[ $((told * 10)) -ge $((MEMORY * 9)) ] && [ $((told * 9)) -le $((MEMORY * 10)) ]
}
t memory_of_the_maps_is_what_ctctl_tells memory_is_told
for f in 4 6; do
	t "good_flow_alone_v$f" good $f 1.5 100
	for kind in first later rose smack overlap; do
		t "good_flow_beside_a_${kind}_flood_v$f" beside $kind $f
		echo "# beside a $kind flood, IPv$f: sent, came back, the worst took: $(cat "$TMP/flow.$f")"
		t "never_above_the_bound_${kind}_v$f" within
	done
	t "all_goes_with_time_v$f" all_goes
	t "floods_are_counted_v$f" counted $f evicted 1000 flood first $f 20000 40000
	t "overlaps_are_counted_v$f" counted $f overlapped 500 flood overlap $f 2000 10000
	t "whole_packets_beside_a_flood_v$f" whole_beside first $f
	t "all_goes_again_v$f" all_goes
	one=198.18.0.1 two=198.18.7.7
	[ $f = 4 ] || one=2001:db8:f::1 two=2001:db8:f:7::1
	t "one_source_is_held_to_its_quota_v$f" counted $f refused 9000 flood first $f 10000 40000 $one
	t "others_are_served_meanwhile_v$f" beside first $f $one
	# the quota is full: another outside source still completes its datagrams
	t "another_source_completes_v$f" counted $f completed 500 flood whole $f 1000 20000 $two
	t "all_goes_at_last_v$f" all_goes
done
t never_above_the_bound_at_all within
t good_flow_afterwards_v4 good 4 1 100
t good_flow_afterwards_v6 good 6 1 100
finish
