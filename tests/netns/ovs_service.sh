#!/bin/bash
# beside: yes
# timeout: 200
# Debian's openvswitch-switch with our ovs-vswitchd by `make install-ovs`: its own units' commands start,
# reload and stop it. The package is unpacked over this machine's /usr and /etc, in a mount namespace that goes with the suite.
# The topology is drawn in tests/lib/ovs_two.sh.
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
# shellcheck source=tests/lib/ovs_two.sh
. tests/lib/ovs_two.sh
need ping jq update-alternatives

service_cleanup()
{
	{
		/usr/bin/ovs-appctl --timeout=10 exit --cleanup
		/usr/bin/ovs-appctl --timeout=10 -t ovsdb-server exit
		umount -l /usr /etc /var/lib /var/log "$TMP/over"
	} >/dev/null 2>&1
	cleanup
}
trap service_cleanup EXIT

# The package's own programs and directories, no longer those of a suite
vsctl() { ovs-vsctl --timeout=30 "$@"; }
ofctl() { ovs-ofctl "$@"; }
appctl() { ovs-appctl --timeout=30 "$@"; }

over() # DIR...: what is written there is the suite's alone
{
	local dir
	mkdir -p "$TMP/over" && mount -t tmpfs tmpfs "$TMP/over" || return
	for dir; do
		mkdir -p "$TMP/over$dir/up" "$TMP/over$dir/work" &&
			mount -t overlay overlay -o "lowerdir=$dir,upperdir=$TMP/over$dir/up,workdir=$TMP/over$dir/work" "$dir" || return
	done
}

# As dpkg and the package's postinst would
package_is_installed()
{
	over /usr /etc /var/lib /var/log && cp -a "$DEB/usr/." /usr/ && cp -a "$DEB/etc/." /etc/ &&
		mkdir -p /var/lib/openvswitch /etc/openvswitch && ln -s /var/lib/openvswitch/conf.db /etc/openvswitch/conf.db &&
		update-alternatives --install /usr/sbin/ovs-vswitchd ovs-vswitchd /usr/lib/openvswitch-switch/ovs-vswitchd 100 &&
		[ "$(readlink -f /usr/sbin/ovs-vswitchd)" = /usr/lib/openvswitch-switch/ovs-vswitchd ]
}

ovs_make()
{
	make --no-print-directory O="${O#"$PWD"/}" PREFIX=/usr "$1"
}
ours_is_chosen()
{
	ovs_make install-ovs && cmp /usr/sbin/ovs-vswitchd "$O/ovs/ovs-vswitchd" &&
		cmp /usr/lib/openvswitch-switch/ovs-vswitchd "$DEB/usr/lib/openvswitch-switch/ovs-vswitchd" && ! diff -rq "$DEB/etc" /etc | grep 'differ$'
}
packages_is_chosen_again()
{
	ovs_make uninstall-ovs && [ "$(readlink -f /usr/sbin/ovs-vswitchd)" = /usr/lib/openvswitch-switch/ovs-vswitchd ] && [ ! -e /usr/lib/bpfct ]
}

# unit NAME VERB : a command of a unit, with no other environment than systemd gives it
unit()
{
	local line
	line=$(sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' "$DEB/lib/systemd/system/$1.service" | sed -n "s/^$2=//p")
	[ -n "$line" ] || { echo "$1 has no $2"; return 1; }
	mkdir -p /run/openvswitch || return
	# shellcheck disable=SC2016 # the inner shell's
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/openvswitch \
		sh -c 'set -a; . /etc/default/openvswitch-switch; set +a; eval "$1"' sh "$line"
}

starts()
{
	echo BPFCT_OVS_CONNECTIONS=300000 >>/etc/default/openvswitch-switch
	unit ovsdb-server ExecStart && unit ovs-vswitchd ExecStart && vsctl add-br br0 -- set bridge br0 datapath_type=bpf fail_mode=secure &&
		ovs_port "$A" 10.1.1.1/24 && ovs_port "$B" 10.1.1.2/24 && vsctl add-port br0 vx0 -- set interface vx0 type=vxlan options:remote_ip=192.0.2.9
}
environment_reaches_the_daemon()
{
	[ "$(appctl dpctl/ct-get-maxconns bpf@ovs-bpf)" = 300000 ]
}
passes()
{
	pipeline && nat_answers && ip addr add 10.1.1.100/24 dev br0 && ip link set br0 up && ping_once "$A" 10.1.1.2
}

connection()
{
	"$CTCTL" --instance ovs-bpf -L -p icmp 2>/dev/null | sed 's/ packets=[0-9]* bytes=[0-9]*//g' | grep -o 'src=10.1.1.1 dst=10.1.1.2 .*dst=10.1.1.240 .*id=[0-9]*'
}
same() # WHAT WAS IS
{
	[ "$2" = "$3" ] || { printf '%s was: %s\nis: %s\n' "$@"; return 1; }
}

# nothing_stops COMMAND... : that makes another vswitchd, and nobody notices
nothing_stops()
{
	local pid pinger conn rules
	pid=$(cat /run/openvswitch/ovs-vswitchd.pid) && appctl dpctl/flush-conntrack || return
	nsenter --net="/run/netns/$A" -- ping -qi 0.1 -w 40 -W 2 10.1.1.2 >"$TMP/ping" & # which is to have this number
	pinger=$!
	poll_until 5 connection >/dev/null || return
	conn=$(connection) rules=$(ofctl dump-flows br0 --no-stats | sort)
	"$@" >"$TMP/said" 2>&1 || { cat "$TMP/said"; return 1; }
	sleep 0.5
	kill -INT "$pinger"
	wait "$pinger"
	cat "$TMP/said" "$TMP/ping"
	fails same pid "$pid" "$(cat /run/openvswitch/ovs-vswitchd.pid)" >/dev/null || return
	grep -q ' 0% packet loss' "$TMP/ping" && same connection "$conn" "$(connection)" &&
		same rules "$rules" "$(ofctl dump-flows br0 --no-stats | sort)" && ip -br addr show br0 | grep -q 10.1.1.100 &&
		ip link show vxlan_sys_4789 && appctl dpctl/show bpf@ovs-bpf | grep -q 'vxlan_sys_4789 (vxlan' &&
		same daemon /usr/lib/bpfct/ovs-vswitchd "$(readlink "/proc/$(cat /run/openvswitch/ovs-vswitchd.pid)/exe")"
}

all_restarts()
{
	/usr/share/openvswitch/scripts/ovs-ctl --no-monitor --system-id=random --no-record-hostname restart
}
kmod_reloads()
{
	/usr/share/openvswitch/scripts/ovs-ctl --no-monitor --system-id=random --no-record-hostname force-reload-kmod
}

# A service that is stopped forwards what has a flow; the rules of OpenFlow are the controller's to bring back.
stops_and_starts()
{
	ping_once "$A" 10.1.1.2 && unit ovs-vswitchd ExecStop && ping_once "$A" 10.1.1.2 && unit ovsdb-server ExecStop && unit ovsdb-server ExecStart && unit ovs-vswitchd ExecStart &&
		pipeline && poll_until 10 ping_once "$A" 10.1.1.2 && ip -br addr show br0 | grep -q 10.1.1.100
}

nothing_is_left()
{
	vsctl del-br br0 && unit ovs-vswitchd ExecStop && unit ovsdb-server ExecStop && [ ! -e /sys/fs/bpf/bpfct/ovs-bpf ] && ! ip -br link | grep ovsbpf
}

DEB=$(fetch_closure openvswitch-switch 2>"$TMP/fetch.err") || {
	echo "skip ovs_service: no openvswitch-switch: $(tail -n 1 "$TMP/fetch.err")"
	exit 0
}
ovs_host
unset OVS_RUNDIR OVS_LOGDIR OVS_DBDIR OVS_SYSCONFDIR
t debians_package_is_unpacked package_is_installed
[ $FAILED = 0 ] || finish
t make_install_ovs_chooses_ours ours_is_chosen
t units_start_it starts
[ $FAILED = 0 ] || finish
t default_file_reaches_the_daemon environment_reaches_the_daemon
t nat_pipeline_passes passes
t reload_of_the_unit_stops_nothing nothing_stops unit ovs-vswitchd ExecReload
t restart_of_both_stops_nothing nothing_stops all_restarts
t forced_reload_stops_nothing nothing_stops kmod_reloads
t stopped_service_forwards_and_starts_again stops_and_starts
t nothing_is_left_of_the_datapath nothing_is_left
t make_uninstall_ovs_gives_back_debians packages_is_chosen_again
finish
