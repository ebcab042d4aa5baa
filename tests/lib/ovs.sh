# shellcheck shell=bash
# Open vSwitch with our datapath, for suites and the demo; source it behind netns.sh. Its run,
# log and database directories are temporary; it works in the namespace of the suite.
#
#   ovs_host            the host's tree; the suite is skipped if the source cannot be fetched
#   ovs_start           database and vswitchd, until both answer
#   ovs_vswitchd        vswitchd alone (again)
#   ovs_end, ovs_kill   ends vswitchd as an upgrade does, and as a crash does
#   ovs_port_of, ovs_port   a namespace at a bridge; port_number NAME: in the datapath
#   frames DEVICE NUMBER    broadcasts of 60 bytes, type 0x88b5
#   ovs_purge           no flow is in the datapath
#   ovs_stop            everything, bridges and devices included
#   vsctl, ofctl, appctl ...   each waits OVS_PATIENCE seconds at most

OVS_DIR=$TMP/ovs
OVS_VSWITCHD=$O/ovs/ovs-vswitchd
export OVS_RUNDIR=$OVS_DIR OVS_LOGDIR=$OVS_DIR OVS_DBDIR=$OVS_DIR OVS_SYSCONFDIR=$OVS_DIR

vsctl() { "$OVS_TREE/utilities/ovs-vsctl" --timeout="${OVS_PATIENCE:-30}" --db="unix:$OVS_DIR/db.sock" "$@"; }
ofctl() { "$OVS_TREE/utilities/ovs-ofctl" "$@"; }
appctl() { "$OVS_TREE/utilities/ovs-appctl" --timeout="${OVS_PATIENCE:-30}" "$@"; }

ovs_host()
{
	OVS_TREE=$(consumers/ovs/host 2>"$TMP/host.err") || {
		echo "skip ovs: no openvswitch-source: $(tail -n 1 "$TMP/host.err")"
		exit 0
	}
	mkdir -p "$OVS_DIR"
	# A guest sees the machine's build as it is (tests/long/kernels_ovs).
	[ -w "$O" ] || return 0
	# Two suites may come here at once. O as `make` has it: dependencies are kept by name.
	flock "$O/.ovs-lock" make -s O="${O#"$PWD"/}" OVS_TREE="$OVS_TREE" ovs-vswitchd >"$TMP/make.ovs" 2>&1 || {
		echo "FAIL ovs_builds: $(grep -m 1 error "$TMP/make.ovs")"
		exit 1
	}
}

ovs_vswitchd()
{
	"$OVS_VSWITCHD" --no-chdir --detach --pidfile --log-file="$OVS_DIR/vswitchd.log" \
		"unix:$OVS_DIR/db.sock" 2>"$TMP/vswitchd.err" || { cat "$TMP/vswitchd.err"; return 1; }
}

ovs_start()
{
	local db=$OVS_TREE/ovsdb
	"$db/ovsdb-tool" create "$OVS_DIR/conf.db" "$OVS_TREE/vswitchd/vswitch.ovsschema" || return
	"$db/ovsdb-server" --no-chdir --detach --pidfile --log-file="$OVS_DIR/ovsdb.log" \
		--remote="punix:$OVS_DIR/db.sock" "$OVS_DIR/conf.db" 2>"$TMP/ovsdb.err" || return
	vsctl --no-wait init && ovs_vswitchd
}

ovs_gone()
{
	! kill -0 "$1" 2>/dev/null
}

ovs_end()
{
	local pid
	pid=$(cat "$OVS_DIR/ovs-vswitchd.pid") || return
	appctl exit && poll_until 30 ovs_gone "$pid"
}

ovs_kill()
{
	local pid
	pid=$(cat "$OVS_DIR/ovs-vswitchd.pid") || return
	kill -KILL "$pid" && poll_until 10 ovs_gone "$pid"
}

# Open vSwitch 3.1 purges in its main thread, beside the revalidators: both would
# delete a flow, and vswitchd abort.
ovs_purge()
{
	appctl revalidator/pause && appctl revalidator/purge && appctl revalidator/resume
}

ovs_stop()
{
	[ ! -e "$OVS_DIR/ovs-vswitchd.pid" ] || appctl exit --cleanup
	[ ! -e "$OVS_DIR/ovsdb-server.pid" ] || kill "$(cat "$OVS_DIR/ovsdb-server.pid")"
} 2>/dev/null

# ovs_port_of BRIDGE NS ADDRESS... : a namespace's interface p0, and the bridge's port NS for it
ovs_port_of()
{
	local bridge=$1 ns=$2 addr
	shift 2
	net_ns "$ns"
	ip link add "$ns" type veth peer name p0 netns "$ns" || return
	for addr; do
		on "$ns" ip addr add "$addr" dev p0 || return
	done
	on "$ns" ip link set p0 up && ip link set "$ns" up && vsctl add-port "$bridge" "$ns"
}

ovs_port()
{
	ovs_port_of br0 "$@"
}

port_number()
{
	appctl dpctl/show bpf@ovs-bpf | sed -n "s/^ *port \([0-9]*\): $1\( .*\)\?$/\1/p"
}

frames()
{
	tests/lib/frames.py "$@"
}
