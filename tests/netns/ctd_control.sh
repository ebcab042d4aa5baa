#!/bin/bash
# beside: yes
# ctd's socket, its reactions to the machine, and what it may do once it runs.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

net_router
conf=$(gateway_config)
# What systemd would be told, line by line; at READY also what was on lan0 by then
/usr/bin/python3 tests/lib/notified.py "$TMP/notify.sock" nsenter --net="/run/netns/$R" -- tests/lib/hooks lan0 >"$TMP/notified" &
PIDS+=($!)
poll_until 5 test -S "$TMP/notify.sock"
export NOTIFY_SOCKET=$TMP/notify.sock
start_ctd "$R" "$conf"
unset NOTIFY_SOCKET
sock=/run/bpfct/$CTD_INSTANCE.sock

# ask MESSAGE... : the answers, a line each; @N is a message of N bytes
ask()
{
	/usr/bin/python3 - "$sock" "$@" <<-'EOF'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.settimeout(5)
		s.connect(sys.argv[1])
		for m in sys.argv[2:]:
		    s.send(b" " * int(m[1:]) if m[0] == "@" else m.encode())
		    print(s.recv(1 << 20).decode())
	EOF
}
# answers PATTERN MESSAGE...
answers()
{
	local pattern=$1 out
	shift
	out=$(ask "$@") || return
	grep -qE -- "$pattern" <<<"$out" || { echo "$out"; return 1; }
}

notified()
{
	grep -q "$1" "$TMP/notified" || { cat "$TMP/notified"; return 1; }
}
t systemd_is_told_ready poll_until 5 notified '^READY=1 STATUS=2 interfaces'
t ready_means_attached_inwards poll_until 5 notified '^| lan0 ingress '
t ready_means_attached_outwards poll_until 5 notified '^| lan0 egress '
t systemds_watchdog_is_fed poll_until 10 notified '^WATCHDOG=1$'
t ping_is_answered answers '"ok":true,"pid":' '{"op":"ping"}'
t socket_is_0660 test "$(stat -c %a "$sock")" = 660
t status_names_the_interfaces test "$(status '.interfaces | sort | join(" ")')" = "lan0 wan0"
t what_is_not_json_is_refused answers '"ok":false,"error":"request is not JSON"' '{"op":"ping"'
t trailing_bytes_are_refused answers 'not JSON' '{"op":"ping"}x'
t deep_nesting_is_refused answers 'not JSON' '[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]'
t unknown_operation_is_refused answers 'unknown op, expected' '{"op":"flush"}'
t request_of_the_wrong_type_is_refused answers 'a request is' '["op"]'
t longest_request_is_read answers 'not JSON' @65536
t longer_request_is_refused_and_the_next_answered answers 'longer than 65536.*' @65537 '{"op":"ping"}'

broken_load()
{
	answers 'rules:1:[0-9]+: .*expected' '{"op":"load","text":"pass on in\n"}' &&
		answers 'nat out on' '{"op":"show"}'
}
t broken_load_leaves_the_rules broken_load
good_load()
{
	jq -Rs '{op:"load",text:(. + "block in on lan0 proto udp port 9\n")}' "$conf" >"$TMP/load"
	answers '"ok":true' "$(cat "$TMP/load")" && answers 'port 9' '{"op":"show"}'
}
t load_replaces_the_rules good_load
reload()
{
	kill -HUP "$CTD_PID"
	poll_until 5 eval '! answers "port 9" "{\"op\":\"show\"}" >/dev/null'
}
t sighup_reads_the_file_again reload
t limit_beyond_the_maps_is_refused answers 'configured limits need' \
	'{"op":"load","text":"set limit confirmed 4000000\n"}'

# A peer that is neither root nor ctd's user: the socket's mode says whether it may look.
chmod 666 "$sock"
as_nobody()
{
	/usr/bin/python3 - "$sock" "$1" <<-'EOF'
		import os, socket, sys
		os.setgroups([]); os.setgid(65534); os.setuid(65534)
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.settimeout(5)
		s.connect(sys.argv[1])
		s.send(sys.argv[2].encode())
		print(s.recv(1 << 20).decode())
	EOF
}
t another_user_may_look eval "as_nobody '{\"op\":\"status\"}' | grep -q '\"ok\":true'"
t another_user_may_not_load eval "as_nobody '{\"op\":\"load\",\"text\":\"set default pass\"}' | grep -q 'only root'"

# 64 clients, the 65th is turned away, the first still served.
many()
{
	/usr/bin/python3 - "$sock" <<-'EOF'
		import socket, sys
		def conn():
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.settimeout(5)
		    s.connect(sys.argv[1])
		    return s
		all = [conn() for _ in range(64)]
		for s in all:
		    s.send(b'{"op":"ping"}')
		    assert b'"ok":true' in s.recv(4096)
		last = conn()
		try:
		    last.send(b'{"op":"ping"}')
		    assert last.recv(4096) == b"", "65th client was served"
		except (ConnectionResetError, BrokenPipeError):
		    pass
		all[0].send(b'{"op":"ping"}')
		assert b'"ok":true' in all[0].recv(4096)
	EOF
}
t clients_are_limited many

# Events: nobody asks, nobody pays; a subscriber gets struct ct_flow (216 bytes).
event_mask()
{
	/usr/sbin/bpftool map dump pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/ct_settings_v1" -j |
		jq '.[0] | (.formatted.value // .value).event_mask'
}
no_events()
{
	[ "$(event_mask)" = 0 ]
}
t no_subscriber_no_events no_events
events()
{
	/usr/bin/python3 - "$sock" >"$TMP/events" <<-'EOF' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.settimeout(5)
		s.connect(sys.argv[1])
		s.send(b'{"op":"events","mask":1}')
		print(s.recv(4096).decode(), flush=True)
		e = s.recv(4096)
		print("event", len(e), "family", e[0], "type", e[1], flush=True)
	EOF
	local pid=$!
	poll_until 5 grep -q '"ok":true' "$TMP/events" || return
	[ "$(event_mask)" = 1 ] || { echo "event mask $(event_mask)"; return 1; }
	on "$C" ping -qc 1 "$S4" >/dev/null
	if ! wait "$pid" || ! grep -q 'event 216 family 4 type 0' "$TMP/events"; then
		cat "$TMP/events"
		return 1
	fi
	poll_until 5 no_events
}
t subscriber_gets_flows events

# The machine changes.
epoch()
{
	status .route_epoch
}
route_changes()
{
	local before
	before=$(epoch)
	on "$R" ip route add 198.51.100.0/24 via "$S4"
	poll_until 5 eval "[ \$(epoch) -gt $before ]"
}
t route_change_is_a_new_epoch route_changes
neighbour_moves()
{
	local before
	on "$R" ip neigh replace "$C4" lladdr 02:00:00:00:00:01 dev lan0
	sleep 0.2
	before=$(epoch)
	on "$R" ip neigh replace "$C4" lladdr 02:00:00:00:00:02 dev lan0
	poll_until 5 eval "[ \$(epoch) -gt $before ]" || return
	before=$(epoch)
	on "$R" ip neigh replace "$C4" lladdr 02:00:00:00:00:02 dev lan0 nud stale
	sleep 0.3
	[ "$(epoch)" = "$before" ] || { echo "a neighbour that stayed where it is made an epoch"; return 1; }
	on "$R" ip neigh del "$C4" dev lan0
}
t neighbour_that_moves_is_a_new_epoch neighbour_moves
attached()
{
	on "$R" tests/lib/hooks "$1" 2>/dev/null | grep -qE "ingress .* $2\$"
}
new_interface()
{
	on "$R" ip link add late0 type veth peer name late1
	poll_until 5 attached late0 fw_ingress
}
t interface_that_appears_is_attached new_interface
new_tun()
{
	on "$R" ip tuntap add late2 mode tun
	poll_until 20 attached late2 fw_ingress_l3
}
t interface_without_a_link_header_gets_its_own_programs new_tun
only_two()
{
	[ "$(status .interfaces[] | sort | xargs)" = "lan0 wan0" ]
}
interface_goes()
{
	on "$R" ip link del late0 && on "$R" ip tuntap del late2 mode tun && poll_until 5 only_two
}
t interface_that_goes_is_forgotten interface_goes

heartbeat()
{
	/usr/sbin/bpftool map dump pinned "/sys/fs/bpf/bpfct/$CTD_INSTANCE/ct_settings_v1" -j |
		jq '.[0] | (.formatted.value // .value).heartbeat'
}
beats()
{
	local before
	before=$(heartbeat)
	poll_until 3 eval "[ \$(heartbeat) -gt $before ]"
}
t heart_beats beats

# CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_PERFMON 38, CAP_BPF 39
t keeps_four_capabilities grep -qE 'CapEff:.*000000c000003000' "/proc/$CTD_PID/status"
t bounding_set_is_empty grep -q 'CapBnd:.*0000000000000000' "/proc/$CTD_PID/status"
t no_new_privileges grep -qE 'NoNewPrivs:.*1' "/proc/$CTD_PID/status"
t system_calls_are_filtered grep -qE 'Seccomp:.*2' "/proc/$CTD_PID/status"
stop_ctd
t systemd_is_told_stopping poll_until 5 notified '^STOPPING=1$'
t socket_is_gone_when_ctd_ends test ! -e "$sock"

# What the adopted maps cannot hold
raised()
{
	local rc=0
	{ cat "$conf" && echo "set limit $1"; } >"$TMP/raised.conf"
	"$CTD" -f "$TMP/raised.conf" --instance "$CTD_INSTANCE" --netns "$R" >"$TMP/raised" 2>&1 || rc=$?
	cat "$TMP/raised"
	[ "$rc" = 1 ] && [ "$(wc -l <"$TMP/raised")" = 1 ] && grep -q 'unload first' "$TMP/raised"
}
t restart_with_more_connections_than_the_maps_hold_is_refused raised "confirmed 4000000"
t restart_with_other_half_open_rings_is_refused raised "half-open 1024"
elsewhere()
{
	local out
	echo 'set default pass' >"$TMP/empty.conf"
	out=$("$CTD" -f "$TMP/empty.conf" --instance "$CTD_INSTANCE" --netns "$C" 2>&1) && return 1
	[ "$out" = "ctd: instance '$CTD_INSTANCE' belongs to network namespace '$R' (ctd --unload first)" ] ||
		{ echo "$out"; return 1; }
}
t instance_of_another_namespace_is_refused elsewhere
finish
