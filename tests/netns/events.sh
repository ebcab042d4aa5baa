#!/bin/bash
# beside: yes
# Every connection is announced once and ends once (I4): NEW and DESTROY events
# against the counters, with deaths of every kind: expiry, refusal by RST, reopening
# of the same tuple, deletion by ctctl, and a half-open ring that overflows.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

net_router
conf=$(
	config events <<-END
		set default deny
		set limit confirmed 4096
		set limit half-open 1024
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
	END
)
start_ctd "$R" "$conf"
serve_echo "$S" 7000
lan_mac=$(on "$R" ip -o link show lan0 | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2)

"$CTCTL" --instance "$T" -E -e NEW,DESTROY -o id >"$TMP/events" 2>"$TMP/events.err" &
watcher=$!
PIDS+=("$watcher")
# A first connection that is seen says that the subscription stands.
subscribed()
{
	echo_from "$C" udp "$S4" 7000 && grep -q 'dport=7000' "$TMP/events"
}
t events_arrive poll_until 10 subscribed

traffic()
{
	local port
	"$O/tests/lib/connect_rate" "$S4" 7000 300 300 && "$O/tests/lib/connect_rate" "$S6" 7000 300 300 || return
	for port in 21001 21002 21003; do
		"$PY" "$CLIENT" tcp "$S4" 7999 "$port" # refused
		"$PY" "$CLIENT" udp "$S4" 7000 "$port"
	done
	"$O/tests/lib/flood" c0 "$lan_mac" udp 10.0.0.64/26 "$S4" 7009 2500 500
	"$O/tests/lib/flood" c0 "$lan_mac" tcp fd00:1::/122 "$S6" 7009 2500 500
}
export O S4 S6 lan_mac PY=/usr/bin/python3 CLIENT=tests/lib/echo_client.py
export -f traffic
t traffic on "$C" bash -c traffic
reopened()
{
	# the tuple of a connection in TIME_WAIT, again; the port is none that a client is given
	echo_from "$C" tcp "$S4" 7000 21010 && ctctl clock --advance 60 && echo_from "$C" tcp "$S4" 7000 21010
}
deleted()
{
	echo_from "$C" udp "$S4" 7000 21020 && ctctl -D -p udp --sport 21020
}
t deleted_by_ctctl deleted
t same_tuple_again reopened
t all_expire ctctl clock --advance 432010

in_table()
{
	[ "$(ctctl -C 2>/dev/null)" = 0 ]
}
t table_becomes_empty poll_until 20 in_table

# Nothing was destroyed before the first event was asked for.
events()
{
	grep -c "\[$1\]" "$TMP/events"
}
settled()
{
	[ "$(events DESTROY)" = "$(counter destroyed)" ] ||
		{ echo "$(events DESTROY) DESTROY events, $(counter destroyed) destroyed, $(events NEW) NEW, $(counter insert) inserted"; return 1; }
}
t none_was_lost_on_the_way test "$(counter event_lost)" = 0
t destroy_events_are_as_many_as_deaths poll_until 10 settled
kill "$watcher"
wait "$watcher" 2>/dev/null
paired()
{
	local new ends
	new=$(grep '\[NEW\]' "$TMP/events" | grep -oE 'id=[0-9]+$' | sort)
	ends=$(grep '\[DESTROY\]' "$TMP/events" | grep -oE 'id=[0-9]+$' | sort)
	[ "$(wc -l <<<"$ends")" -gt 3000 ] || { echo "only $(wc -l <<<"$ends") connections ended"; return 1; }
	[ -z "$(uniq -d <<<"$ends")" ] || { echo "ended twice: $(uniq -d <<<"$ends" | head -n 3 | xargs)"; return 1; }
	# what was there before the first event is only in DESTROY
	[ "$(comm -23 <(echo "$new") <(echo "$ends") | wc -l)" = 0 ] || { echo "announced, never ended"; return 1; }
	[ "$(comm -13 <(echo "$new") <(echo "$ends") | wc -l)" -le 3 ] || { echo "ended, never announced"; return 1; }
}
t each_ends_once_and_was_announced paired
balance()
{
	local name
	for name in "confirmed IPv4" "confirmed IPv6" "half-open IPv4" "half-open IPv6"; do
		ctctl stats | awk -v n="$name" '$1 " " $2 == n && $3 != 0 { print; bad = 1 } END { exit bad }' || return
	done
}
t counts_are_back_at_zero balance
t table_is_consistent ctctl check
finish
