#!/bin/bash
# timeout: 300
# beside: yes
# Helpers that see the whole payload under a real ovs-vswitchd: SIP calls with media through SNAT, UDP, TCP
# and IPv6, in IP fragments too; an FTP control connection whose segments come in fragments.
#
#   client A 10.1.1.1 fd01::1 ──────────────── A ┐
#   client F 10.3.0.2 ── R 10.1.1.3, MTU 420 ─ R br0 (datapath_type=bpf); A leaves as 10.1.1.240
#   server B 10.1.1.2 fd01::2 ──────────────── B ┘   or fd01::240, R's as 10.1.1.241
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
need jq ethtool tcpdump nstat

A=$T-a B=$T-b R=$T-r F=$T-f
export FTP_LARGE=100000
sipp_tree=$(fetch_closure sip-tester) || exit 1
sound=$sipp_tree/usr/share/sip-tester/g711a.pcap
ovs_cleanup()
{
	ovs_stop
	cleanup
}
trap ovs_cleanup EXIT

# OpenFlow knows ftp and tftp; bpf-sip-ports says where either means SIP. Fragments have no ports to
# match (ofctl set-frags): a flow for all of them may name a helper, but for IPv6, where later ones
# have no protocol either. There bpf-sip-fragments gives it.
pipeline()
{
	vsctl set open_vswitch . other_config:bpf-sip-ports=5060 && ofctl del-flows br0 && ofctl add-flows br0 - <<-'FLOWS'
		table=0,priority=100,arp,action=normal
		table=0,priority=100,icmp6,action=normal
		table=0,priority=50,ip,action=ct(nat,table=1)
		table=0,priority=50,ipv6,action=ct(nat,table=1)
		table=1,priority=90,udp,in_port=1,tp_dst=5060,ct_state=+new-rel,action=ct(commit,alg=tftp,nat(src=10.1.1.240)),2
		table=1,priority=90,udp,in_port=1,ip_frag=yes,ct_state=+new-rel,action=ct(commit,alg=tftp,nat(src=10.1.1.240)),2
		table=1,priority=90,tcp,in_port=1,tp_dst=5060,ct_state=+new-rel,action=ct(commit,alg=ftp,nat(src=10.1.1.240)),2
		table=1,priority=90,udp6,in_port=1,tp_dst=5060,ct_state=+new-rel,action=ct(commit,alg=tftp,nat(src=fd01::240)),2
		table=1,priority=80,ipv6,in_port=1,ip_frag=yes,ct_state=+new-rel,action=ct(commit,nat(src=fd01::240)),2
		table=1,priority=90,tcp,in_port=3,tp_dst=21,ct_state=+new-rel,action=ct(commit,alg=ftp,nat(src=10.1.1.241)),2
		table=1,priority=85,ct_state=+new+rel,in_port=1,ip,action=ct(commit,nat),2
		table=1,priority=85,ct_state=+new+rel,in_port=1,ipv6,action=ct(commit,nat),2
		table=1,priority=85,ct_state=+new+rel,in_port=2,ip,nw_dst=10.1.1.1,action=ct(commit,nat),1
		table=1,priority=85,ct_state=+new+rel,in_port=2,ip,nw_dst=10.1.1.240,action=ct(commit,nat),1
		table=1,priority=85,ct_state=+new+rel,in_port=2,ip,nw_dst=10.1.1.241,action=ct(commit,nat),3
		table=1,priority=85,ct_state=+new+rel,in_port=2,ipv6,action=ct(commit,nat),1
		table=1,priority=70,ct_state=-new+trk-inv,in_port=1,action=2
		table=1,priority=70,ct_state=-new+trk-inv,in_port=3,action=2
		table=1,priority=70,ct_state=-new+trk-inv,in_port=2,ip,nw_dst=10.3.0.2,action=3
		table=1,priority=60,ct_state=-new+trk-inv,in_port=2,action=1
	FLOWS
}

mac_of()
{
	on "$1" ip -j link show p0 | jq -r '.[0].address'
}

draw()
{
	ovs_start && vsctl add-br br0 -- set bridge br0 datapath_type=bpf || return
	ovs_port "$A" 10.1.1.1/24 fd01::1/64 && ovs_port "$B" 10.1.1.2/24 fd01::2/64 && ovs_port "$R" 10.1.1.3/24 && pipeline || return
	appctl dpctl/ipf-set-min-frag bpf@ovs-bpf v4 400
	net_ns "$F"
	net_link "$F" p0 "$R" f0 && on "$F" ip addr add 10.3.0.2/24 dev p0 && on "$R" ip addr add 10.3.0.1/24 dev f0 &&
		on "$F" ip route add default via 10.3.0.1 advmss 300 && on "$F" sysctl -qw net.ipv4.ip_no_pmtu_disc=1 &&
		on "$R" sysctl -qw net.ipv4.ip_forward=1 && on "$R" ip link set p0 mtu 420 || return
	on "$B" ip neigh replace 10.1.1.240 lladdr "$(mac_of "$A")" dev p0 &&
		on "$B" ip -6 neigh replace fd01::240 lladdr "$(mac_of "$A")" dev p0 &&
		on "$B" ip neigh replace 10.1.1.241 lladdr "$(mac_of "$R")" dev p0 &&
		on "$B" ip route add 10.3.0.0/24 via 10.1.1.3 &&
		ethtool -K "$A" tx off >/dev/null && ethtool -K "$B" tx off >/dev/null || return
	serve_vsftpd "$B"
}

# Every message gets 2,500 bytes more.
lengthen()
{
	local pad
	pad=$(head -c 2500 /dev/zero | tr '\0' x)
	program "$B" sip-tester sipp -sd uas 2>/dev/null >"$TMP/uas.xml"
	sed "s/^ *CSeq:/    X-Pad: $pad\n&/" tests/alg/sipp/call.xml >"$TMP/call_long.xml" &&
		sed "s/^ *\[last_CSeq:\]/      X-Pad: $pad\n&/" "$TMP/uas.xml" >"$TMP/uas_long.xml" &&
		cp tests/alg/sipp/call.xml "$TMP/call.xml"
}

bound()
{
	listening "$B" 5060 u || listening "$B" 5060
}
gone()
{
	! bound
}
# seen NS FILTER : a capture; its packets are counted by `captured`
seen()
{
	rm -f "$TMP/$1.err"
	on "$1" tcpdump -Qin -nni p0 --immediate-mode -U -w "$TMP/$1.pcap" "$2" >"$TMP/$1.err" 2>&1 &
	WATCHERS+=($!)
	poll_until 10 grep -q listening "$TMP/$1.err"
}
captured() # NS FILTER
{
	tcpdump -nnr "$TMP/$1.pcap" "$2" 2>/dev/null | wc -l
}
heard_enough()
{
	[ "$(captured "$A" "udp src port 6000")" -ge 60 ] || { echo "heard $(captured "$A" "udp src port 6000") packets of media"; return 1; }
}
expected()
{
	"$CTCTL" --instance ovs-bpf "$@"
}
media_is_over()
{
	[ "$(expected -j flow list -p udp --dport 6000 -u EXPECTED | jq length)" = 0 ] && [ "$(expected expect count)" = 0 ]
}

# call TRANSPORT CLIENT SERVER NAT [long] : a call with media both ways, and B was told NAT. By FROM, the
# client's port, those of one test are one connection or not.
FROM=5070
call()
{
	local transport=$1 client=$2 server=$3 nat=$4 long=${5:+_long} ret=0
	WATCHERS=()
	rm -f "$TMP/uas.log"
	serve_program "$B" sip-tester sipp -nostdin -sf "$TMP/uas$long.xml" -t "$transport" -i "$server" -p 5060 -rtp_echo -mp 6000 -mi "$server" \
		-trace_msg -message_file "$TMP/uas.log"
	poll_until 20 bound && seen "$A" "udp or ip[6:2] & 0x3fff != 0 or ip6[6] == 44" && seen "$B" "ip[6:2] & 0x3fff != 0 or ip6[6] == 44" || return
	program "$A" sip-tester timeout 30 sipp -nostdin -sf "$TMP/call$long.xml" -key sound "$sound" -t "$transport" -i "$client" -p "$FROM" -m 1 \
		"$server:5060" </dev/null >"$TMP/call.log" 2>&1 || ret=$?
	poll_until 5 heard_enough || ret=1
	kill "${WATCHERS[@]}" "${PIDS[-1]}"
	wait "${WATCHERS[@]}" 2>/dev/null
	[ "$ret" = 0 ] || { tail -n 30 "$TMP/call.log"; return 1; }
	poll_until 10 gone
	grep -qa "^c=IN IP[46] $nat" "$TMP/uas.log" || { echo "the server was not told $nat"; return 1; }
	poll_until 10 media_is_over
}
long_call()
{
	call "$@" long || return
	local there back
	there=$(captured "$B" "$5") back=$(captured "$A" "$5")
	echo "pieces at the server: $there, at the client: $back"
	[ "$there" -ge 6 ] && [ "$back" -ge 4 ]
}
# A connection that begins with a message in fragments.
begins_in_fragments()
{
	local FROM=$1
	long_call "${@:2}"
}
# By a flow that names no helper, and without leave, it is carried as it is.
without_leave_it_has_no_helper()
{
	hears 10 fd01::2 && on "$A" /usr/bin/python3 tests/lib/siplong.py send p0 "$(mac_of "$B")" fd01::1 fd01::2 5090 4000 0-1400 1400-2800 2800- || return
	wait "$hearing"
	cat "$TMP/heard"
	grep -q "^from fd01::240 contact fd01::1 media fd01::1 body whole pad whole " "$TMP/heard"
}
with_leave_it_has()
{
	vsctl set open_vswitch . other_config:bpf-sip-fragments=true && begins_in_fragments 5072 "$@"
}

# The listing while a connection is there: it names the helper.
helper_is_sip()
{
	appctl dpctl/dump-conntrack bpf@ovs-bpf >"$TMP/ct" && grep -q '^udp,orig=(src=10.1.1.1,dst=10.1.1.2,.*dport=5060.*helper=sip' "$TMP/ct" && return
	cat "$TMP/ct"
	return 1
}
# By hand, in pieces of any order, at the MTU, and what must not pass.
says() # PORT SIZE PIECE...
{
	on "$A" /usr/bin/python3 tests/lib/siplong.py send p0 "$(mac_of "$B")" 10.1.1.1 10.1.1.2 "$@"
}
hears() # SECONDS [ADDRESS]
{
	on "$B" /usr/bin/python3 tests/lib/siplong.py hear "${2:-10.1.1.2}" "$1" >"$TMP/heard" 2>&1 &
	hearing=$!
	poll_until 10 bound
}
arrives()
{
	hears 10 && says "$@" || return
	wait "$hearing"
	cat "$TMP/heard"
	grep -q "^from 10.1.1.240 contact 10.1.1.240 media 10.1.1.240 body whole pad whole " "$TMP/heard"
}
in_any_order()
{
	arrives 5081 4000 0-1400 1400-2800 2800- && arrives 5082 4000 2800- 0-1400 1400-2800 && arrives 5083 4000 1400-2800 2800- 0-1400 &&
		arrives 5081 4000 2800- 1400-2800 0-1400
}
outgrows()
{
	arrives 5088 1472 all
}
overlaps_do_not_pass()
{
	hears 1.5 && says 5081 4000 0-1400 1400-2800 "~1392-2800" 2800- || return
	wait "$hearing"
	cat "$TMP/heard"
	grep -qx nothing "$TMP/heard"
}

control_in_fragments()
{
	on "$F" timeout 40 /usr/bin/python3 tests/lib/ftplong.py 10.3.0.2 10.1.1.2 large 380 >"$TMP/got" 2>"$TMP/ftp.err" ||
		{ cat "$TMP/ftp.err"; expected stats; return 1; }
	cmp "$TMP/got" "$FTP_ROOT/large"
}
# R's kernel has cut it.
came_in_fragments()
{
	on "$R" nstat -asz IpFragCreates | awk '/IpFragCreates/ { n = $2 } END { exit !(n >= 2) }'
}

none_of_it_was_dropped()
{
	fails grep -E '^ *alg_(shape|lost) +[1-9]' <(expected stats)
}

ovs_host
t bridge_and_servers draw
[ $FAILED = 0 ] || finish
t messages_are_made_long lengthen
t call_over_udp_has_media_both_ways call u1 10.1.1.1 10.1.1.2 10.1.1.240
t helper_is_shown helper_is_sip
t call_over_tcp_has_media_both_ways call t1 10.1.1.1 10.1.1.2 10.1.1.240
t call_of_long_messages_has_media_both_ways long_call u1 10.1.1.1 10.1.1.2 10.1.1.240 "ip[6:2] & 0x3fff != 0"
t call_over_ipv6_has_media_both_ways call u1 "[fd01::1]" "[fd01::2]" fd01::240
t call_of_long_messages_over_ipv6_has_media_both_ways long_call u1 "[fd01::1]" "[fd01::2]" fd01::240 "ip6[6] == 44"
t call_that_begins_in_fragments_has_media_both_ways begins_in_fragments 5071 u1 10.1.1.1 10.1.1.2 10.1.1.240 "ip[6:2] & 0x3fff != 0"
t message_in_fragments_has_no_helper_without_leave without_leave_it_has_no_helper
t call_over_ipv6_that_begins_in_fragments_has_media_both_ways with_leave_it_has u1 "[fd01::1]" "[fd01::2]" fd01::240 "ip6[6] == 44"
t pieces_arrive_edited_in_whatever_order_they_came in_any_order
t message_that_outgrows_the_mtu_arrives outgrows
t overlapping_pieces_do_not_pass overlaps_do_not_pass
t ftp_control_segment_in_fragments_is_read control_in_fragments
t it_was_cut came_in_fragments
t nothing_was_lost_or_refused none_of_it_was_dropped
t tables_are_whole "$CTCTL" --instance ovs-bpf check
finish
