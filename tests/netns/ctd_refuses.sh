#!/bin/bash
# beside: yes
# What ctd refuses: one clear line, exit status 1 (2 for usage), nothing changed.
#
#   router (lan0, wan0), nobody behind it
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

net_router
good=$(gateway_config)

state()
{
	find /sys/fs/bpf -mindepth 1 2>/dev/null | sort
	find /run -path /run/netns -prune -o -mindepth 1 -print | sort
	on "$R" tc qdisc show
	for dev in lan0 wan0; do
		on "$R" tests/lib/hooks $dev
	done
}
state >"$TMP/clean"

# refuses STATUS PATTERN COMMAND...
refuses()
{
	local want=$1 pattern=$2 rc=0
	shift 2
	state >"$TMP/before"
	timeout 10 "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || rc=$?
	cat "$TMP/out" "$TMP/err"
	[ "$rc" = "$want" ] || { echo "exit status $rc, not $want"; return 1; }
	[ "$want" = 2 ] || [ "$(cat "$TMP/out" "$TMP/err" | wc -l)" = 1 ] || { echo "not one line"; return 1; }
	grep -qiE -- "$pattern" "$TMP/out" "$TMP/err" || { echo "does not say $pattern"; return 1; }
	state | diff "$TMP/before" - || { echo "something was changed"; return 1; }
}
run_ctd=("$CTD" --instance "$T" --netns "$R")

echo 'pass in on lan0 proto tcp prot 80' >"$TMP/broken.conf"
printf 'set default deny\nnat out on nosuch0 from 10.0.0.0/24 -> (nosuch0)\n' >"$TMP/interface.conf"
t usage_is_status_2 refuses 2 'usage|option' "$CTD" --no-such-option
t unreadable_config refuses 1 'nofile.conf' "${run_ctd[@]}" -f "$TMP/nofile.conf"
t config_is_a_directory refuses 1 "$TMP" "${run_ctd[@]}" -f "$TMP"
t broken_config_says_where refuses 1 'broken.conf:1:[0-9]+: .*expected' "${run_ctd[@]}" -f "$TMP/broken.conf"
t missing_interface refuses 1 'nosuch0' "${run_ctd[@]}" -f "$TMP/interface.conf"
t missing_namespace refuses 1 "$T-none" "$CTD" --instance "$T" --netns "$T-none" -f "$good"
t instance_name_with_a_slash refuses 2 'instance' "$CTD" --instance ../x --netns "$R" -f "$good"
t no_privilege refuses 1 'permitted|privilege|root|CAP' setpriv --reuid 65534 --clear-groups \
	"$CTD" --instance "$T" -f /dev/null
t check_accepts_a_good_file "$CTD" --check -f "$good" --netns "$R"
t check_refuses_a_broken_file refuses 1 'broken.conf:1:[0-9]+' "$CTD" --check -f "$TMP/broken.conf"

# Killed while it loads: what it leaves is a lock file with nothing in it, no obstacle.
killed_while_loading()
{
	local lock=/run/bpfct/$T.lock pid
	"${run_ctd[@]}" -f "$good" >"$TMP/killed" 2>&1 &
	pid=$!
	poll_until 10 test -e "$lock"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	if [ ! -e "$lock" ] || [ -s "$lock" ]; then
		ls -l "$lock"
		cat "$TMP/killed"
		return 1
	fi
}
t killed_while_loading_it_leaves_an_empty_lock killed_while_loading
start_ctd "$R" "$good"
t and_the_next_one_starts ctctl -C
t second_ctd_on_one_instance refuses 1 'already|running|in use|another' "${run_ctd[@]}" -f "$good"
t first_is_unharmed ctctl -C
stop_ctd

# A map of another layout under our name: stubs were of 24 bytes once, and in LRU maps (type 9).
layout()
{
	local pin=/sys/fs/bpf/bpfct/$T/ct_stub4_v1
	rm -f "$pin"
	/usr/sbin/bpftool map create "$pin" type "$1" key 16 value "$2" entries 4096 name ct_stub4_v1 || return
	refuses 1 "ct_stub4_v1: wrong map layout: $3" "${run_ctd[@]}" -f "$good"
}
t wrong_map_layout layout hash 24 'value size is 24, must be 32'
t map_of_another_type layout lru_hash 32 'type is 9, must be 1'
t unload_clears_even_that unload_ctd "$T" "$R"
gone()
{
	state | diff "$TMP/clean" -
}
t nothing_is_left gone

foreign()
{
	mkdir -p "/sys/fs/bpf/bpfct/$T-theirs"
	chown 65534 "/sys/fs/bpf/bpfct/$T-theirs"
	refuses 1 'own|mode|not ours|permi' "$CTD" --instance "$T-theirs" --netns "$R" -f "$good"
	local rc=$?
	rmdir "/sys/fs/bpf/bpfct/$T-theirs"
	return "$rc"
}
t pin_directory_of_another_user foreign

# Without a bpffs: mounted if that is possible, or one line.
no_bpffs()
{
	umount /sys/fs/bpf || return
	start_ctd "$R" "$good"
	stop_ctd
	local mode
	mode=$(stat -c %a /sys/fs/bpf)
	"$CTD" --unload --instance "$T" --netns "$R" || return
	[ "$mode" = 700 ] || { echo "mounted with mode $mode"; return 1; }
}
t missing_bpffs_is_mounted_0700 no_bpffs
umount /sys/fs/bpf
t missing_bpffs_that_cannot_be_mounted refuses 1 'no bpffs at /sys/fs/bpf' nsenter --net="/run/netns/$R" \
	setpriv --bounding-set -sys_admin "$CTD" --instance "$T" -f "$good"
mount -t bpf -o mode=700 bpf /sys/fs/bpf
finish
