#!/bin/bash
# beside: yes
# timeout: 300
# What vswitchd itself says and hears on ports, and what it does with ports beside forwarding: each
# way up (slow-path upcalls) and down (EXECUTE of a packet of its own). All bridges are of one
# vswitchd and one datapath; the protocols come up side by side.
#
#   A 10.2.0.1 ── A ┐        ┌ br1 ── B 10.2.0.2       k0 ── k1: LLDP, BFD, CFM
#                   br0 k0──k1                         p0 ── p1: patch ports, br0 to br2
#                   │ └ p0──p1 br2 ── P 10.2.0.3       M on br0: mirrors
#   L 10.2.1.1 ── brl ══ brm ── L' 10.2.1.2            LACP, balance-tcp, two links
#   K 10.2.2.1 ── brk ══ brn ── K' 10.2.2.2            active-backup, two links
#   S 10.2.3.1 ── brs ══ brt ── S' 10.2.3.2            STP, two links, no bond
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
need ping tcpdump jq curl nstat

A=$T-a B=$T-b P=$T-p M=$T-m L=$T-l K=$T-k S=$T-s
ovs_cleanup()
{
	ovs_stop
	cleanup
}
trap ovs_cleanup EXIT

# pair NAME0 NAME1 : two devices that are each other's wire
pair()
{
	ip link add "$1" type veth peer name "$2" && ip link set "$1" up && ip link set "$2" up
}
bridge()
{
	vsctl add-br "$1" -- set bridge "$1" datapath_type=bpf "${@:2}"
}

draw()
{
	local d stp=(stp_enable=true other_config:stp-forward-delay=4 other_config:stp-hello-time=1 other_config:stp-max-age=6)
	ovs_start || return
	for d in k0:k1 l0:l1 l2:l3 b0:b1 b2:b3 s0:s1 s2:s3; do
		pair "${d%:*}" "${d#*:}" || return
	done
	bridge brs "${stp[@]}" other_config:stp-priority=1 && bridge brt "${stp[@]}" &&
		for d in br0 br1 br2 brl brm brk brn; do
			bridge "$d" || return
		done
	vsctl add-port br0 k0 -- add-port br1 k1 \
		-- set interface k0 lldp:enable=true bfd:enable=true bfd:min_tx=100 bfd:min_rx=100 cfm_mpid=1 other_config:cfm_interval=100 \
		-- set interface k1 lldp:enable=true bfd:enable=true bfd:min_tx=100 bfd:min_rx=100 cfm_mpid=2 other_config:cfm_interval=100 \
		-- add-bond brl bondl l0 l2 lacp=active bond_mode=balance-tcp other_config:lacp-time=fast \
		-- add-bond brm bondm l1 l3 lacp=active bond_mode=balance-tcp other_config:lacp-time=fast \
		-- add-bond brk bondk b0 b2 bond_mode=active-backup -- add-bond brn bondn b1 b3 bond_mode=active-backup \
		-- add-port brs s0 -- add-port brs s2 -- add-port brt s1 -- add-port brt s3 \
		-- add-port br0 p0 -- set interface p0 type=patch options:peer=p1 \
		-- add-port br2 p1 -- set interface p1 type=patch options:peer=p0 || return
	ovs_port_of br0 "$A" 10.2.0.1/24 && ovs_port_of br1 "$B" 10.2.0.2/24 && ovs_port_of br2 "$P" 10.2.0.3/24 &&
		ovs_port_of br0 "$M" && ovs_port_of brl "$L" 10.2.1.1/24 && ovs_port_of brm "$L"2 10.2.1.2/24 &&
		ovs_port_of brk "$K" 10.2.2.1/24 && ovs_port_of brn "$K"2 10.2.2.2/24 &&
		ovs_port_of brs "$S" 10.2.3.1/24 && ovs_port_of brt "$S"2 10.2.3.2/24
}

ping_once()
{
	on "$1" ping -qc 1 -W 2 "$2"
}
# capture NS FILE FILTER : into the file, until `captured`
capture()
{
	nsenter --net="/run/netns/$1" timeout 60 tcpdump --immediate-mode -lnei p0 "$3" >"$2" 2>"$TMP/capture" </dev/null &
	capture_begins
}
# capture_on DEVICE FILE FILTER : in the bridges' namespace
capture_on()
{
	timeout 60 tcpdump --immediate-mode -lnei "$1" "$3" >"$2" 2>"$TMP/capture" </dev/null &
	capture_begins
}
capture_begins()
{
	CAPTURE=$!
	poll_until 10 grep -q listening "$TMP/capture"
}
captured()
{
	kill "$CAPTURE"
	wait "$CAPTURE"
}
# field INTERFACE COLUMN VALUE
field()
{
	local got
	got=$(vsctl get interface "$1" "$2")
	[ "$got" = "$3" ] || { echo "$1 $2: $got"; return 1; }
}

# Each says the other's address, which is what it has heard.
lldp_neighbours()
{
	local mac
	mac=$(ip -j link show k1 | jq -r '.[0].address') && poll_until 20 heard br0 "$mac" &&
		mac=$(ip -j link show k0 | jq -r '.[0].address') && poll_until 20 heard br1 "$mac"
}
heard()
{
	appctl autoattach/status "$1" | grep -A 1 '^LLDP: k[01]$' | grep -qi "Server Id: $2" || appctl autoattach/status "$1" | (cat; false)
}

# Up by what both say; down when one of them says no more.
bfd_comes_up()
{
	poll_until 20 field k0 bfd_status:state up && poll_until 20 field k1 bfd_status:remote_state up
}
cfm_comes_up()
{
	poll_until 20 field k0 cfm_fault false && poll_until 10 field k0 cfm_remote_mpids "[2]" && poll_until 10 field k1 cfm_remote_mpids "[1]"
}
silence_is_noticed()
{
	vsctl set interface k1 bfd:enable=false -- clear interface k1 cfm_mpid || return
	poll_until 20 field k0 bfd_status:state down && field k0 bfd_status:diagnostic '"Control Detection Time Expired"' &&
		poll_until 20 field k0 cfm_fault true
}

lacp_negotiates()
{
	poll_until 20 negotiated bondl && poll_until 20 negotiated bondm
}
negotiated()
{
	appctl lacp/show "$1" | tee "$TMP/lacp"
	grep -q 'status: active negotiated' "$TMP/lacp" &&
		[ "$(grep -c 'actor state:.*collecting distributing' "$TMP/lacp")" = 2 ]
}

# datagrams FIRST : 200 from as many ports to L2; how many came
datagrams()
{
	: >"$TMP/sink"
	on "$L" /usr/bin/python3 -c '
import socket, sys
for n in range(200):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.2.1.1", int(sys.argv[1]) + n))
    s.sendto(b"%d" % (int(sys.argv[1]) + n), ("10.2.1.2", 9))' "$1"
}
serve_sink()
{
	serve "$L"2 /usr/bin/python3 -uc '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.2.1.2", 9))
while True:
    with open("'"$TMP"'/sink", "ab", 0) as f:
        f.write(s.recv(99) + b"\n")'
	poll_until 10 listening "$L"2 9 u
}
all_came()
{
	local n
	n=$(sort -u "$TMP/sink" | wc -l)
	[ "$n" = 200 ] || { echo "$n of 200 datagrams came"; return 1; }
}
sent()
{
	cat "/sys/class/net/$1/statistics/tx_packets"
}
# The flows spread over both by a hash that the datapath takes.
balance_tcp_uses_both_links()
{
	local l0 l2
	serve_sink && poll_until 10 ping_once "$L" 10.2.1.2 || return
	l0=$(sent l0) l2=$(sent l2)
	datagrams 20000 && poll_until 10 all_came || return
	l0=$(($(sent l0) - l0)) l2=$(($(sent l2) - l2))
	echo "$l0 by l0, $l2 by l2"
	[ "$l0" -ge 40 ] && [ "$l2" -ge 40 ] && appctl dpctl/dump-flows bpf@ovs-bpf >"$TMP/flows" &&
		grep -q 'actions:hash(l4(0)),recirc(' "$TMP/flows" && grep -q 'recirc_id(0x[0-9a-f]*),dp_hash(0x[0-9a-f]*/0xff),.*packets:[0-9]*' "$TMP/flows"
}
lone_link_carries_all()
{
	local l2
	ip link set l1 down && poll_until 10 member_is bondl l0 disabled && poll_until 10 member_is bondm l1 disabled || return
	l2=$(sent l2)
	datagrams 21000 && poll_until 10 all_came && [ $(($(sent l2) - l2)) -ge 200 ]
}
# member_is BOND MEMBER enabled|disabled
member_is()
{
	appctl bond/show "$1" | grep -q "^member $2: $3"
}

# active BOND: its active member
active()
{
	appctl bond/show "$1" | sed -n 's/^active member mac: .*(\(.*\))$/\1/p'
}
other()
{
	case $1 in b0) echo b2 ;; b1) echo b3 ;; b2) echo b0 ;; b3) echo b1 ;; esac
}
# One carries all; when its wire goes the other one does.
active_backup_fails_over()
{
	local first second n
	appctl bond/set-active-member bondk b0 && appctl bond/set-active-member bondn b1 && poll_until 10 ping_once "$K" 10.2.2.2 || return
	first=$(active bondk)
	second=$(other "$first")
	n=$(sent "$second")
	on "$K" ping -qi 0.02 -c 50 10.2.2.2 >/dev/null && [ "$first" = b0 ] && [ $(($(sent "$second") - n)) -lt 20 ] || return
	ip link set "$first" down && poll_until 10 ping_once "$K" 10.2.2.2 && [ "$(active bondk)" = "$second" ] || return
	n=$(sent "$second")
	on "$K" ping -qi 0.02 -c 50 10.2.2.2 >/dev/null && [ $(($(sent "$second") - n)) -ge 50 ]
}

# The root bridge sends by both wires, the other one listens to one: no loop, one copy of a broadcast.
stp_blocks_one_link()
{
	poll_until 30 stp_state s1 forwarding && stp_state s3 blocking && poll_until 10 ping_once "$S" 10.2.3.2 && [ "$(copies)" = 1 ]
}
stp_state()
{
	vsctl get port "$1" status:stp_state | grep -q "$2" || { vsctl get port "$1" status; return 1; }
}
copies()
{
	capture "$S"2 "$TMP/copies" 'ether proto 0x88b5' || return
	on "$S" /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("p0", 0))
s.send(b"\xff" * 6 + b"\x02\0\0\0\0\x07" + b"\x88\xb5" + bytes(50))'
	poll_until 5 grep -q . "$TMP/copies"
	sleep 0.5
	captured
	grep -c 0x88b5 "$TMP/copies"
}
stp_link_breaks()
{
	ip link set s0 down
}
stp_other_link_takes_over()
{
	poll_until 30 stp_state s3 forwarding && poll_until 10 ping_once "$S" 10.2.3.2 && [ "$(copies)" = 1 ]
}

# port NAME : its number in the datapath
port()
{
	appctl dpctl/show bpf@ovs-bpf | sed -n "s/^ *port \([0-9]*\): $1\( .*\)\?$/\1/p"
}
# A patch port is no port of the datapath: one flow leads from one bridge's port to the other's.
patch_ports_pass()
{
	ping_once "$A" 10.2.0.3 && ping_once "$A" 10.2.0.3 && [ -z "$(port p0)" ] &&
		appctl dpctl/dump-flows bpf@ovs-bpf | grep "in_port($(port "$A"))" | grep -q "eth_type(0x0800).*actions:$(port "$P")$" &&
		vsctl del-port br2 p1 && fails ping_once "$A" 10.2.0.3
}

# mirrored FILTER : does such a frame come to M as A pings B?
mirrored()
{
	capture "$M" "$TMP/mirror" "$1" && on "$A" ping -qi 0.2 -c 3 -W 2 10.2.0.2 >/dev/null
	sleep 0.3
	captured
	cat "$TMP/mirror"
	grep -q . "$TMP/mirror"
}
mirror()
{
	vsctl -- --id=@a get port "$A" -- --id=@m get port "$M" -- --id=@x create mirror name=x "$@" -- set bridge br0 mirrors=@x
}
mirror_copies_to_a_port()
{
	ping_once "$A" 10.2.0.2 && fails mirrored 'icmp[icmptype] == icmp-echo' && mirror select-src-port=@a output-port=@m &&
		mirrored 'icmp[icmptype] == icmp-echo and dst host 10.2.0.2' && fails mirrored 'icmp[icmptype] == icmp-echoreply' &&
		vsctl clear bridge br0 mirrors && mirror select-dst-port=@a output-port=@m && mirrored 'icmp[icmptype] == icmp-echoreply' &&
		vsctl clear bridge br0 mirrors && fails mirrored icmp
}
mirror_copies_into_a_vlan()
{
	mirror select-src-port=@a output-vlan=99 && mirrored 'vlan 99 and icmp' && grep -q 'vlan 99' "$TMP/mirror" && vsctl clear bridge br0 mirrors
}

# Handlers (first packets of flows, of two rings), monitor (BFD and CFM) and main thread (packet-out)
# execute packets side by side: all arrive, BFD is up, no token is lost.
three_threads_execute()
{
	local n mac rc each='priority=9,udp,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],normal'
	vsctl set interface k1 bfd:enable=true cfm_mpid=2 && poll_until 20 field k0 bfd_status:state up && poll_until 20 field k0 cfm_fault false || return
	mac=$(on "$B" ip -j link show p0 | jq -r '.[0].address | gsub(":"; "")')
	ofctl add-flow br0 "$each" && ofctl add-flow br1 "$each" && capture "$B" "$TMP/executed" 'ether proto 0x88b5 or udp port 9' || return
	first_packets "$A" 10.2.0.1 10.2.0.2 9 300 0.004 &
	local sender=$!
	first_packets "$B" 10.2.0.2 10.2.0.1 10 4000 0.0002 & # whether these arrive nobody asks
	local noise=$!
	for n in $(seq 40); do
		ofctl packet-out br0 "in_port=controller packet=${mac}02000000000788b5$(printf '%092d' "$n") actions=normal" || return
	done
	wait "$sender" "$noise"
	poll_until 10 executed
	rc=$?
	captured
	[ "$rc" = 0 ] && poll_until 10 field k0 bfd_status:state up && ofctl del-flows br0 udp && ofctl del-flows br1 udp &&
		fails grep -E '^ovs_execute +[1-9]' <("$CTCTL" --instance ovs-bpf stats)
}
# first_packets NS FROM TO PORT N PAUSE : N flows of one datagram
first_packets()
{
	on "$1" /usr/bin/python3 -c '
import socket, sys, time
for n in range(int(sys.argv[4])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((sys.argv[1], 20000 + n))
    try:
        s.sendto(b"x", (sys.argv[2], int(sys.argv[3])))
    except OSError:
        pass  # the answer to one before it: nobody listens
    time.sleep(float(sys.argv[5]))' "$2" "$3" "$4" "$5" "$6"
}
executed()
{
	local out datagrams
	out=$(grep -c 0x88b5 "$TMP/executed") datagrams=$(grep -c '10.2.0.2.9: UDP' "$TMP/executed")
	echo "$out of 40 packet-outs, $datagrams of 300 datagrams"
	[ "$out" = 40 ] && [ "$datagrams" = 300 ]
}

# decap() leaves a packet that has no Ethernet header, and what is behind the label is seen after a
# recirculation only: vswitchd hands it to itself, the datapath knows no such packets.
bare_packets_are_recirculated()
{
	label "$A" br0 k0 && label "$B" br1 k1 && ping_once "$A" 10.2.0.2 && ping_once "$B" 10.2.0.1 || return
	poll_until 10 bare_are_counted || return
	for br in br0 br1; do
		ofctl -O OpenFlow13 del-flows "$br" icmp && ofctl -O OpenFlow13 del-flows "$br" mpls || return
	done
	ping_once "$A" 10.2.0.2
}
# (by the revalidators, within a second or so)
bare_are_counted()
{
	ofctl -O OpenFlow13 dump-flows br1 mpls | grep 'n_packets=[2-9]'
}
# label NS BRIDGE PORT : what its host pings goes out by the port under a label, what comes from there is rebuilt for it
label()
{
	local mac
	mac=$(on "$1" ip -j link show p0 | jq -r '.[0].address') && ofctl -O OpenFlow13 --names add-flows "$2" - <<-END
		priority=9,icmp,in_port=$1,actions=push_mpls:0x8847,set_field:2->mpls_label,output:$3
		priority=9,dl_type=0x8847,in_port=$3,actions=decap,decap(packet_type(ns=1,type=0x0800)),encap(ethernet),set_field:$mac->eth_dst,output:$1
	END
}

# The list of a flow goes as far as the datapath has it, the rest is the class's: under the label is the translated packet, the first
# one and those that the flow sends up.
label_comes_behind_nat()
{
	ofctl -O OpenFlow13 --names add-flow br0 "priority=9,udp,in_port=$A,actions=ct(commit,nat(src=10.2.0.77)),push_mpls:0x8847,set_field:5->mpls_label,output:k0" &&
		capture_on k1 "$TMP/labelled" mpls || return
	on "$A" /usr/bin/python3 -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(10):
    s.sendto(b"x" * n, ("10.2.0.2", 9))
    time.sleep(0.1)'
	poll_until 10 labelled_are 10
	local rc=$?
	captured
	appctl dpctl/dump-flows bpf@ovs-bpf | tee "$TMP/flows" | grep push_mpls
	ofctl -O OpenFlow13 del-flows br0 udp || return
	[ "$rc" = 0 ] && grep -Eq 'packets:[5-9],.*actions:ct\(commit,nat\(src=10.2.0.77\)\),push_mpls' "$TMP/flows" &&
		fails grep 'failed to put.*push_mpls' "$OVS_DIR/vswitchd.log"
}
labelled_are()
{
	[ "$(grep -c 'label 5.*10.2.0.77.*10.2.0.2.9: UDP' "$TMP/labelled")" = "$1" ]
}

# A's TCP, with all its offloads, under headers that vswitchd puts in front: segments leave, each with its own, checksums done, and the
# stream is whole without being sent again by the sender's timer (where only that gets through: 43 times). WRAP and
# UNWRAP are actions, TYPE and LONGEST (a pattern) what the wire has.
wrapped_stream_is_whole() # ADDRESS[:PORT] WRAP TYPE UNWRAP LONGEST
{
	local url=http://$1 wrap=$2 type=$3 unwrap=$4 longest=$5 timeouts
	ofctl -O OpenFlow13 --names add-flow br0 "priority=9,tcp,in_port=$A,actions=$wrap,output:k0" &&
		ofctl -O OpenFlow13 --names add-flow br0 "priority=9,tcp6,in_port=$A,actions=$wrap,output:k0" &&
		ofctl -O OpenFlow13 --names add-flow br1 "priority=9,dl_type=$type,in_port=k1,actions=$unwrap,output:$B" &&
		capture_on k1 "$TMP/wrapped" "ether proto $type" || return
	[[ $url =~ :[0-9]+$ ]] || url=$url:8000
	timeouts=$(timed_out)
	on "$B" curl -gsf -m 30 -o "$TMP/unwrapped" "$url/stream"
	local rc=$?
	captured
	appctl dpctl/dump-flows bpf@ovs-bpf | grep -E 'mpls|nsh'
	ofctl -O OpenFlow13 del-flows br0 tcp && ofctl -O OpenFlow13 del-flows br0 tcp6 && ofctl -O OpenFlow13 del-flows br1 "dl_type=$type" || return
	timeouts=$(($(timed_out) - timeouts))
	echo "curl: $rc, $timeouts times by the timer, $(wc -l <"$TMP/wrapped") frames of $type, the longest $(longest)"
	[ "$rc" = 0 ] && cmp "$TMP/unwrapped" "$TMP/www/stream" && [[ $(longest) =~ ^($longest)$ ]] && [ "$timeouts" -le 10 ]
}
timed_out()
{
	on "$A" nstat -asz | awk '$1 == "TcpExtTCPTimeouts" { print $2 }'
}
longest()
{
	sed -n 's/[^(]*(0x[0-9a-f]*), length \([0-9]*\): .*/\1/p' "$TMP/wrapped" | sort -n | tail -n 1
}
super_packets_are_cut_under_a_label()
{
	mkdir "$TMP/www" && head -c 1000000 /dev/urandom >"$TMP/www/stream" && ip link set k0 mtu 1600 && ip link set k1 mtu 1600 || return
	on "$A" ip -6 addr add fd02::1/64 dev p0 nodad && on "$B" ip -6 addr add fd02::2/64 dev p0 nodad || return
	serve "$A" /usr/bin/python3 -m http.server -b :: -d "$TMP/www" 8000
	poll_until 20 listening "$A" 8000 && ping_once "$B" 10.2.0.1 && wrapped_stream_is_whole 10.2.0.1 "push_mpls:0x8847,set_field:7->mpls_label" 0x8847 pop_mpls:0x0800 1518 &&
		wrapped_stream_is_whole "[fd02::1]" "push_mpls:0x8847,set_field:7->mpls_label" 0x8847 pop_mpls:0x86dd 1518
}
# The same with headers of options between IPv6 and TCP; http.server's sockets inherit them.
super_packets_with_options_are_cut()
{
	serve "$A" /usr/bin/python3 -c '
import functools, http.server, socket, sys
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    def server_bind(self):
        for kind in socket.IPV6_HOPOPTS, socket.IPV6_DSTOPTS:
            self.socket.setsockopt(socket.IPPROTO_IPV6, kind, bytes((0, 0, 1, 4, 0, 0, 0, 0)))
        super().server_bind()
Server(("::", 8001), functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])).serve_forever()' "$TMP/www"
	poll_until 20 listening "$A" 8001 && wrapped_stream_is_whole "[fd02::1]:8001" "push_mpls:0x8847,set_field:7->mpls_label" 0x8847 pop_mpls:0x86dd 1518 &&
		grep -q 'HBH' "$TMP/wrapped" && wrapped_stream_is_whole "[fd02::1]:8001" "$LABEL_AT_M,pop_mpls:0x86dd" 0x86dd note:00 "$UNCUT"
}
# What has got a label for one port and lost it for the next goes out whole: that device can cut it.
label_comes_off_in_the_same_list()
{
	wrapped_stream_is_whole 10.2.0.1 "$LABEL_AT_M,pop_mpls:0x0800" 0x0800 note:00 "$UNCUT" &&
		wrapped_stream_is_whole "[fd02::1]" "$LABEL_AT_M,pop_mpls:0x86dd" 0x86dd note:00 "$UNCUT" &&
		datagrams_are_whole 10.2.0.2 "$LABEL_AT_M,pop_mpls:0x0800" 0x0800 note:00 &&
		datagrams_are_whole fd02::2 "$LABEL_AT_M,pop_mpls:0x86dd" 0x86dd note:00
}
LABEL_AT_M="push_mpls:0x8847,set_field:7->mpls_label,output:$M"
UNCUT='[2-9][0-9]{3}|[1-6][0-9]{4}'
# UDP_SEGMENT: one send, five datagrams.
datagrams_are_whole() # ADDRESS WRAP TYPE UNWRAP
{
	local udp=udp
	[[ $1 != *:* ]] || udp=udp6
	ofctl -O OpenFlow13 --names add-flow br0 "priority=9,$udp,in_port=$A,actions=$2,output:k0" &&
		ofctl -O OpenFlow13 --names add-flow br1 "priority=9,dl_type=$3,in_port=k1,actions=$4,output:$B" || return
	on "$B" timeout 20 /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9000))
print([(len(d), set(d)) for d in (s.recv(9000) for _ in range(10))], flush=True)' "$1" >"$TMP/datagrams" &
	local heard=$!
	poll_until 10 listening "$B" 9000 u && on "$A" /usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)
for _ in range(2):
    s.sendto(b"".join(bytes([n]) * 1000 for n in range(4)) + b"\4" * 300, (sys.argv[1], 9000))
    time.sleep(0.5)' "$1"
	wait "$heard"
	cat "$TMP/datagrams"
	ofctl -O OpenFlow13 del-flows br0 "$udp" && ofctl -O OpenFlow13 del-flows br1 "dl_type=$3" &&
		[ "$(grep -o '(1000, {[0-3]})' "$TMP/datagrams" | wc -l) $(grep -o '(300, {4})' "$TMP/datagrams" | wc -l)" = "8 2" ]
}
datagrams_are_cut_under_a_label()
{
	datagrams_are_whole 10.2.0.2 "push_mpls:0x8847,set_field:7->mpls_label" 0x8847 pop_mpls:0x0800 &&
		datagrams_are_whole fd02::2 "push_mpls:0x8847,set_field:7->mpls_label" 0x8847 pop_mpls:0x86dd
}
super_packets_are_cut_under_nsh()
{
	wrapped_stream_is_whole 10.2.0.1 "encap(nsh(md_type=1)),set_field:0x1234->nsh_spi,encap(ethernet),set_field:02:00:00:00:00:09->eth_dst" 0x894f "decap(),decap()" 1552
}

# What is over its rate is dropped, counted by the meter and by the datapath.
meter_drops_what_is_too_much()
{
	ofctl -O OpenFlow13 add-meter br0 'meter=1,pktps,burst,stats,bands=type=drop,rate=5,burst_size=5' &&
		ofctl -O OpenFlow13 add-flow br0 "priority=9,icmp,in_port=$A,actions=meter:1,normal" && ovs_purge || return
	on "$A" ping -qi 0.01 -c 100 -W 1 10.2.0.2 | tee "$TMP/metered"
	ofctl -O OpenFlow13 meter-stats br0 | tee "$TMP/meter"
	ofctl -O OpenFlow13 del-flows br0 icmp && ofctl -O OpenFlow13 del-meters br0 &&
		grep -Eq '100 packets transmitted, ([5-9]|[1-3][0-9]) received' "$TMP/metered" && grep -q 'packet_in_count:100 ' "$TMP/meter" &&
		grep -Eq '^0: packet_count:[6-9][0-9]' "$TMP/meter" && ping_once "$A" 10.2.0.2
}

# Its qdisc is occupied: vswitchd says that it cannot police, and the port goes on.
policing_is_refused()
{
	vsctl set interface "$A" ingress_policing_rate=1000 ingress_policing_burst=100 &&
		poll_until 10 grep -q "$A: adding policing qdisc failed: File exists" "$OVS_DIR/vswitchd.log" &&
		fails grep ingress <(tc qdisc show dev "$A") && tc qdisc show dev "$A" | grep -q clsact &&
		vsctl set interface "$A" ingress_policing_rate=0 && ping_once "$A" 10.2.0.2
}
# A qdisc of ours goes with the port, another's stays.
qdiscs_are_left_as_they_were()
{
	ip link add q0 type veth peer name q1 && tc qdisc add dev q0 clsact && vsctl add-port br0 q0 -- add-port br0 q1 &&
		tc qdisc show dev q1 | grep -q clsact && vsctl del-port q0 -- del-port q1 &&
		poll_until 5 no_port q1 && fails grep clsact <(tc qdisc show dev q1) && tc qdisc show dev q0 | grep -q clsact
}
no_port()
{
	[ -z "$(port "$1")" ]
}

ovs_host
t bridges_come_up draw
[ $FAILED = 0 ] || finish
t bfd_comes_up bfd_comes_up
t cfm_comes_up cfm_comes_up
t lldp_neighbours_hear_each_other lldp_neighbours
t bfd_and_cfm_notice_silence silence_is_noticed
t stp_blocks_one_of_two_links stp_blocks_one_link
t stp_link_breaks stp_link_breaks
t lacp_negotiates lacp_negotiates
t balance_tcp_bond_uses_both_links balance_tcp_uses_both_links
t balance_tcp_bond_goes_on_with_one_link lone_link_carries_all
t active_backup_bond_fails_over active_backup_fails_over
t mirror_copies_to_a_port mirror_copies_to_a_port
t mirror_copies_into_a_vlan mirror_copies_into_a_vlan
t packets_without_an_ethernet_header_are_recirculated bare_packets_are_recirculated
t label_comes_behind_nat label_comes_behind_nat
t super_packets_are_cut_under_a_label super_packets_are_cut_under_a_label
t super_packets_with_options_are_cut_under_a_label super_packets_with_options_are_cut
t label_comes_off_in_the_same_list label_comes_off_in_the_same_list
t super_packets_are_cut_under_nsh super_packets_are_cut_under_nsh
t datagrams_are_cut_under_a_label datagrams_are_cut_under_a_label
t three_threads_execute_side_by_side three_threads_execute
t meter_drops_what_is_too_much meter_drops_what_is_too_much
t ingress_policing_is_refused_visibly policing_is_refused
t qdiscs_are_left_as_they_were qdiscs_are_left_as_they_were
t patch_ports_pass patch_ports_pass
t stp_other_link_takes_over stp_other_link_takes_over
finish
