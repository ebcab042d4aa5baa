#!/bin/bash
# alone: yes
# What bpfct and its own tests leave behind: nothing. Links, addresses, qdiscs,
# pins, mounts, nft rules, services, listeners, apt sources, packages, sysctls.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

# The router's namespace as ctd finds it and leaves it.
router_state()
{
	on "$R" sh -c 'ip -o link | sed "s/<.*>//"; tc qdisc show; nft list ruleset; ss -Hlntu; sysctl -a 2>/dev/null | grep ^net |
		grep -vE "conntrack_count|gc_interval|random"'
	for dev in lan0 wan0 lo; do
		on "$R" tests/lib/hooks $dev
	done
	find /sys/fs/bpf -mindepth 1
	find /run -path /run/netns -prune -o -mindepth 1 -print | sort
}
net_router
router_state >"$TMP/before"
start_ctd "$R" "$(gateway_config)"
serve_http "$S" 80
t traffic_flows page "$C" "http://$S4/page"
stop_ctd
stays()
{
	[ -d "/sys/fs/bpf/bpfct/$T" ] && page "$C" "http://$S4/page"
}
t stop_keeps_pins_and_programs stays
t unload_succeeds unload_ctd "$T" "$R"
unloaded()
{
	router_state | diff "$TMP/before" -
}
t unload_leaves_nothing unloaded
no_programs()
{
	! /usr/sbin/bpftool prog show | grep -E 'name (fw_|ct_)' | grep -q . || {
		/usr/sbin/bpftool prog show | grep -E 'name (fw_|ct_)'
		return 1
	}
}
[ -n "${BPFCT_SHARED_HOST:-}" ] || t no_program_is_loaded_any_more poll_until 5 no_programs

# The runner, ended by SIGINT in the middle of a suite.
interrupted()
{
	local pid rc=0 began
	tests/lib/host_state fast >"$TMP/host.before"
	began=$SECONDS
	env -u BPFCT_ISOLATED O="$O" /usr/bin/python3 tests/run netns/forward_masquerade >"$TMP/run" 2>&1 &
	pid=$!
	poll_until 60 grep -q '^ok netns/forward_masquerade' "$TMP/run" || { kill "$pid"; return 1; }
	kill -INT "$pid"
	wait "$pid" || rc=$?
	tail -n 3 "$TMP/run"
	[ "$rc" = 130 ] || { echo "exit status $rc, not 130"; return 1; }
	tail -n 1 "$TMP/run" | grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' || return
	[ $((SECONDS - began)) -lt 60 ] || { echo "took $((SECONDS - began)) s"; return 1; }
	tests/lib/host_state fast | diff "$TMP/host.before" -
}
t interrupted_run_leaves_nothing interrupted
finish
