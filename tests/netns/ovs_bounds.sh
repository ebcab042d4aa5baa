#!/bin/bash
# beside: yes
# timeout: 300
# What a tenant, a dying device or a full table can do to the others under a real vswitchd: nothing.
# Each is an error or a counted drop, and the rest goes on.
#
#   A 10.3.0.1 ── A ┐         the tenant that floods, mints masks and vanishes
#   B 10.3.0.2 ── B ┤
#   C 10.3.0.3 ── C ┤ br0     B and C talk to each other all the time
#   D 10.3.0.4 ── D ┘
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
need ping

A=$T-a B=$T-b C=$T-c D=$T-d DP=bpf@ovs-bpf
ovs_cleanup()
{
	kill -CONT "$(cat "$OVS_DIR/ovs-vswitchd.pid")"
	ovs_stop
	cleanup
} 2>/dev/null
trap ovs_cleanup EXIT

draw()
{
	ovs_start && vsctl add-br br0 -- set bridge br0 datapath_type=bpf || return
	# Seven numbers between A and B: they share a ring.
	ovs_port "$A" 10.3.0.1/24 && for n in 1 2 3 4 5 6 7; do
		vsctl add-port br0 "i$n" -- set interface "i$n" type=internal || return
	done && ovs_port "$B" 10.3.0.2/24 && ovs_port "$C" 10.3.0.3/24 && ovs_port "$D" 10.3.0.4/24 || return
	# Static neighbours: no test waits for ARP that another one has stopped.
	for ns in "$A" "$B" "$C" "$D"; do
		neighbours "$ns" || return
	done
}
mac()
{
	on "$1" cat /sys/class/net/p0/address 2>/dev/null || on "$1" ip -br link show p0 | awk '{ print $3 }'
}
neighbours()
{
	local to n=1
	for to in "$A" "$B" "$C" "$D"; do
		[ "$to" = "$1" ] || on "$1" ip neigh replace "10.3.0.$n" lladdr "$(mac "$to")" dev p0 || return
		n=$((n + 1))
	done
}
ping_once()
{
	on "$1" ping -qc 1 -W 2 "$2"
}
drops()
{
	"$CTCTL" --instance ovs-bpf stats | awk -v n="$1" '$1 == n { print $2; f = 1 } END { if (!f) print 0 }'
}
stopped()
{
	kill "-$1" "$(cat "$OVS_DIR/ovs-vswitchd.pid")"
}
pipeline()
{
	ofctl del-flows br0 && ofctl add-flows br0 - && ovs_purge
}
port()
{
	appctl dpctl/show "$DP" | sed -n "s/^ *port \([0-9]*\): $1\$/\1/p"
}

# flows NS ADDRESS FIRST N : N datagrams, each of a source port of its own, as fast as they go
flows()
{
	on "$1" /usr/bin/python3 -c '
import socket, struct, sys
to, first, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
for port in range(first, first + n):
    try:
        s.sendto(struct.pack("!HHHH", port & 65535, 9, 8, 0), (to, 0))
    except OSError:
        pass' "$2" "$3" "$4"
}

# Each source port is a flow of its own, so each first packet goes up.
exact_ports()
{
	pipeline <<'END'
priority=2,udp,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],normal
priority=1,actions=normal
END
}

# A's flood has more than its share; B's new flows go up and come back meanwhile.
flood_takes_nobodys_upcalls()
{
	local share n
	exact_ports && serve_echo "$C" 7 && [ $(($(port "$A") % 8)) = $(($(port "$B") % 8)) ] || return
	share=$(drops ovs_upcall_share)
	serve "$A" "$O/tests/lib/flood" p0 "$(mac "$D")" udp 10.3.0.1 10.3.0.4 9 100000000 400000
	local flood=${PIDS[-1]}
	poll_until 20 more_than ovs_upcall_share "$share"
	local rc=$?
	for n in $(seq 1 20); do
		[ "$rc" != 0 ] || echo_from "$B" udp 10.3.0.3 7 $((30000 + n)) "hello $n" >/dev/null || { echo "lost: $n"; rc=1; }
	done
	kill "$flood"
	wait "$flood"
	echo "$(($(drops ovs_upcall_share) - share)) of A's upcalls over its share"
	[ "$rc" = 0 ] && [ "$(drops ovs_upcall_full)" = 0 ]
}
more_than()
{
	[ "$(drops "$1")" -gt "$2" ]
}

# vswitchd stands still: rings fill, what comes is dropped and counted, flows that are there forward.
ring_that_nobody_reads()
{
	local share
	appctl dpctl/del-flows "$DP" && ping_once "$B" 10.3.0.3 && ping_once "$B" 10.3.0.3 || return
	share=$(drops ovs_upcall_share)
	stopped STOP && flows "$A" 10.3.0.4 1024 4000
	on "$B" ping -qi 0.05 -c 20 -W 2 10.3.0.3 >"$TMP/ping"
	local counted=$(($(drops ovs_upcall_share) - share))
	stopped CONT
	cat "$TMP/ping"
	echo "$counted dropped"
	grep -q ' 0% packet loss' "$TMP/ping" && [ "$counted" -ge 2000 ] && poll_until 20 ping_once "$A" 10.3.0.4
}

# Addresses that share n bits with that of a rule: OVS asks for a mask of each n and each m. A
# has 128 of them, what is more goes up packet by packet and arrives all the same; B's
# packets are looked for under B's masks alone.
masks_of_a_tenant_are_its_own()
{
	local before after n
	pipeline <<'END'
priority=3,ip,nw_src=127.0.0.1,actions=drop
priority=2,ip,nw_dst=127.0.0.1,actions=drop
priority=1,actions=normal
END
	before=$(received "$D") && minted && poll_until 20 arrived $((before + 400)) || return
	n=$(masks_of "$(port "$A")")
	echo "$n masks of IPv4 addresses, the rest are of ARP and the like"
	[ "$n" -ge 100 ] && [ "$n" -le 128 ] && ping_once "$B" 10.3.0.3 &&
		before=$(mask_hits) && on "$B" ping -qi 0.02 -c 20 10.3.0.3 >/dev/null && flows "$B" 10.3.0.3 40000 20 && after=$(mask_hits) || return
	echo "masks looked at for 60 packets of others: $((after - before))"
	[ $((after - before)) -le 300 ]
}
minted()
{
	on "$A" /usr/bin/python3 -c '
import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("p0", 0))
link = bytes.fromhex(sys.argv[1].replace(":", "")) + b"\x02\0\0\0\0\x07\x08\0"
for n in range(12, 32):
    for m in range(12, 32):
        s.send(link + struct.pack("!BBHHHBBHII", 0x45, 0, 28, 0, 0, 64, 17, 0, 0x7f000001 ^ 1 << 31 - n, 0x7f000001 ^ 1 << 31 - m) + bytes(8))
    time.sleep(0.01)' "$(mac "$D")"
}
received()
{
	on "$1" cat /proc/net/dev | awk '$1 == "p0:" { print $3 }'
}
arrived()
{
	local n
	n=$(received "$D")
	[ "$n" -ge "$1" ] || { echo "$n frames, not $1"; return 1; }
}
# masks_of PORT : how many different masks the flows of a port have
masks_of()
{
	appctl dpctl/dump-flows "$DP" | grep "in_port($1)" | sed -n 's/.*ipv4(src=[^/]*\/\([0-9.]*\),dst=[^/]*\/\([0-9.]*\),.*/\1 \2/p' | sort -u | wc -l
}
mask_hits()
{
	appctl dpctl/show "$DP" | sed -n 's/.*masks: hit:\([0-9]*\).*/\1/p'
}

# 200,000 flows fit; the next one is refused, and packets without a flow go by vswitchd.
full_table()
{
	echo "priority=1,actions=normal" | pipeline && appctl revalidator/pause && appctl dpctl/del-flows "$DP" || return
	/usr/bin/python3 -c '
for n in range(200100):
    print("recirc_id(0),in_port(%d),eth(),eth_type(0x0800),ipv4(src=9.%d.%d.%d,frag=no) drop" % (3, n >> 16, n >> 8 & 255, n & 255))' >"$TMP/many"
	"$OVS_TREE/utilities/ovs-appctl" --timeout=60 dpctl/add-flows "$DP" "$TMP/many" >"$TMP/err" 2>&1
	echo "$(tail -n 1 "$TMP/err"); $(appctl dpctl/show "$DP" | grep flows:)"
	grep -q 'No space left on device' "$TMP/err" && [ "$(appctl dpctl/show "$DP" | sed -n 's/.*flows: //p')" = 200000 ] &&
		ping_once "$B" 10.3.0.3 && ping_once "$B" 10.3.0.3 || return
	appctl dpctl/del-flows "$DP" && appctl revalidator/resume && ping_once "$B" 10.3.0.3
}

# A device goes while vswitchd stands still, so with flows that lead to it, packets that are in the
# middle of their recirculations, and others of it that wait in a ring for flows.
port_vanishes_in_mid_recirculation()
{
	pipeline <<'END'
table=0,ip,ct_state=-trk,actions=ct(table=1)
table=0,priority=0,actions=normal
table=1,ip,ct_state=+new,actions=ct(commit,table=2)
table=1,ip,ct_state=+est,actions=resubmit(,2)
table=2,actions=normal
END
	on "$B" ping -qi 0.1 -c 40 -W 2 10.3.0.3 >"$TMP/ping" &
	local pinger=$!
	on "$B" ping -qi 0.1 -c 5 -W 2 10.3.0.4 >/dev/null && stopped STOP && flows "$A" 10.3.0.2 1024 50
	ip link del "$A" && ip link del "$D"
	fails ping_once "$B" 10.3.0.4
	local rc=$?
	stopped CONT
	wait "$pinger"
	cat "$TMP/ping"
	[ "$rc" = 0 ] && grep -q ' 0% packet loss' "$TMP/ping" && poll_until 20 no_port "$A" && poll_until 20 no_port "$D" || return
	ping_once "$C" 10.3.0.2 && fails ping_once "$B" 10.3.0.4 && vsctl del-port "$A" -- del-port "$D" || return
	ip link add "$D" type veth peer name p0 netns "$D" && on "$D" ip addr add 10.3.0.4/24 dev p0 && on "$D" ip link set p0 up && ip link set "$D" up &&
		vsctl add-port br0 "$D" && on "$B" ip neigh replace 10.3.0.4 lladdr "$(mac "$D")" dev p0 && poll_until 10 ping_once "$B" 10.3.0.4
}
no_port()
{
	[ -z "$(port "$1")" ]
}
# A copy for a port that is gone is a counted drop, the other copies arrive.
port_that_is_not_there_is_counted()
{
	local lost n before
	appctl revalidator/pause && appctl dpctl/del-flows "$DP" || return
	lost=$(drops ovs_port) before=$(received "$C")
	n=$(port "$C")
	appctl dpctl/add-flow "$DP" "recirc_id(0),in_port($(port "$B")),eth(),eth_type(0x0800),ipv4(frag=no)" "900,recirc(119),$n" &&
		appctl dpctl/add-flow "$DP" "recirc_id(0x77),in_port($(port "$B")),eth(),eth_type(0x0800),ipv4(frag=no)" 901 &&
		flows "$B" 10.3.0.3 1024 10 && [ $(($(received "$C") - before)) -ge 10 ] && [ $(($(drops ovs_port) - lost)) = 20 ] || return
	appctl revalidator/resume && ping_once "$B" 10.3.0.3
}

ovs_host
t bridge_comes_up draw
[ $FAILED = 0 ] || finish
t flood_of_one_port_takes_nobodys_upcalls flood_takes_nobodys_upcalls
t ring_that_nobody_reads_is_counted_drops ring_that_nobody_reads
t masks_of_a_tenant_are_its_own masks_of_a_tenant_are_its_own
t a_copy_for_a_port_that_is_gone_is_counted port_that_is_not_there_is_counted
t a_full_table_refuses_and_goes_on full_table
t a_port_vanishes_in_mid_recirculation port_vanishes_in_mid_recirculation
finish
