#!/bin/bash
# When ports are short, and who may have which: a scan of one host leaves ports for
# another; what runs out is counted, logged and told at a bounded rate and takes
# nothing from those who have a port; port shadowing (CVE-2021-3773) fails;
# subscribers have limits; blocks are arithmetic; lost messages lose no port.
#
#   client 10.0.0.2, .3, .10-.29 ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
# timeout: 600
. "$(dirname "$0")/../lib/netns.sh"

net_router
on "$S" ip route add 192.0.2.0/24 via "$RW4"
on "$R" ip neigh replace 203.0.113.99 lladdr 02:00:00:00:00:99 dev wan0 # nobody
lan_mac=$(on "$R" ip -o link show lan0 | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2)
serve_echo "$S" 7000 7001
. tests/lib/nat_pool.sh

scan()
{
	on "$C" "$O/tests/lib/flood" c0 "$lan_mac" "$@"
}

# --- one host scans at full rate, ctd is stopped
conf=$(rules scan "nat out on \$wan from \$lan.net -> (\$wan) random")
start_ctd "$R" "$conf"
kill -STOP "$CTD_PID"
nsenter --net="/run/netns/$C" -- "$O/tests/lib/flood" c0 "$lan_mac" tcp 10.0.0.3 203.0.113.99 80 20000000 1000000 \
	>"$TMP/scan" 2>&1 &
scanner=$!
PIDS+=("$scanner")
sleep 1
many other tcp "$S4" 7000 1000 10.0.0.2
opens_beside_the_scan()
{
	said other "ok: 1000 open" || return
	kill -0 "$scanner" 2>/dev/null || { echo "the scan was over before: $(cat "$TMP/scan")"; return 1; }
}
t another_host_opens_1000_connections_beside_a_scan_with_ctd_stopped opens_beside_the_scan
kill "$scanner" 2>/dev/null
wait "$scanner" 2>/dev/null
t and_they_work ask other check "ok: 1000 open"
done_with other
kill -CONT "$CTD_PID"
ctctl -F 2>/dev/null

# --- exhaustion
put_in_force()
{
	local path
	path=$(rules "$@") || return
	ctctl fw load "$path" >"$TMP/load.$1" 2>&1 || { cat "$TMP/load.$1"; return 1; }
}

# What the client is told, a line each: seconds, source, type, code, quoted protocol
on "$C" /usr/bin/python3 -c '
import select, socket, struct
v4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
v6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
for s in v4, v6: # when it came, not when we were woken up: SO_TIMESTAMPNS
    s.setsockopt(socket.SOL_SOCKET, 35, 1)
print("listening", flush=True)
while True:
    for s in select.select([v4, v6], [], [])[0]:
        data, extra, _, peer = s.recvmsg(2048, 64)
        sec, nsec = struct.unpack("qq", extra[0][2][:16])
        now = f"{sec}.{nsec // 1000000:03}"
        if s is v4 and data[20] == 3:
            print(f"{now} {peer[0]} {data[20]}/{data[21]} {data[28 + 9]} "
                  + socket.inet_ntoa(data[28 + 12:28 + 16]), flush=True)
        elif s is v6 and data[0] == 1:
            print(f"{now} {peer[0]} {data[0]}/{data[1]} v6", flush=True)
' >"$TMP/told" 2>&1 &
PIDS+=($!)
poll_until 20 grep -q listening "$TMP/told"

t a_pool_of_64_ports_loads put_in_force small "nat out on \$wan from \$lan.net -> (\$wan) ports 40000-40063 eim"
many full udp "$S4" 7000 100 "${HOSTS[@]}" --wait 3
t only_as_many_open_as_there_are_ports said full "ok: 64 open"
refused_is_counted()
{
	at_least 36 "$RW4" udp refused && at_least 64 "$RW4" udp used && at_most 64 "$RW4" udp used
}
t refusals_are_counted refused_is_counted
t those_who_have_a_port_keep_it ask full check "ok: 64 open"
t exhaustion_is_logged poll_until 20 grep -q 'event=nat_exhausted.*address=203.0.113.1 class=udp' "$CTD_LOG"
t senders_of_data_are_told_3_1 poll_until 20 grep -q " $RL4 3/1 17 " "$TMP/told"

# most_a_second FROM-LINE PATTERN: in any second, not only whole ones
most_a_second()
{
	tail -n "+$1" "$TMP/told" | grep -E "$2" | awk '
		{ at[NR] = $1; while (at[NR] - at[low + 1] >= 1) low++; if (NR - low > most) most = NR - low }
		END { print most + 0 }'
}
# told_rate FROM-LINE PATTERN LOW HIGH: so many in one second
told_rate()
{
	local most
	most=$(most_a_second "$1" "$2")
	[[ $most -ge $3 && $most -le $4 ]] || { echo "$most in one second"; return 1; }
}
rate_bounded()
{
	local from
	from=$(($(wc -l <"$TMP/told") + 1))
	scan udp 10.0.0.3 203.0.113.99 80 12000 3000 >/dev/null || return
	poll_until 20 told_rate "$from" '3/1 17 10.0.0.3$' 5 100000 && sleep 0.5 && told_rate "$from" '3/1 17 10.0.0.3$' 5 10
}
t a_source_is_told_at_most_10_times_a_second rate_bounded
rate_bounded_in_all()
{
	local from host pids=()
	from=$(($(wc -l <"$TMP/told") + 1))
	for host in "${HOSTS[@]}"; do
		scan udp "$host" 203.0.113.99 80 2000 500 >/dev/null &
		pids+=($!)
	done
	wait "${pids[@]}"
	poll_until 20 told_rate "$from" ' 3/1 ' 30 100000 && sleep 0.5 && told_rate "$from" ' 3/1 ' 30 100
}
t all_together_at_most_100_times_a_second rate_bounded_in_all
logged_rarely()
{
	local lines
	lines=$(grep -c event=nat_exhausted "$CTD_LOG")
	[[ $lines -ge 2 && $lines -le 12 ]] || { echo "$lines lines"; return 1; }
}
t tens_of_thousands_of_refusals_are_a_few_lines logged_rarely

# send4 TYPE-BYTES... : an IPv4 packet from the client's wire, made by hand
craft()
{
	on "$C" /usr/bin/python3 - "$lan_mac" "$@" <<-'END'
		import socket, struct, sys
		mac, kind, src, dst, count = sys.argv[1:6]
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(("c0", 0))

		def csum(b):
		    n = sum(struct.unpack(f"!{len(b) // 2}H", b))
		    while n >> 16:
		        n = (n & 0xffff) + (n >> 16)
		    return ~n & 0xffff

		for i in range(int(count)):
		    if kind == "echo":
		        l4 = struct.pack("!BBHHH", 8, 0, 0, 1000 + i, 1)
		        l4 = l4[:2] + struct.pack("!H", csum(l4)) + l4[4:]
		        proto = 1
		    else:
		        l4 = struct.pack("!HHHH", 20000 + i, 7, 8, 0)
		        proto = 17
		    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(l4), i, 0, 64, proto, 0,
		                     socket.inet_aton(src), socket.inet_aton(dst))
		    ip = ip[:10] + struct.pack("!H", csum(ip)) + ip[12:]
		    s.send(bytes.fromhex(mac.replace(":", "")) + b"\2\0\0\0\0\2\x08\x00" + ip + l4)
	END
}
queries_are_told()
{
	craft echo 10.0.0.3 203.0.113.99 100 && poll_until 20 grep -q " $RL4 3/13 1 10.0.0.3" "$TMP/told"
}
t senders_of_icmp_queries_are_told_3_13 queries_are_told

# IPv6. What was told before counts against the hundred of a second.
sleep 1.2
many full6 udp "$S6" 7000 80 "$C6" --wait 3
t ipv6_too_only_as_many_as_there_are_ports said full6 "ok: 64 open"
t senders_of_ipv6_are_told_1_1 poll_until 20 grep -q " $RL6 1/1 v6" "$TMP/told"
done_with full6

# A source that the router would not answer through that interface, though it could.
spoofed()
{
	on "$R" ip route add 203.0.113.0/24 dev lan0 metric 5000
	on "$R" ip neigh replace 203.0.113.50 lladdr 02:00:00:00:00:50 dev lan0
	put_in_force spoof "set antispoof off
nat out on \$wan -> (\$wan) ports 40000-40063 eim" || return
	on "$R" timeout 60 tcpdump -lni any "icmp and dst 203.0.113.50" >"$TMP/spoofed" 2>"$TMP/spoofed.log" &
	PIDS+=($!)
	poll_until 20 grep -q listening "$TMP/spoofed.log" || return
	craft udp 203.0.113.50 203.0.113.99 50 || return
	local from
	from=$(pool "$RW4" udp refused)
	craft udp 203.0.113.50 203.0.113.99 50 || return
	at_least "$((from + 1))" "$RW4" udp refused || return
	sleep 1
	on "$R" ip route del 203.0.113.0/24 dev lan0
	fails grep -q . "$TMP/spoofed"
}
on "$R" sysctl -qw net.ipv4.conf.lan0.rp_filter=0 net.ipv4.conf.all.rp_filter=0
t a_source_that_fails_the_reverse_path_check_is_told_nothing spoofed
silent()
{
	local from
	put_in_force quiet "nat out on \$wan from \$lan.net -> (\$wan) ports 40000-40063 eim icmp off" || return
	from=$(wc -l <"$TMP/told")
	scan udp 10.0.0.3 203.0.113.99 80 500 500 >/dev/null || return
	sleep 0.5
	[ "$(wc -l <"$TMP/told")" = "$from" ] || { tail -n 3 "$TMP/told"; return 1; }
}
t icmp_off_tells_nobody silent
t the_first_ones_still_have_their_ports ask full check "ok: 64 open"
done_with full
ctctl -F 2>/dev/null

# --- port shadowing, CVE-2021-3773: an inside host uses the router's own port
serve_echo "$R" 1194
shadow()
{
	local got
	put_in_force "shadow$1" "nat out on \$wan from \$lan.net -> (\$wan) $2" \
		"pass in on \$wan proto { tcp, udp } to self port 1194" || return
	poll_until 20 at_least 1 "$RW4" udp reserved || return # ctd looks at the sockets every two seconds
	# the attack: make the router's 1194 lead inside for packets from S:7009
	on "$C" /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.0.2", 1194))
s.settimeout(3)
s.sendto(b"attack\n", (sys.argv[1], 7009))
s.sendto(b"attack\n", (sys.argv[1], 7000))
print(s.recv(100).decode().strip())' "$S4" >"$TMP/attack" || { echo "the inside host has no connection at all"; return 1; }
	grep -q "^$RW4 1194 " "$TMP/attack" && { echo "the inside host has got the router's port"; return 1; }
	got=$(echo_from "$S" udp "$RW4" 1194 7009 mine) || { echo "$got"; return 1; }
	[ "$got" = "$S4 7009 mine" ] || { echo "the router's service was not reached: '$got'"; return 1; }
}
t port_shadowing_fails shadow 1 ""
t port_shadowing_fails_with_endpoint_independent_mapping shadow 2 "eim eif"

# --- lost messages lose no port
lost_messages()
{
	put_in_force plain "nat out on \$wan from \$lan.net -> (\$wan) random" || return
	ctctl -F 2>/dev/null
	ctctl events >/dev/null 2>&1 &
	local watcher=$!
	sleep 0.5
	kill -STOP "$CTD_PID"
	on "$C" "$O/tests/lib/connect_rate" "$S4" 7001 10000 3000
	kill -CONT "$CTD_PID"
	kill "$watcher"
	[ "$(counter event_lost)" -gt 0 ] || { echo "the event ring was never full"; return 1; }
	ctctl -F 2>/dev/null
	poll_until 20 at_most 0 "$RW4" tcp used tuples && ctctl check
}
t a_full_event_ring_leaks_no_port lost_messages

# --- limits of a subscriber, with ctd alive and dead
limited()
{
	said "over$1" "ok: 12 open" && said "under$1" "ok: 10 open" || return
	[ "$(counter sub_ports)" -ge "$2" ] || { ctctl stats | grep sub_; return 1; }
}
ctctl -F 2>/dev/null
t limits_load put_in_force limits "nat out on \$wan from \$lan.net -> (\$wan) limit ports 12"
many over1 udp "$S4" 7000 30 10.0.0.2 --wait 2
many under1 udp "$S4" 7000 10 10.0.0.3 --wait 2
t a_subscriber_has_no_more_ports_than_its_limit limited 1 18
done_with over1
done_with under1
ctctl -F 2>/dev/null
kill_ctd 2>/dev/null
many over2 udp "$S4" 7000 30 10.0.0.12 --wait 2
many under2 udp "$S4" 7000 10 10.0.0.13 --wait 2
t and_so_with_ctd_dead limited 2 36
done_with over2
done_with under2
# A stub goes without its count being taken back, as an eviction would do it. ctd begins
# with a pass over all.
lose_stub()
{
	local key
	key=$(bpftool -j map dump pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/ct_stub4_v1" | grep -oE '"key":\[[^]]*\]' | head -n 1 |
		grep -oE '0x[0-9a-f]+' | tr '\n' ' ')
	[ -n "$key" ] || { echo "no stub"; return 1; }
	# shellcheck disable=SC2086 # bytes
	bpftool map delete pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/ct_stub4_v1" key hex ${key//0x/} || return
	ctctl check >"$TMP/check"
	grep -q 'I2 uses of a port differ.*203.0.113.1 port' "$TMP/check" || { cat "$TMP/check"; return 1; }
}
t a_stub_that_is_lost_is_found_by_check lose_stub
# A stub that leads nowhere, as what ends between two map operations leaves it: no record that is
# listed anywhere leads to it.
stub=
mislead_stub()
{
	local pin=/sys/fs/bpf/bpfct/$CTD_INSTANCE/ct_stub4_v1 all value
	all=$(bpftool -j map dump pinned "$pin")
	stub=$(jq -r '.[0].key | map(ltrimstr("0x")) | join(" ")' <<<"$all")
	value=$(jq -r '.[0].value | (.[0:16] | map("ff")) + (.[16:] | map(ltrimstr("0x"))) | join(" ")' <<<"$all")
	# shellcheck disable=SC2086 # bytes
	bpftool map update pinned "$pin" key hex $stub value hex $value exist
}
stub_is_gone()
{
	# shellcheck disable=SC2086 # bytes
	fails bpftool map lookup pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/ct_stub4_v1" key hex $stub
}
mislead_stub || finish
start_ctd "$R" "$TMP/limits.conf"
t ctd_begins_with_a_walk_over_all poll_until 20 stub_is_gone
reconciled()
{
	ctctl -F 2>/dev/null
	poll_until 60 at_most 0 "$RW4" udp tuples && poll_until 20 grep -q event=nat_reconcile "$CTD_LOG" &&
		poll_until 20 ctctl check
}
t the_reconcile_pass_puts_it_right reconciled

# --- deterministic blocks
blocks()
{
	local block out range min max got at port
	put_in_force blocks "nat out on \$wan from 10.0.0.0/27 -> 192.0.2.1-192.0.2.2 ports 10000-59999 block 2000" || return
	block=$(ctctl nat blocks 10.0.0.3) || return
	read -r _ out range <<<"$block"
	min=${range%-*} max=${range#*-}
	[ $((max - min)) = 1999 ] || { echo "block $block"; return 1; }
	got=$(SOURCE=10.0.0.3 echo_from "$C" udp "$S4" 7000) || { echo "$got"; return 1; }
	read -r at port _ <<<"$got"
	if [ "$at" != "$out" ] || [ "$port" -lt "$min" ] || [ "$port" -gt "$max" ]; then
		echo "$at $port, not of $block"
		return 1
	fi
	many block udp "$S4" 7000 50 10.0.0.3
	said block "ok: 50 open" || return
	[ "$(ctctl nat whois "$out" "$min")" = "10.0.0.3 block $range" ] || { ctctl nat whois "$out" "$min"; return 1; }
	[ "$(ctctl nat whois "$out" "$max")" = "10.0.0.3 block $range" ] || return
	fails eval "ctctl -L -s 10.0.0.3 2>/dev/null | grep -v 'dst=$out'" || return
	poll_until 20 grep -q "event=nat_block.*inside=10.0.0.3 address=$out ports=$range state=begin" "$CTD_LOG" || return
	[ "$(grep -c "event=nat_block.*inside=10.0.0.3 .*state=begin" "$CTD_LOG")" = 1 ] || { grep nat_block "$CTD_LOG"; return 1; }
}
t blocks_are_arithmetic_both_ways_and_a_log_line_each blocks
every_block_once()
{
	ctctl nat blocks >"$TMP/blocks"
	[ "$(wc -l <"$TMP/blocks")" = 32 ] && [ "$(awk '{ print $2, $3 }' "$TMP/blocks" | sort -u | wc -l)" = 32 ]
}
t no_two_sources_share_a_block every_block_once

finish
