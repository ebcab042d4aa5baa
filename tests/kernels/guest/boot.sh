#!/bin/bash
# boot.sh network|test : in the guest of tests/long/boot, as its network configuration and as its test.
set -u
RUN=/run/boot-test

# Is there a guard, and does it close everything but what it should not?
guard()
{
	nft list table inet bpfct_guard_default
}

if [ "${1:-}" = network ]; then
	mkdir -p $RUN
	guard >$RUN/guard 2>&1
	systemctl show -p ActiveState,SubState bpfct >$RUN/state
	sleep 2 # a network that takes its time: ctd fails meanwhile and is tried again
	ip link add lan0 type veth peer name lan0p
	ip link add wan0 type veth peer name wan0p
	ip addr add 10.0.0.1/24 dev lan0
	ip addr add 203.0.113.1/24 dev wan0
	for dev in lan0 lan0p wan0 wan0p; do
		ip link set $dev up
	done
	exit
fi

t()
{
	local name=$1 out rc=0
	shift
	out=$("$@" 2>&1) || rc=$?
	if [ $rc = 0 ]; then
		echo "ok $name"
	else
		echo "FAIL $name: $(tail -n 1 <<<"$out") (status $rc)"
		tail -n 20 <<<"$out" | sed 's/^/  /'
	fi
}
poll()
{
	local end=$((SECONDS + $1)) out
	shift
	until out=$("$@" 2>&1); do
		[ $SECONDS -lt $end ] || { echo "$out"; echo "never: $*"; return 1; }
		sleep 1
	done
}
property()
{
	systemctl show -P "$1" bpfct
}
guard_before()
{
	cat $RUN/guard
	grep -q 'iif != @open' $RUN/guard && ! grep -qE 'lan0|wan0' $RUN/guard
}
# It has not waited for ctd, whose interfaces were not there.
tried_again()
{
	journalctl -u bpfct -o cat --no-pager >$RUN/journal
	cat $RUN/journal $RUN/state
	grep -qE 'lan0|wan0' $RUN/journal && [ "$(property NRestarts)" -ge 1 ]
}
running()
{
	[ "$(property ActiveState)" = active ] && [ "$(property MainPID)" != "${1:-0}" ] && ctctl -C >/dev/null
}
runs()
{
	poll 900 running "$@" && return
	journalctl -u bpfct -o cat --no-pager | tail -n 15
	systemctl status bpfct --no-pager
	return 1
}
opened()
{
	guard | grep '"wan0"'
}
killed()
{
	local pid
	pid=$(property MainPID)
	kill -9 "$pid" && opened && runs "$pid"
}
stops_answering()
{
	local pid
	pid=$(property MainPID)
	kill -STOP "$pid" && runs "$pid" && journalctl -u bpfct -o cat --no-pager | grep -i watchdog
}
shows_ssh()
{
	ctctl fw show | grep 'port 22'
}
reloaded()
{
	sed -i 's/^set default deny/&\npass in on wan0 proto tcp to self port 22/' /etc/bpfct/ctd.conf
	systemctl reload bpfct && poll 60 shows_ssh
}
stopped()
{
	systemctl stop bpfct && opened && [ -d /sys/fs/bpf/bpfct/default ] && ctctl -L >/dev/null
}
adopted()
{
	systemctl start bpfct && runs && journalctl -u bpfct -o cat --no-pager | grep ready | tail -n 1 | grep 'adopted=yes'
}
inactive()
{
	[ "$(property ActiveState)" = inactive ]
}
unloaded()
{
	ctctl fw unload && poll 60 inactive && sleep 3 && inactive && ! guard 2>/dev/null && [ ! -e /sys/fs/bpf/bpfct/default ]
}
socket_is_the_groups()
{
	[ "$(stat -c '%a %G' /run/bpfct/default.sock)" = '660 bpfct' ]
}

t the_guard_was_there_before_the_network guard_before
t ctd_runs_when_the_network_has_made_its_interfaces runs
t ctd_was_tried_again_meanwhile tried_again
t group_bpfct_exists getent group bpfct
t socket_is_the_groups socket_is_the_groups
t our_interfaces_are_open opened
t reload_takes_the_file_anew reloaded
t killed_and_started_again_with_the_guard_in_place killed
t the_watchdog_starts_a_ctd_again_that_hangs stops_answering
t stop_leaves_programs_and_pins stopped
t start_adopts_them adopted
t unload_ends_ctd_and_systemd_leaves_it_so unloaded
echo "boot done"
