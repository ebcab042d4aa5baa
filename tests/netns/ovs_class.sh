#!/bin/bash
# beside: yes
# timeout: 300
# What Open vSwitch (lib/dpif-provider.h) and a machine with other programs on it demand of the class:
# one process an instance, pins of another layout left alone, news of ports, ports that are slow.
# The topology is drawn in tests/lib/ovs_two.sh.
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
# shellcheck source=tests/lib/ovs_two.sh
. tests/lib/ovs_two.sh
need ping jq bpftool

PINS=/sys/fs/bpf/bpfct/ovs-bpf
said()
{
	grep -q "$1" "$OVS_DIR/vswitchd.log"
}
vswitchd_has() # DESCRIPTOR FILE
{
	[ "$(readlink "/proc/$(cat "$OVS_DIR/ovs-vswitchd.pid")/fd/$1")" = "$2" ]
}
execute_device()
{
	cat /sys/class/net/ovsbpfx0/ifindex
}

# Flows that send copies need the execute device, with vswitchd or without.
copies_pass()
{
	ofctl add-flow br0 'priority=9,in_port=1,actions=2,local' && ping_once "$A" 10.1.1.2
}

a_second_vswitchd_is_refused()
{
	# shellcheck disable=SC2030,SC2031 # in its shell alone
	(
		OVS_DIR=$TMP/second
		export OVS_RUNDIR=$OVS_DIR OVS_LOGDIR=$OVS_DIR OVS_DBDIR=$OVS_DIR OVS_SYSCONFDIR=$OVS_DIR
		mkdir "$OVS_DIR" && ovs_start || exit
		vsctl --no-wait add-br br9 -- set bridge br9 datapath_type=bpf
		poll_until 5 said "is another's already (pid $1)"
		rc=$?
		ovs_stop
		exit "$rc"
	) && ping_once "$A" 10.1.1.2
}
ctd_is_refused()
{
	echo "set default pass" >"$TMP/ctd.conf"
	fails "$CTD" -f "$TMP/ctd.conf" --instance ovs-bpf >"$TMP/ctd.err" 2>&1
	grep "is another's already" "$TMP/ctd.err" || { cat "$TMP/ctd.err"; return 1; }
}

# What half an instance has is neither taken over nor taken away, and no descriptor is closed that was never opened.
half_an_instance_is_left_alone()
{
	local device
	ping_once "$A" 10.1.1.2 && device=$(execute_device) && ovs_end && mv "$PINS/ct_zone_v1" "$PINS/+away" && ovs_vswitchd &&
		poll_until 10 said 'ct_zone_v1: wrong map layout' || return
	ping_once "$A" 10.1.1.2 && [ "$(execute_device)" = "$device" ] && vswitchd_has 0 /dev/null || return
	ovs_end && mv "$PINS/+away" "$PINS/ct_zone_v1" && ovs_vswitchd && ping_once "$A" 10.1.1.2
}

# ovs_config.abi_version, the first word; of the datapath's own maps, which are there when this is read.
version_is()
{
	local rest
	rest=$(bpftool -j map lookup pinned "$PINS/ovs_config_v1" key 0 0 0 0 | jq -r '.value[1:][]') || return
	# shellcheck disable=SC2086 # words
	bpftool map update pinned "$PINS/ovs_config_v1" key 0 0 0 0 value "$1" $rest
}
programs()
{
	local pin
	for pin in ct_control ct_dump4 ct_dump6; do
		stat -c '%n %i' "$PINS/$pin" || return
	done
}
pins_of_another_version_are_left_alone()
{
	local before device
	device=$(execute_device) && ovs_end && before=$(programs) && version_is 99 && ovs_vswitchd &&
		poll_until 10 said 'have version 99' || return
	[ "$(programs)" = "$before" ] && [ "$(execute_device)" = "$device" ] || return
	ovs_end && version_is 1 && ovs_vswitchd && poll_until 10 ping_once "$A" 10.1.1.2
}

# Its message is of the type of a device that goes; not a packet is lost.
port_leaves_a_bridge_of_the_kernel()
{
	on "$A" ping -qi 0.005 -c 200 -W 2 10.1.1.2 >"$TMP/ping" &
	local pinger=$!
	ip link add kbr0 type bridge && for _ in 1 2 3; do
		ip link set "$A" master kbr0 && sleep 0.1 && ip link set "$A" nomaster && sleep 0.1 || return
	done && ip link del kbr0 || return
	wait "$pinger"
	cat "$TMP/ping"
	grep -q ' 0% packet loss' "$TMP/ping"
}

# 300 packets for a port that sends one in a second: those who send to the others do not wait for it.
a_slow_port_holds_nobody_up()
{
	local out rc
	out=$(printf ',2%.0s' $(seq 300))
	tc qdisc add dev "$B" root tbf rate 8kbit burst 2kb limit 10000000 || return
	OVS_PATIENCE=5 ofctl packet-out br0 "in_port=controller,packet=$(printf 'ff%.0s' $(seq 12))88b5$(printf '00%.0s' $(seq 1000)),actions=${out#,}" &
	sleep 0.5
	OVS_PATIENCE=5 appctl dpctl/show bpf@ovs-bpf >/dev/null
	rc=$?
	tc qdisc del dev "$B" root
	wait
	[ "$rc" = 0 ] && ping_once "$A" 10.1.1.2
}

ovs_host
t bridge_comes_up draw
[ $FAILED = 0 ] || finish
# shellcheck disable=SC2031
VSWITCHD_PID=$(cat "$OVS_DIR/ovs-vswitchd.pid")
t copies_pass copies_pass
t a_second_vswitchd_is_refused a_second_vswitchd_is_refused "$VSWITCHD_PID"
t a_ctd_of_the_same_instance_is_refused ctd_is_refused
t half_an_instance_is_left_alone half_an_instance_is_left_alone
t pins_of_another_version_are_left_alone pins_of_another_version_are_left_alone
t a_port_that_leaves_a_bridge_of_the_kernel_stays port_leaves_a_bridge_of_the_kernel
t a_slow_port_holds_nobody_up a_slow_port_holds_nobody_up
finish
