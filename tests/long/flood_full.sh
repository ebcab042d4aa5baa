#!/bin/bash
# timeout: 3600
# I3 at the size that a gateway has: the default limit of 262,144 confirmed connections a
# family, filled by packets on the path but for a few, then ten times that in spoofed SYNs and in
# one-way UDP to passed ports. Not one confirmed connection is lost or broken: each
# that was there is there afterwards, with its reply tuple, and carries traffic both ways; and
# at the limit itself newcomers are refused until there is room.
#
#   50,000 and 50,000 x 10.64.0.0/16, fd00:64::/32 ── c0 ── lan0 router wan0 ── s0, which
#   answers for 198.18.0.1-6, 2001:db8:a::1-6; attackers behind s0: 198.19.0.0/16, 2001:db8:f::/48
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/hold.sh
. "$(dirname "$0")/../lib/hold.sh"

LIMIT=${FLOOD_LIMIT:-262144} # the default; the rules below leave it alone unless told
REAL=200
KEPT=$((LIMIT - 2000)) # a family, real ones among them
EACH=50000
FLOOD=$((10 * LIMIT))
net_router
on "$R" ip route add 10.64.0.0/16 via $C4
on "$R" ip -6 route add fd00:64::/32 via $C6
on "$R" ip route add 198.18.0.0/15 via $S4
on "$R" ip -6 route add default via $S6
on "$R" ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev lan0
on "$R" ip -6 neigh replace fd00:1::9 lladdr 02:00:00:00:00:09 dev lan0
net_reflects "$S" s0
conf=$(
	config flood_full <<-END
		set default deny
		set antispoof off
		$([ "$LIMIT" = 262144 ] || printf 'set limit confirmed %s\nset limit half-open %s\n' "$LIMIT" "$((LIMIT / 4))")
		set timeout udp_stream 7200
		wan = wan0
		lan = lan0
		nat out on \$wan from 10.0.0.0/8 -> (\$wan)
		nat out on \$wan from fd00::/8 -> (\$wan)
		pass in on \$lan
		pass in on \$wan proto tcp port 7001
		pass in on \$wan proto udp port 7001
	END
)
start_ctd "$R" "$conf"
serve_echo "$S" 7000
lan_mac=$(on "$R" ip -o link show lan0 | sed 's/.*ether \([^ ]*\).*/\1/')
wan_mac=$(on "$R" ip -o link show wan0 | sed 's/.*ether \([^ ]*\).*/\1/')
holder 4 "$S4"
holder 6 "$S6"

# used TABLE FAMILY
used()
{
	ctctl stats | awk -v t="$1" -v f="$2" '$1 == t && $2 == f { print $3; exit }'
}
# datagrams FAMILY SERVER COUNT : of connections of their own, answered by the reflector
datagrams()
{
	local from=(10.64.0.0/16 198.18.0.) count=$3
	[ "$1" = 4 ] || from=(fd00:64::/32 2001:db8:a::)
	on "$C" "$O/tests/lib/flood" c0 "$lan_mac" udp "${from[0]}" "${from[1]}$2" 7 "$count" 50000
}
# Two-way and older than 2 s is confirmed, as in netfilter; what the machine lost is sent again.
# fill FAMILY WANT
fill()
{
	local server want count i
	for server in 1 2 3 4 5 6; do
		want=$((EACH * server + REAL)) count=$EACH
		[ "$want" -le "$2" ] || { count=$((EACH - want + $2)) want=$2; }
		[ "$count" -gt 0 ] || break
		for i in 1 2 3 4 5 6 7 8; do
			datagrams "$1" "$server" "$count" >/dev/null && ctctl clock --advance 3 || return
			[ "$i" = 1 ] || [ "$(used confirmed "IPv$1")" -lt "$want" ] || break
		done
	done
	[ "$(used confirmed "IPv$1")" = "$2" ] || { echo "$(used confirmed "IPv$1") confirmed, not $2"; return 1; }
}
# Every confirmed connection by its tuples, without what traffic changes
tuples()
{
	ctctl -L -f "ipv$1" -u ASSURED 2>/dev/null | grep -oE '(src|dst|sport|dport)=[^ ]+' | paste -d' ' - - - - - - - - | sort
}
remember() { tuples "$1" >"$TMP/before$1" && [ "$(wc -l <"$TMP/before$1")" = "$KEPT" ]; }
nothing_lost()
{
	local f
	for f in 4 6; do
		tuples "$f" >"$TMP/after$f"
		[ "$(comm -23 "$TMP/before$f" "$TMP/after$f" | wc -l)" = 0 ] ||
			{ echo "IPv$f: $(comm -23 "$TMP/before$f" "$TMP/after$f" | wc -l) of $KEPT are gone"; return 1; }
		hold "$f" check || return
	done
	[ "$(counter evicted)" = 0 ] || { echo "$(counter evicted) evicted"; return 1; }
	ctctl check
}
refusals()
{
	local n sum=0
	for n in table_full half_full prefix_share nodes_full; do
		sum=$((sum + $(counter "$n")))
	done
	echo "$sum"
}
# flooded tcp|udp FAMILY : sent whole, most of it refused and counted
flooded()
{
	local before from=(198.19.0.0/16 10.0.0.9)
	[ "$2" = 4 ] || from=(2001:db8:f::/48 fd00:1::9)
	before=$(refusals)
	on "$S" "$O/tests/lib/flood" s0 "$wan_mac" "$1" "${from[@]}" 7001 "$FLOOD" 100000 || return
	echo "$(($(refusals) - before)) refused of $FLOOD" | tee -a "$TMP/refused"
	[ $(($(refusals) - before)) -ge $((FLOOD / 10)) ]
}
packets()
{
	ctctl -L -p udp -d "$1" 2>/dev/null | grep -oE 'packets=[0-9]+' | awk -F= '{ sum += $2 } END { print sum + 0 }'
}
# sampled FAMILY SERVER : one more datagram each way on every connection to it, and no new record
sampled()
{
	local before after known many=$EACH
	[ "$KEPT" -gt "$EACH" ] || many=$((KEPT - REAL))
	before=$(packets "$2") known=$(used nodes "IPv$1")
	datagrams "$1" 1 "$many" >/dev/null || return
	sleep 1
	after=$(packets "$2")
	[ "$(used nodes "IPv$1")" -le "$known" ] || { echo "$(used nodes "IPv$1") nodes, were $known"; return 1; }
	# a busy machine may lose some on the veth: nine tenths both ways must have gone through
	[ $((after - before)) -ge $((many * 18 / 10)) ] || { echo "$before $after"; return 1; }
}

for f in 4 6; do
	t real_ones_open_v$f hold $f open $REAL
	t table_fills_v$f fill $f $KEPT
	t all_are_remembered_v$f remember $f
done
for f in 4 6; do
	for proto in tcp udp; do
		began=$SECONDS
		t ${proto}_flood_is_refused_and_counted_v$f flooded $proto $f
		echo "  $(tail -n 1 "$TMP/refused"), $((SECONDS - began)) s"
		t inside_is_admitted_after_it_${proto}_v$f echo_from "$C" tcp "$([ $f = 4 ] && echo $S4 || echo $S6)" 7000
	done
	t nothing_is_lost_v$f nothing_lost
done
t they_carry_traffic_v4 sampled 4 198.18.0.1
t they_carry_traffic_v6 sampled 6 2001:db8:a::1

# Full to the limit: refused and counted, and admitted when there is room.
full()
{
	datagrams 4 9 20000 >/dev/null && ctctl clock --advance 3 && datagrams 4 9 20000 >/dev/null &&
		poll_until 20 [ "$(used confirmed IPv4)" = "$LIMIT" ]
}
t full_to_the_limit full
t newcomer_is_refused_at_the_limit grows table_full unanswered "$C" tcp "$S4" 7000
t nothing_is_lost_at_the_limit nothing_lost
room()
{
	ctctl -D -p udp -d 198.18.0.9 >/dev/null 2>&1
	poll_until 20 echo_from "$C" tcp "$S4" 7000
}
t newcomer_is_admitted_when_there_is_room room
t the_others_are_still_whole nothing_lost
finish
