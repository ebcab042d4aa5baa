#!/bin/bash
# beside: yes
# Safe to switch on: what is loaded is loaded whole, can be tried for a while, is not
# loaded over the session that it would cut, and is taken out by one command.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh

net_router
conf=$(gateway_config)
{ cat "$conf" && echo 'pass in on wan0 proto tcp to self port 7000'; } | config open >/dev/null
{ sed '/pass in/d' "$conf" && echo 'pass in on lan0 proto udp'; } | config udp >/dev/null
{ cat "$conf" && echo 'forward in on lan0 proto tcp to self port 7000 -> 203.0.113.2'; } | config away >/dev/null
export SSH_CONNECTION= # whoever runs this may have one
start_ctd "$R" "$conf"
serve_echo "$R" 7000
before=/run/bpfct/$CTD_INSTANCE.before

says()
{
	local want=$1 pattern=$2 rc=0
	shift 2
	"$@" >"$TMP/said" 2>&1 || rc=$?
	cat "$TMP/said"
	[ "$rc" = "$want" ] || { echo "exit status $rc, not $want"; return 1; }
	grep -qE -- "$pattern" "$TMP/said" || { echo "does not say $pattern"; return 1; }
}
in_force()
{
	ctctl fw show 2>/dev/null | grep -q "$1"
}
not_in_force()
{
	! in_force "$1"
}

# A wrong file changes nothing, whoever finds out.
kept()
{
	ctctl fw show >"$TMP/was"
	says 1 "$1" ctctl fw load "$2" || return
	ctctl fw show | diff "$TMP/was" -
}
echo 'pass in on lan0 prot tcp' >"$TMP/syntax.conf"
echo 'pass in on nosuch0' >"$TMP/interface.conf"
{ cat "$conf" && echo 'set limit confirmed 4000000'; } >"$TMP/limits.conf"
t check_accepts_a_right_file says 0 'right' on "$R" "$CTCTL" fw check "$conf"
t check_says_where_it_is_wrong says 1 'syntax.conf:1:[0-9]+: .*expected' on "$R" "$CTCTL" fw check "$TMP/syntax.conf"
t wrong_syntax_keeps_the_rules kept 'syntax.conf:1:[0-9]+: ' "$TMP/syntax.conf"
t missing_interface_keeps_the_rules kept 'nosuch0' "$TMP/interface.conf"
t limits_beyond_the_tables_keep_the_rules kept 'configured limits' "$TMP/limits.conf"
replaced()
{
	ctctl fw load "$TMP/open.conf" && in_force 'port 7000'
}
t load_replaces_them replaced
t connection_passes_by_the_new_rules echo_from "$S" tcp "$RW4" 7000
ctctl fw load "$conf" || exit 1

# On trial
t nothing_waits_to_be_confirmed says 1 'no rules wait' ctctl fw confirm
t confirm_takes_seconds says 2 'seconds' ctctl fw load --confirm soon "$TMP/open.conf"
t not_none_of_them says 2 'seconds' ctctl fw load --confirm 0 "$TMP/open.conf"
rolled_back()
{
	says 0 'in force for 2 seconds' ctctl fw load --confirm 2s "$TMP/open.conf" || return
	in_force 'port 7000' && echo_from "$S" tcp "$RW4" 7000 44100 || return
	poll_until 10 not_in_force 'port 7000' || return
	WAIT=1 fails echo_from "$S" tcp "$RW4" 7000 44101 || return
	[ ! -e "$before" ] && grep -q rolled_back "$CTD_LOG"
}
t unconfirmed_rules_go_after_their_time rolled_back
confirmed()
{
	ctctl -j fw load --confirm=2 "$TMP/open.conf" >"$TMP/json" 2>/dev/null || return
	[ "$(jq -c '[.ok, .confirm_s]' "$TMP/json")" = '[true,2]' ] || { cat "$TMP/json"; return 1; }
	[ "$(stat -c %a:%U "$before")" = 600:root ] || return
	ctctl fw confirm || return
	[ ! -e "$before" ] || { echo "$before is left"; return 1; }
	sleep 3
	in_force 'port 7000'
}
t confirmed_rules_stay confirmed
again()
{
	ctctl fw load "$conf" && ctctl fw load --confirm 60 "$TMP/udp.conf" &&
		ctctl fw load --confirm 1 "$TMP/open.conf" || return
	poll_until 10 not_in_force 'port 7000' || return
	in_force 'nat out' && not_in_force 'proto udp'
}
t trial_after_a_trial_goes_back_to_before_both again
for_good()
{
	ctctl fw load --confirm 2 "$TMP/udp.conf" && ctctl fw load "$TMP/open.conf" || return
	sleep 3
	in_force 'port 7000' && [ ! -e "$before" ]
}
t load_for_good_ends_a_trial for_good
failed_trial()
{
	ctctl fw load "$conf" && says 1 'configured limits' ctctl fw load --confirm 60 "$TMP/limits.conf" &&
		[ ! -e "$before" ] && says 1 'no rules wait' ctctl fw confirm
}
t trial_that_fails_is_none failed_trial
# ctd's own file holds the new rules by then, and it does not live to take them back.
ctctl fw load "$conf" || exit 1
stop_ctd
start_ctd "$R" "$conf"
ctctl fw load --confirm 3600 "$TMP/open.conf" 2>/dev/null && in_force 'port 7000' || exit 1
kill_ctd
start_ctd "$R" "$TMP/open.conf"
taken_back()
{
	not_in_force 'port 7000' && WAIT=1 fails echo_from "$S" tcp "$RW4" 7000 44102 || return
	grep -q rolled_back "$CTD_LOG" && [ ! -e "$before" ]
}
t restarted_ctd_takes_them_back taken_back

# The session over which it comes
session()
{
	SSH_CONNECTION="$1" "${@:2}"
}
mkfifo "$TMP/keep"
on "$C" /usr/bin/python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 7000), 5, ("", 44200))
s.send(b"hello\n"); s.recv(100)
print("open", flush=True)
sys.stdin.read()' "$RL4" <"$TMP/keep" >"$TMP/kept" &
PIDS+=($!)
exec {keep}>"$TMP/keep"
poll_until 10 grep -q open "$TMP/kept" || exit 1
t session_that_rules_refuse_is_not_cut session "$C4 44200 $RL4 7000" \
	says 1 'refuse your session.*lan0.*no rule passes.*go on until it ends.*--force' ctctl fw load "$TMP/udp.conf"
t and_the_rules_are_as_they_were not_in_force 'proto udp'
t untracked_session_would_end_at_once session "$C4 44999 $RL4 7000" says 1 'not tracked' ctctl fw load "$TMP/udp.conf"
t session_over_ipv6_likewise session "$C6 44200 $RL6 7000" says 1 'refuse your session' ctctl fw load "$TMP/udp.conf"
t session_that_is_led_elsewhere_likewise session "$C4 44200 $RL4 7000" \
	says 1 'rule [0-9]+ decides' ctctl fw load "$TMP/away.conf"
as_by_sudo()
{
	SSH_CONNECTION="$C4 44200 $RL4 7000" bash -c 'env -u SSH_CONNECTION "$@"; exit $?' bash \
		"$CTCTL" --instance "$CTD_INSTANCE" fw load "$TMP/udp.conf"
}
t session_that_sudo_hides_likewise says 1 'refuse your session' as_by_sudo
t session_that_rules_let_in_is_no_matter session "$C4 44200 $RL4 7000" ctctl fw load "$TMP/open.conf"
t session_of_another_host_is_no_matter session "$C4 44200 192.0.2.7 22" ctctl fw load "$TMP/udp.conf"
ctctl fw load "$conf"
forced()
{
	session "$C4 44200 $RL4 7000" says 0 'warning: .*refuse your session' ctctl fw load --force "$TMP/udp.conf" &&
		in_force 'proto udp'
}
t force_loads_and_warns forced
tried()
{
	ctctl fw load "$conf"
	session "$C4 44200 $RL4 7000" ctctl fw load --force --confirm 1 "$TMP/udp.conf" || return
	poll_until 10 not_in_force 'proto udp'
}
t force_on_trial_comes_back tried
exec {keep}>&-

# Out
t unload_takes_no_arguments says 2 'takes no' ctctl fw unload now
out()
{
	[ -z "$(on "$R" tests/lib/hooks)" ] || { echo "programs are left"; return 1; }
	[ -z "$(on "$R" nft list ruleset)" ] || { echo "the guard is left"; return 1; }
	[ ! -e "/sys/fs/bpf/bpfct/$T" ] && [ ! -e /run/bpfct ]
}
t unload_says_what_it_does says 0 'every interface is open' ctctl fw unload
rc=0
wait "$CTD_PID" || rc=$?
CTD_PID=
t ctd_ends_with_a_status_of_its_own test $rc = 3
t everything_is_taken_out out
t then_the_router_is_a_plain_one echo_from "$S" tcp "$RW4" 7000
t unload_of_nothing_is_no_error says 0 'every interface is open' ctctl fw unload

# All that while a download goes on that began under nft
loads_and_trials()
{
	replaced && kept 'syntax.conf:1:[0-9]+: ' "$TMP/syntax.conf" && ctctl fw load "$conf" && rolled_back
}
serve_http "$S" 80
over_a_move "$conf" "$C" $S4 lan0 loads_and_trials
stop_ctd
unload_ctd "$T" "$R"
finish
