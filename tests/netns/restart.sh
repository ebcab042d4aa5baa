#!/bin/bash
# ctd is not on the packets' way (I6): killed in the middle of a transfer, the
# transfer goes on and new connections begin; the next ctd adopts what is pinned.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need curl

net_router
conf=$(gateway_config)
start_ctd "$R" "$conf"
serve_http "$S" 80
serve_echo "$S" 7000

# download ADDRESS PORT SPEED : in the background
download()
{
	rm -f "$TMP/status.$2"
	{
		on "$C" curl -sS --local-port "$2" --limit-rate "$3" --max-time 60 -o "$TMP/got.$2" "http://$1/large" 2>"$TMP/curl.$2"
		echo $? >"$TMP/status.$2"
	} &
}
whole()
{
	poll_until 60 test -s "$TMP/status.$1" || return
	[ "$(cat "$TMP/status.$1")" = 0 ] || { cat "$TMP/curl.$1"; return 1; }
	cmp "$TMP/got.$1" "$TMP/www/large"
}
# bytes of the reply direction, by source port
bytes()
{
	ctctl -L "${@:2}" -p tcp --sport "$1" 2>/dev/null | sed -nE 's/.*bytes=[0-9]+.*bytes=([0-9]+).*/\1/p'
}
start_time()
{
	ctctl flow list -j 2>/dev/null | jq -r --argjson p "$1" '.. | objects | select(.sport? == $p) | .start? // empty' | head -n 1
}

download "$S4" 43001 4M
download "[$S6]" 43002 4M
poll_until 5 test -s "$TMP/got.43001"
sleep 1
before=$(bytes 43001)
kill_ctd
t table_is_readable_with_ctd_dead test "$(bytes 43001)" -ge "${before:-1}"
t new_connection_with_ctd_dead_v4 page "$C" "http://$S4/page"
t new_connection_with_ctd_dead_v6 page "$C" "http://[$S6]/page"
t new_udp_flow_with_ctd_dead echo_from "$C" udp "$S4" 7000 43003
t router_itself_with_ctd_dead page "$R" "http://$S4/page"
# The server may be far ahead of curl, then nothing moves for seconds.
more_bytes()
{
	[ "$(bytes 43001)" -gt "${before:-0}" ]
}
t counters_go_on_with_ctd_dead poll_until 10 more_bytes
during=$(bytes 43001)
start_ctd "$R" "$conf"
after=$(bytes 43001)
t restart_adopts_and_keeps_counters test "${after:-0}" -ge "${during:-1}"
t entry_of_the_dead_time_is_there test -n "$(ctctl -L -p udp --sport 43003 2>/dev/null)"
t new_connection_after_restart_v4 page "$C" "http://$S4/page"
t new_connection_after_restart_v6 page "$C" "http://[$S6]/page"
t transfer_survives_v4 whole 43001
t transfer_survives_v6 whole 43002
all_bytes()
{
	local n
	n=$(bytes 43001)
	[ "${n:-0}" -ge 20000000 ] || { echo "$n bytes counted of more than 20000000"; return 1; }
}
t no_counter_lost all_bytes

# An orderly stop is no different.
download "$S4" 43011 4M
poll_until 5 test -s "$TMP/got.43011"
stop_ctd
t new_connection_with_ctd_stopped page "$C" "http://$S4/page"
start_ctd "$R" "$conf"
t transfer_survives_an_orderly_restart whole 43011

# Five kills in a row, with new connections in between.
again_and_again()
{
	local _
	for _ in 1 2 3 4 5; do
		kill_ctd
		page "$C" "http://$S4/page" || return
		start_ctd "$R" "$conf"
		page "$C" "http://[$S6]/page" || return
	done
	ctctl check
}
t five_kills_in_a_row again_and_again
# The cases above run in a subshell: the ctd of this shell is gone, its successor is pinned.
CTD_PID=
programs()
{
	local n
	n=$(on "$R" tests/lib/hooks wan0 | grep -c 'ingress.*fw_')
	[ "$n" = 1 ] || { on "$R" tests/lib/hooks wan0; echo "$n programs on wan0 ingress"; return 1; }
}
t one_program_a_hook_after_all programs
finish
