#!/bin/bash
# Time-outs by moving the instance's clock, never by sleeping: an entry lives a
# second before its time is over, and is gone a second after it.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need conntrack

net_router
start_ctd "$R" "$(gateway_config)"
serve_echo "$S" 7000

# entry PATTERN... : `ctctl -L` of that protocol shows a line with all of them
entry()
{
	local lines
	lines=$(ctctl -L "${FAMILY[@]}" 2>/dev/null) || return
	for pattern; do
		lines=$(grep -- "$pattern" <<<"$lines") || return
	done
}
FAMILY=()

advance()
{
	ctctl clock --advance "$1"
}

# lives_for SECONDS PATTERN... : from now, as nothing moves meanwhile
lives_for()
{
	local secs=$1
	shift
	entry "$@" || { echo "no entry at first: $*"; ctctl -L "${FAMILY[@]}"; return 1; }
	advance $((secs - 3)) || return
	entry "$@" || { echo "gone 3 s before its time of $secs s"; return 1; }
	advance 4 || return
	fails entry "$@" || { echo "still there after $secs s"; return 1; }
}

udp_unreplied()
{
	echo_from "$C" udp "$1" 7000 "$2" quiet && lives_for 30 "sport=$2" UNREPLIED
}
udp_replied()
{
	echo_from "$C" udp "$1" 7000 "$2" && lives_for 30 "sport=$2"
}
# netfilter: a stream is two-way and older than two seconds
udp_stream()
{
	echo_from "$C" udp "$1" 7000 "$2" && advance 3 && echo_from "$C" udp "$1" 7000 "$2" &&
		echo_from "$C" udp "$1" 7000 "$2" && lives_for 120 "sport=$2" ASSURED
}
icmp()
{
	on "$C" ping -c 1 -W 2 "$1" && lives_for 30 "$2"
}

hold_open()
{
	# not by on(): a kill must reach python itself
	nsenter --net="/run/netns/$C" -- /usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.bind(("", int(sys.argv[2])))
s.connect((sys.argv[1], 7000))
s.send(b"x\n"); s.recv(100)
print("open", flush=True)
time.sleep(60)' "$1" "$2" >"$TMP/open" &
	HELD=$!
	poll_until 5 grep -q open "$TMP/open"
}
tcp_established()
{
	hold_open "$1" "$2" || return
	sleep 0.2 # the last acknowledgement
	lives_for 432000 "sport=$2" ESTABLISHED ASSURED
	local rc=$?
	kill "$HELD"
	return "$rc"
}
# The client closes first: TIME_WAIT
tcp_closed()
{
	echo_from "$C" tcp "$1" 7000 "$2" && poll_until 3 entry "sport=$2" TIME_WAIT && lives_for 120 "sport=$2" TIME_WAIT
}
# A port without a server answers RST: netfilter forgets the connection at once.
tcp_refused()
{
	fails echo_from "$C" tcp "$1" 7999 "$2" && fails entry "sport=$2"
}
# Established, then RST: CLOSE, 10 s
tcp_reset()
{
	on "$C" /usr/bin/python3 -c '
import socket, struct, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.bind(("", int(sys.argv[2])))
s.connect((sys.argv[1], 7000))
s.send(b"x\n"); s.recv(100)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))' "$1" "$2" &&
		poll_until 3 entry "sport=$2" CLOSE && lives_for 10 "sport=$2" CLOSE
}

t udp_unreplied_30s udp_unreplied $S4 41001
t udp_replied_30s udp_replied $S4 41002
t udp_stream_120s udp_stream $S4 41003
t icmp_30s icmp $S4 icmp
t tcp_established_5_days tcp_established $S4 41004
t tcp_time_wait_120s tcp_closed $S4 41005
t tcp_close_10s tcp_reset $S4 41006
t tcp_refused_is_forgotten tcp_refused $S4 41016
FAMILY=(-f ipv6)
t udp_unreplied_v6_30s udp_unreplied $S6 41101
t udp_replied_v6_30s udp_replied $S6 41102
t udp_stream_v6_120s udp_stream $S6 41103
t icmpv6_30s icmp $S6 icmpv6
t tcp_established_v6_5_days tcp_established $S6 41104
t tcp_time_wait_v6_120s tcp_closed $S6 41105
t tcp_close_v6_10s tcp_reset $S6 41106
t tcp_refused_is_forgotten_v6 tcp_refused $S6 41116
FAMILY=()

# The event of a death comes once, with the final counters.
destroy_event()
{
	local pid rc=0
	ctctl -E -e DESTROY -p udp >"$TMP/events" 2>"$TMP/events.err" &
	pid=$!
	sleep 0.5
	echo_from "$C" udp "$S4" 7000 41007 && advance 31 &&
		poll_until 10 grep -q "sport=41007" "$TMP/events" || rc=1
	sleep 1
	kill "$pid"
	[ "$(grep -c "sport=41007" "$TMP/events")" = 1 ] || rc=1
	grep "sport=41007" "$TMP/events" | grep -q "DESTROY.*packets=1 .*packets=1 " || rc=1
	[ "$rc" = 0 ] || cat "$TMP/events" "$TMP/events.err"
	return "$rc"
}
t expiry_is_one_destroy_event destroy_event

# A dead binding admits nobody from outside.
dead_binding()
{
	local got
	on "$S" ip route add 10.0.0.0/24 via "$RW4"
	got=$(echo_from "$C" udp "$S4" 7000 41008) || return
	# shellcheck disable=SC2086 # address, port, text
	set -- $got
	advance 31
	fails entry "sport=41008" || return
	on "$S" /usr/bin/python3 - "$1" "$2" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		s.bind(("", 7001))
		s.sendto(b"late\n", (sys.argv[1], int(sys.argv[2])))
	END
	sleep 0.2
	fails entry "sport=7001"
}
t nothing_comes_in_through_a_dead_binding dead_binding

# Changed while running.
changed()
{
	local conf
	conf=$(gateway_config)
	echo "set timeout udp 7" >>"$conf"
	ctctl fw load "$conf" || return
	echo_from "$C" udp "$S4" 7000 41009 && lives_for 7 "sport=41009"
}
t time_out_changes_by_reload changed
finish
