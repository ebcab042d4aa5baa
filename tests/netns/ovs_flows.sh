#!/bin/bash
# timeout: 600
# What vswitchd puts into the datapath comes back as it was put: each action and each field of the
# key goes through the datapath's own form (consumers/ovs/dp_abi.h) and back. What that form has
# not got is refused. `ovs-appctl dpctl/add-flow` reads, `dpctl/dump-flows` writes the text.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
need ping jq

ovs_cleanup()
{
	ovs_stop
	cleanup
}
trap ovs_cleanup EXIT

DP=bpf@ovs-bpf
IP='recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'
IP6='recirc_id(0),in_port(1),eth(),eth_type(0x86dd),ipv6(frag=no)'

# put KEY ACTIONS: alone in the table
put()
{
	appctl dpctl/del-flows "$DP" && appctl dpctl/add-flow "$DP" "$1" "$2"
}

same_actions()
{
	local key=$IP got
	case $1 in *fd0*) key=$IP6 ;; esac
	put "$key" "$1" || return
	got=$(appctl dpctl/dump-flows "$DP" | sed 's/.*actions://')
	[ "$got" = "${2:-$1}" ] || { echo "put '$1', got '$got'"; return 1; }
}

same_key()
{
	local got
	put "$1" 2 || return
	got=$(appctl dpctl/dump-flows "$DP" | sed 's/, packets:.*//')
	[ "$got" = "${2:-$1}" ] || { echo "put '$1', got '$got'"; return 1; }
}

# Nothing of it is in the table, and it was read: the datapath has said no.
refused()
{
	put "$1" "$2" 2>"$TMP/err" && { echo "was taken: $1 $2"; return 1; }
	cat "$TMP/err"
	grep -q 'updating flow table (Invalid argument)' "$TMP/err" && [ -z "$(appctl dpctl/dump-flows "$DP")" ]
}

each()
{
	local line
	while read -r line; do
		"$1" "$line" || return
	done
}

all_actions()
{
	each same_actions <<'END' || return
2
1,2,3
drop
userspace(pid=0,userdata(0102030405060708))
userspace(pid=0,userdata(0102030405060708),tunnel_out_port=3)
userspace(pid=0,controller(reason=1,dont_send=0,continuation=0,recirc_id=2,rule_cookie=0x5,controller_id=0,max_len=65535))
set(eth(src=02:00:00:00:00:07,dst=02:00:00:00:00:08)),2
set(eth(src=02:00:00:00:00:00/ff:ff:ff:00:00:00)),2
set(ipv4(src=1.2.3.4,tos=0x10/0xfc,ttl=63)),2
set(ipv4(dst=1.2.3.0/255.255.255.0)),2
set(tcp(src=80)),2
set(tcp(src=80,dst=81)),2
set(udp(dst=53)),2
set(sctp(dst=53)),2
set(ipv6(src=fd00::7,hlimit=64)),2
set(ipv6(dst=fd00::/ffff::,label=0x12345,tclass=0x3)),2
set(nd(target=fd00::1,sll=02:00:00:00:00:09)),2
set(icmp(type=3,code=4)),2
set(arp(sip=1.2.3.4,op=2)),2
set(arp(tip=1.2.3.0/255.255.255.0,sha=02:00:00:00:00:07,tha=00:00:00:00:00:08/00:00:00:00:00:ff)),2
set(nd(tll=02:00:00:00:00:09)),2
set(skb_mark(0x7)),2
set(skb_mark(0x7/0xff)),2
set(skb_priority(0x10001)),2
set(tunnel(tun_id=0x7,dst=10.9.9.9,ttl=64,flags(df|key))),2
set(tunnel(tun_id=0x7,src=10.9.9.1,dst=10.9.9.9,tos=0x4,ttl=64,flags(df|csum|key))),2
set(tunnel(tun_id=0x7,ipv6_dst=fd09::9,ttl=64,flags(key))),2
set(tunnel(tun_id=0x7,dst=10.9.9.9,ttl=64,tp_dst=4789,flags(df|key))),2
push_vlan(vid=7,pcp=3),2
push_vlan(tpid=0x88a8,vid=7,pcp=3),push_vlan(vid=8,pcp=0),2
pop_vlan,2
ct
ct(commit)
ct(commit,zone=7,mark=0x1/0xff,label=0x102/0xffff)
ct(force_commit,zone=65535,timeout=3)
ct(commit,helper=ftp)
ct(commit,zone=3,helper=tftp,nat(src=1.2.3.4))
ct(commit,helper=sip)
ct(commit,nat(src=1.2.3.4))
ct(commit,nat(src=1.2.3.4-1.2.3.9:100-200,persistent,hash))
ct(commit,nat(dst=1.2.3.4:80,random))
ct(commit,nat(src=fd00::1-fd00::9))
ct(commit,nat(dst=[fd00::1]:80))
ct(zone=3,nat)
ct_clear,2
sample(sample=50.0%,actions(2)),3
sample(sample=12.5%,actions(set(skb_mark(0x1)),2,sample(sample=25.0%,actions(3)))),3
clone(push_vlan(vid=7,pcp=0),2),3
clone(clone(clone(clone(2))))
check_pkt_len(size=200,gt(2),le(3))
check_pkt_len(size=200,gt(clone(2,3),1),le(drop))
trunc(100),2
meter(5),2
clone(add_mpls(label=2,tc=0,ttl=64,bos=1,eth_type=0x8847),3),2
ct(commit,nat(src=1.2.3.4)),set(ipv4(ttl=63)),add_mpls(label=2,tc=0,ttl=64,bos=1,eth_type=0x8847),set(eth(dst=02:00:00:00:00:09)),2
meter(5),trunc(100),add_mpls(label=2,tc=0,ttl=64,bos=1,eth_type=0x8847),2
push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x1234,si=255,c1=0x11223344,c2=0x0,c3=0x0,c4=0x0),2
1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1
END
	same_actions 'recirc(9)' 'recirc(0x9)' && same_actions 'ct(zone=3,nat),recirc(9)' 'ct(zone=3,nat),recirc(0x9)'
}

all_fields()
{
	each same_key <<'END' || return
recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)
recirc_id(0x7),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)
recirc_id(0),dp_hash(0x3/0xf),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)
skb_priority(0x1),skb_mark(0x7/0xff),recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=first)
recirc_id(0),in_port(1),eth(src=02:00:00:00:00:01,dst=01:00:00:00:00:00/01:00:00:00:00:00),eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.0/255.255.255.0,op=1,sha=02:00:00:00:00:01)
recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,proto=6,tos=0x10/0xfc,ttl=64,frag=no),tcp(src=80,dst=32768/0x8000)
recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(src=80),tcp_flags(+syn-ack)
recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=later)
recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=132,frag=no),sctp(src=1,dst=2)
recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=1,frag=no),icmp(type=8,code=0)
recirc_id(0),in_port(1),eth(),eth_type(0x86dd),ipv6(src=fd00::/ffff:ffff::,label=0x12345,proto=58,tclass=0xb8,hlimit=255,frag=no),icmpv6(type=135,code=0),nd(target=fd00::1,sll=02:00:00:00:00:01)
recirc_id(0),in_port(1),eth(),eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x0800),ipv4(frag=no))
ct_state(+est+rpl),ct_zone(0x7),ct_mark(0x1/0xff),ct_label(0x2/0xffff),recirc_id(0x1),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)
ct_state(+trk),ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=6,tp_src=1,tp_dst=2),recirc_id(0x1),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)
tunnel(tun_id=0x7,src=10.9.9.1,dst=10.9.9.2,ttl=64,flags(-df-csum+key)),recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)
tunnel(tun_id=0x7,ipv6_src=fd09::1,ipv6_dst=fd09::2,ttl=64,flags(-df+csum+key)),recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)
END
	# This one it writes in another way than it reads.
	local tuple='ct_state(+trk),ct_tuple6(src=fd00::1,dst=fd00::2,proto=6,tp_src=1,tp_dst=2),recirc_id(0x1),in_port(1),eth(),eth_type(0x86dd),ipv6(frag=no)'
	same_key "$tuple" "$(echo "$tuple" | sed 's/tp_src/src_port/; s/tp_dst/dst_port/')"
}

refuse_action()
{
	refused "$IP" "$1"
}

lacking_actions()
{
	each refuse_action <<'END'
trunc(13),2
push_vlan(vid=7,pcp=3,cfi=0),2
pop_nsh(),2
add_mpls(label=2,tc=0,ttl=64,bos=1,eth_type=0x8847),push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x1234,si=255,c1=0x0,c2=0x0,c3=0x0,c4=0x0),2
add_mpls(label=2,tc=0,ttl=64,bos=1,eth_type=0x800),2
add_mpls(label=2,tc=0,ttl=64,bos=1,eth_type=0x8847),set(ipv4(ttl=3)),2
ct(commit,helper=irc)
ct(commit,timeout=256)
ct(commit,timeout=nobody)
ct(nat(src=1.2.3.4))
set(tunnel(tun_id=0x7,dst=10.9.9.9,ttl=64,vxlan(gbp(id=5,flags=0)),flags(df|key))),2
set(tunnel(tun_id=0x7,dst=10.9.9.9,ttl=64,tp_src=5,flags(df|key))),2
1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1
clone(clone(clone(clone(clone(2)))))
END
}

# The outer port is the device's: another cannot be set.
outer_port()
{
	local n set='set(tunnel(tun_id=0x7,dst=10.9.9.9,ttl=64,tp_dst=%s,flags(df|key)))'
	vsctl add-port br0 vx -- set interface vx type=vxlan options:remote_ip=flow options:key=flow || return
	n=$(appctl dpctl/show "$DP" | sed -n 's/^ *port \([0-9]*\): vxlan_sys_4789.*/\1/p')
	[ -n "$n" ] || { appctl dpctl/show "$DP"; return 1; }
	# shellcheck disable=SC2059
	same_actions "$(printf "$set" 4789),$n" && refuse_action "$(printf "$set" 4790),$n" && refuse_action "clone($(printf "$set" 4790),$n),2"
}

refuse_key()
{
	refused "$1" 2
}

lacking_fields()
{
	each refuse_key <<'END'
recirc_id(0),in_port(1),eth(),eth_type(0x8847),mpls(label=1)
recirc_id(0),in_port(1),packet_type(ns=1,id=0x800),eth_type(0x0800),ipv4(frag=no)
tunnel(tun_id=0x7,src=10.9.9.1,dst=10.9.9.2,ttl=64,tp_src=5,flags(-df-csum+key)),recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)
END
}

# Netlink attributes that no text can say: cut, and with each byte changed.
malformed_attributes()
{
	sanitized malformed
}
sanitized() # PROGRAM
{
	flock "$O/.ovs-lock" make -s O="${O#"$PWD"/}" OVS_TREE="$OVS_TREE" "${O#"$PWD"/}/tests/ovs/$1" && "$O/tests/ovs/$1"
}
# Good ones, and with each byte of their headers changed.
super_packets_are_cut()
{
	sanitized segments
}

# The same flow twice, another action, a flow that is not there.
put_get_del()
{
	local ufid=ufid:11111111-2222-3333-4444-555555555555
	put "$ufid,$IP" 2 && fails appctl dpctl/add-flow "$DP" "$ufid,$IP" 3 && # nor by another name
		fails appctl dpctl/add-flow "$DP" "ufid:11111111-2222-3333-4444-666666666666,$IP" 3 2>"$TMP/err" && grep -q 'File exists' "$TMP/err" &&
		appctl dpctl/mod-flow "$DP" "$ufid,$IP" 4 && appctl dpctl/get-flow "$DP" "$ufid" | grep -q "actions:4" &&
		appctl dpctl/dump-flows -m "$DP" | grep -q "^$ufid,.*actions:4" &&
		appctl dpctl/del-flow "$DP" "$ufid,$IP" && fails appctl dpctl/del-flow "$DP" "$ufid,$IP" &&
		fails appctl dpctl/mod-flow "$DP" "$ufid,$IP" 4
}

counted()
{
	local got
	got=$(appctl dpctl/get-flow "$DP" "$1")
	[[ $got = *"packets:$2, bytes:$((60 * $2)),"* ]] || { echo "not $2 packets: $got"; return 1; }
}
# What a flow has counted stays when its actions change, unless that is asked for; another flow's is its own.
statistics_outlive_a_change()
{
	local ufid=ufid:21111111-2222-3333-4444-555555555555 none=ufid:21111111-2222-3333-4444-555555555556 key
	key="recirc_id(0),in_port($(port_number br0)),eth(),eth_type(0x88b5)"
	ip link set br0 up && put "$ufid,$key" drop && frames br0 3 && counted "$ufid" 3 &&
		appctl dpctl/mod-flow "$DP" "$ufid,$key" 99 && counted "$ufid" 3 && frames br0 2 && counted "$ufid" 5 &&
		fails appctl dpctl/get-flow "$DP" "$none" && appctl dpctl/mod-flow --clear "$ufid,$key" drop && counted "$ufid" 0 &&
		frames br0 1 && counted "$ufid" 1 && appctl dpctl/del-flows "$DP"
}

# What `dpctl/show` counts, and the time and the flags of a flow.
looked_up() # hit|missed|lost, or flows, or total (masks)
{
	appctl dpctl/show "$DP" | sed -n "s/.*\b$1: *\([0-9]*\).*/\1/p" | head -n 1
}
datapath_is_counted()
{
	local ufid=ufid:41111111-2222-3333-4444-555555555555 hit missed key used
	key="recirc_id(0),in_port($(port_number br0)),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp()"
	ip link set br0 up && appctl dpctl/del-flows "$DP" || return
	missed=$(looked_up missed)
	frames br0 2 && [ "$(looked_up missed)" -gt "$missed" ] || return
	poll_until 5 table_is_empty && appctl dpctl/add-flow "$DP" "$ufid,$key,tcp_flags(0/0)" drop || return
	appctl dpctl/show "$DP"
	[ "$(looked_up flows)" -ge 1 ] && [ "$(looked_up total)" -ge 1 ] || return
	hit=$(looked_up hit)
	# SYN, then ACK
	segment 02 && segment 10 && [ "$(looked_up hit)" -ge $((hit + 2)) ] && sleep 1.5 || return
	used=$(appctl dpctl/get-flow "$DP" "$ufid")
	echo "$used"
	[[ $used = *"packets:2, "* && $used = *"flags:S."* && $used =~ used:([0-9]+)\. ]] && [ "${BASH_REMATCH[1]}" -ge 1 ] &&
		[ "${BASH_REMATCH[1]}" -le 10 ] && poll_until 5 table_is_empty
}
# (The host says something by br0 now and then.)
table_is_empty()
{
	appctl dpctl/del-flows "$DP" && [ "$(looked_up flows) $(looked_up total)" = '0 0' ]
}
segment() # FLAGS
{
	/usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("br0", 0))
s.send(bytes.fromhex("ffffffffffff0200000000070800" + "4500002800004000400626c20a0900010a090002" + "000700090000000000000000" + "50" + sys.argv[1] + "ffff00000000") + bytes(6))' "$1"
}

# meter CONFIG PACKETS : that many frames at once by a meter of the bridge's own; what its statistics say
meter()
{
	local id
	ofctl -O OpenFlow13 add-meter br0 "meter=1,$1" && ofctl -O OpenFlow13 add-flow br0 dl_type=0x88b5,actions=meter:1,controller &&
		id=$(appctl ofproto/trace br0 in_port=LOCAL,dl_type=0x88b5 | sed -n 's/^Datapath actions: meter(\([0-9]*\)).*/\1/p') && [ -n "$id" ] &&
		put "recirc_id(0),in_port($(port_number br0)),eth(),eth_type(0x88b5)" "meter($id),99" &&
		frames br0 "$2" && ofctl -O OpenFlow13 meter-stats br0 | tee "$TMP/meter" || return
	tr '\n' ' ' <"$TMP/meter" >"$TMP/meter.line"
}
# Packets or bits, with the burst that was asked for or that of a tenth of a second; 480 bits a frame.
meters_are_as_they_were_set()
{
	local before
	meter pktps,burst,stats,bands=type=drop,rate=1,burst_size=3 6 && grep -q 'packet_in_count:6 byte_in_count:360 .*0: packet_count:3 byte_count:180' "$TMP/meter.line" &&
		ofctl -O OpenFlow13 del-meters br0 && meter kbps,burst,stats,bands=type=drop,rate=1,burst_size=1 6 &&
		grep -q 'packet_in_count:6 byte_in_count:360 .*0: packet_count:4 byte_count:240' "$TMP/meter.line" &&
		ofctl -O OpenFlow13 del-meters br0 && meter pktps,stats,bands=type=drop,rate=2 6 && grep -q '0: packet_count:5 byte_count:300' "$TMP/meter.line" &&
		ofctl -O OpenFlow13 del-meters br0 || return
	# One that has gone lets all pass.
	before=$(metered)
	frames br0 5 && [ "$(metered)" = "$before" ] && appctl dpctl/del-flows "$DP"
}
metered()
{
	"$CTCTL" --instance ovs-bpf stats | awk '$1 == "ovs_meter" { print $2 }'
}

# A new vswitchd knows the flows of the one before with names, actions and cookies, which stay theirs while others come and go.
flows_are_taken_over()
{
	local ufid=ufid:3111111%d-2222-3333-4444-555555555555 key before n shared='set(skb_mark(0x31)),userspace(pid=0,userdata(0a0b0c)),2'
	key="recirc_id(0),in_port($(port_number br0)),eth(src=02:00:00:00:00:0%d),eth_type(%s)"
	vsctl set open_vswitch . other_config:flow-restore-wait=true && appctl dpctl/del-flows "$DP" || return
	# shellcheck disable=SC2059
	for n in 1 2 3; do
		appctl dpctl/add-flow "$DP" "$(printf "$ufid,$key" "$n" "$n" 0x88b6)" "$shared" || return
	done
	# shellcheck disable=SC2059
	appctl dpctl/add-flow "$DP" "$(printf "$ufid,$key" 7 7 0x88b5)" drop && before=$(known) && ovs_kill && ovs_vswitchd && poll_until 20 appctl dpctl/show "$DP" || return
	[ "$(known)" = "$before" ] || { echo "$before"; echo "then:"; known; return 1; }
	# shellcheck disable=SC2059
	frames br0 3 && counted "$(printf "$ufid" 7)" 3 && appctl dpctl/del-flow "$DP" "$(printf "$ufid" 1)" && sleep 1.7 || return
	# More than there were, so that whatever is taken to be free is written to.
	for n in $(seq 900); do
		# shellcheck disable=SC2059
		echo "$(printf "ufid:32111111-0000-0000-0000-%012x" "$n"),$(printf "$key" 8 "$(printf 0x%x $((0x9000 + n)))")" \
			"set(skb_mark($n)),set(skb_priority($n)),userspace(pid=0,userdata(0102$(printf %04x "$n")))"
	done >"$TMP/more"
	appctl dpctl/add-flows "$DP" "$TMP/more" && [ "$(looked_up flows)" -ge 903 ] || return
	[ "$(known | grep -v '^ufid:32')" = "$(echo "$before" | grep -v '^ufid:31111111')" ] || { echo "$before"; echo "then:"; known; return 1; }
	vsctl remove open_vswitch . other_config flow-restore-wait && poll_until 20 none_of_them && appctl revalidator/pause
}
known()
{
	appctl dpctl/dump-flows -m "$DP" | sed 's/ packets:.*actions:/ actions:/' | sort
}
none_of_them()
{
	! known | grep '^ufid:3[12]11111'
}

# A packet of the controller's own came by no port; what ct() leads to is found by an upcall all the same, many times.
controllers_packets_are_tracked()
{
	local n before frame=ffffffffffff0200000000070800 # from 10.9.0.1 to 10.9.0.2, UDP
	frame+=4500013000004000401125a90a0900010a09000200070009011c0000%0552d
	# shellcheck disable=SC2059
	frame=$(printf "$frame" 0)
	before=$(received) && ip link set br0 up && ofctl add-flow br0 table=1,ct_state=+new+trk,ct_zone=3,actions=local || return
	for n in $(seq 120); do
		ofctl packet-out br0 "in_port=controller packet=$frame actions=ct(commit,zone=3,table=1)" || return
	done
	poll_until 10 received_are $((before + 120))
}
received()
{
	cat /sys/class/net/br0/statistics/rx_packets
}
received_are()
{
	[ "$(received)" -ge "$1" ]
}

# A port that is taken out of the bridge is the host's device again, as it was.
ports_leave_nothing()
{
	local before
	net_ns "$T-x" && ip link add x0 type veth peer name p0 netns "$T-x" && ip addr add 10.9.0.1/24 dev x0 && ip link set x0 up &&
		on "$T-x" ip addr add 10.9.0.2/24 dev p0 && on "$T-x" ip link set p0 up && poll_until 10 asks_host || return
	before=$(promiscuity)
	vsctl add-port br0 x0 && [ "$(promiscuity)" -gt "$before" ] && fails asks_host && vsctl del-port x0 && poll_until 10 asks_host &&
		[ "$(promiscuity)" = "$before" ] && [ -z "$(port_number x0)" ]
}
asks_host()
{
	on "$T-x" ping -qc 1 -W 1 10.9.0.1
}
promiscuity()
{
	ip -d -j link show x0 | jq '.[0].promiscuity'
}

# More masks of one port than a packet may have to look at; another port has its own.
masks_are_bounded()
{
	local n m taken=0
	appctl dpctl/del-flows "$DP" || return
	for n in $(seq 0 131); do
		m="ipv4(src=10.0.0.0/$(mask $((n / 12 + 8))),dst=10.0.0.0/$(mask $((n % 12 + 8))),frag=no)"
		appctl dpctl/add-flow "$DP" "$(printf 'ufid:%08x-0000-0000-0000-000000000000' "$n"),recirc_id(0),in_port(1),eth(),eth_type(0x0800),$m" 2 2>"$TMP/err" &&
			taken=$((taken + 1))
	done
	echo "$taken masks taken: $(head -n 1 "$TMP/err")"
	# Fewer where packets of the port (ND) have had flows put meanwhile.
	[ "$taken" -ge 120 ] && [ "$taken" -le 128 ] && grep -q 'No space left' "$TMP/err" &&
		appctl dpctl/add-flow "$DP" "recirc_id(0),in_port(2),eth(),eth_type(0x0800),ipv4(frag=no)" 2
}

mask()
{
	local m=$((0xffffffff << (32 - $1) & 0xffffffff))
	echo "$((m >> 24)).$((m >> 16 & 255)).$((m >> 8 & 255)).$((m & 255))"
}

# What ofproto has found by probing it. (Two tags with other_config:vlan-limit alone, as everywhere.)
features()
{
	local want
	appctl dpif/show-dp-features br0 | tee "$TMP/features"
	while read -r want; do
		grep -qx "$want" "$TMP/features" || { echo "not found: $want"; return 1; }
	done <<'END'
Masked set action: Yes
Ufid: Yes
Truncate action: Yes
Clone action: Yes
Conntrack clear: Yes
Max dp_hash algorithm: 1
Check pkt length action: Yes
Conntrack timeout policy: Yes
Conntrack all-zero IP SNAT: Yes
MPLS Label add: Yes
Recirc: Yes
CT state: Yes
CT zone: Yes
CT mark: Yes
CT label: Yes
CT state NAT: Yes
CT orig tuple: Yes
CT orig tuple for IPv6: Yes
END
}
two_tags_by_vlan_limit()
{
	appctl revalidator/resume && vsctl set open_vswitch . other_config:vlan-limit=2 -- del-br br0 && poll_until 10 test ! -e /sys/fs/bpf/bpfct/ovs-bpf &&
		vsctl add-br br0 -- set bridge br0 datapath_type=bpf && appctl dpif/show-dp-features br0 | grep -x "Max VLAN headers: 2" &&
		appctl revalidator/pause && same_key 'recirc_id(0),in_port(1),eth(),eth_type(0x88a8),vlan(vid=7,pcp=3),encap(eth_type(0x8100),vlan(vid=8,pcp=0),encap(eth_type(0x0800),ipv4(frag=no)))'
}

draw()
{
	ovs_start && vsctl add-br br0 -- set bridge br0 datapath_type=bpf && appctl revalidator/pause
}

ovs_host
t bridge_comes_up draw
[ $FAILED = 0 ] || finish
t features_are_found features
t actions_come_back_as_they_were_put all_actions
t fields_come_back_as_they_were_put all_fields
t actions_that_it_lacks_are_refused lacking_actions
t another_outer_port_is_refused outer_port
t fields_that_it_lacks_are_refused lacking_fields
t malformed_attributes_are_refused malformed_attributes
t super_packets_are_cut_as_their_headers_say super_packets_are_cut
t flows_are_put_changed_and_deleted_by_ufid put_get_del
t statistics_outlive_a_change statistics_outlive_a_change
t datapath_is_counted datapath_is_counted
t meters_are_as_they_were_set meters_are_as_they_were_set
t ports_leave_nothing ports_leave_nothing
t controllers_packets_are_tracked controllers_packets_are_tracked
t masks_of_a_port_are_bounded masks_are_bounded
t flows_are_taken_over_with_what_they_name flows_are_taken_over
t two_tags_are_matched_where_they_are_allowed two_tags_by_vlan_limit
finish
