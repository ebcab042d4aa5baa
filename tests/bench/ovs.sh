#!/bin/bash
# tests/bench/ovs.sh [ROUNDS] [PACKETS] [CPU] : Open vSwitch with our datapath, beside a bare TC
# redirect and OVS's userspace datapath, by AF_PACKET (the same vswitchd) and, where it can be built, by
# AF_XDP (another one). tests/bench/ovs.c prints the figures.
#
#   be-SIDE-s                   be-SIDE-r                    be-SIDE-d
#   s0 (generator) ── in0, port of br0 ┄ out0, port of br0 ── d0 (sink)
#
# The sides are those of topology.sh; each of the two bridges has a database and a vswitchd of its own.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
# shellcheck source=tests/bench/topology.sh
. tests/bench/topology.sh

ovs_at() # SIDE: whom vsctl and its like talk to
{
	OVS_DIR=$TMP/$1 OVS_VSWITCHD=$TMP/vswitchd-$1
	export OVS_RUNDIR=$OVS_DIR OVS_LOGDIR=$OVS_DIR OVS_DBDIR=$OVS_DIR OVS_SYSCONFDIR=$OVS_DIR
}

stop()
{
	for side in bpf userspace afxdp; do
		ovs_at "$side"
		[ ! -s "$OVS_DIR/ovs-vswitchd.pid" ] || kill -CONT "$(cat "$OVS_DIR/ovs-vswitchd.pid")" # ovs.c may have been ended
		ovs_stop
	done
	for side in bpf userspace redirect afxdp; do
		side_down "$side"
	done
	cleanup
}
trap stop EXIT

# A rule for each destination port. `move` reads the ports, so that each flow has a datapath flow
# of its own; 7002 has one for all, and as many connections.
rules()
{
	cat <<-'END'
		table=0,priority=20,in_port=in0,udp,tp_dst=7000,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],output:out0
		table=0,priority=20,in_port=in0,udp,tp_dst=7001,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],mod_nw_src:198.51.100.1,output:out0
		table=0,priority=20,in_port=in0,udp,tp_dst=7002,actions=ct(commit,zone=7,nat(src=198.51.100.1),table=1)
		table=0,priority=20,in_port=in0,udp,tp_dst=7003,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],output:out0
		table=0,priority=20,in_port=out0,udp,tp_src=7002,actions=ct(zone=7,nat,table=2)
		table=0,priority=10,in_port=out0,udp,actions=output:in0
		table=1,ip,ct_state=+trk-inv,actions=output:out0
		table=2,ip,ct_state=+est+rpl,actions=output:in0
	END
}

# The router is the bridge alone: its host has no address and forwards nothing. vswitchd has
# real-time priority, as the generator has: other processes do not get between.
# bridge SIDE DATAPATH_TYPE COMMAND COLUMN=VALUE...: how vswitchd is started, columns of the two ports' interfaces
bridge()
{
	local side=$1 type=$2 vswitchd=$3
	shift 3
	side_up "$side" || return
	in_ns "be-$side-r" sysctl -qw net.ipv4.ip_forward=0
	ip -n "be-$side-r" addr flush dev in0 && ip -n "be-$side-r" addr flush dev out0 || return
	ovs_at "$side"
	mkdir -p "$OVS_DIR"
	printf '#!/bin/sh\nexport BPFCT_OVS_INSTANCE=ovs-%s\nexec nsenter --net=/run/netns/be-%s-r -- %s "$@"\n' "$side" "$side" "$vswitchd" \
		>"$OVS_VSWITCHD"
	chmod +x "$OVS_VSWITCHD"
	# Flows that wait for their next round stay. The generator's core is not for vswitchd's own polling.
	ovs_start && vsctl set open_vswitch . other_config:max-idle=600000 other_config:pmd-cpu-mask=$((CPU == 0 ? 2 : 1)) &&
		vsctl add-br br0 -- set bridge br0 datapath_type="$type" fail_mode=secure &&
		vsctl add-port br0 in0 -- set interface in0 "$@" -- add-port br0 out0 -- set interface out0 "$@" || return
	rules >"$TMP/rules" && ofctl --names add-flows br0 "$TMP/rules"
}

# By AF_XDP, native mode. The thread that polls never sleeps: so it starts when the others have been measured,
# and alone has real-time priority, or vswitchd's other threads would never have that core.
afxdp_bridge()
{
	local tree xdp numa task
	tree=$(consumers/ovs/host afxdp) && xdp=$(fetch_closure libxdp-dev) && numa=$(fetch_closure libnuma-dev) || return
	export LIBXDP_OBJECT_PATH=$xdp/usr/lib/x86_64-linux-gnu/bpf
	LD_LIBRARY_PATH=$xdp/usr/lib/x86_64-linux-gnu:$numa/usr/lib/x86_64-linux-gnu \
		bridge afxdp netdev "$tree/vswitchd/ovs-vswitchd" type=afxdp options:xdp-mode=native options:n_rxq=1 &&
		poll_until 20 in_native_mode in0 && poll_until 20 in_native_mode out0 || return
	for task in "/proc/$(cat "$OVS_DIR/ovs-vswitchd.pid")/task/"*; do
		[[ $(cat "$task/comm") != pmd* ]] || chrt -f -p 1 "${task##*/}" || return
	done
}
in_native_mode()
{
	appctl dpif/show | tee "$TMP/ports" | grep -q " $1 .*xdp-mode-in-use=native" || { cat "$TMP/ports"; return 1; }
}

side() # NAME: as ovs.c takes it
{
	echo "$1:be-$1:$(cat "$TMP/$1/ovs-vswitchd.pid")"
}

CPU=${3:-1}
figures=("$O/tests/bench/ovs" -O "$O/tests/bench" -r "${1:-5}" -p "${2:-400000}" -C "$CPU")
ovs_host >&2
{
	bridge bpf bpf "chrt -f 1 $O/ovs/ovs-vswitchd" type=system && bridge userspace netdev "chrt -f 1 $O/ovs/ovs-vswitchd" type=system && side_up redirect
} >&2 || exit 1
"${figures[@]}" "$(side bpf)" redirect:be-redirect "$(side userspace)" || exit
if afxdp_bridge >&2; then
	"${figures[@]}" -a "$(side bpf)" redirect:be-redirect "$(side afxdp)"
else
	echo "ovs.sh: no figures of AF_XDP" >&2
fi
