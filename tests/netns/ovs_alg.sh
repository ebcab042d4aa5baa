#!/bin/bash
# timeout: 600
# beside: yes
# ct(alg=ftp|tftp) under a real ovs-vswitchd, with real servers and clients, through SNAT: the
# control channel is edited, its data connections are related, and both outlive vswitchd.
#
#   client A 10.1.1.1 ── A ┐
#                         br0 (datapath_type=bpf), A's connections leave as 10.1.1.240
#   server B 10.1.1.2 ── B ┘
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh
# shellcheck source=tests/lib/ovs.sh
. tests/lib/ovs.sh
need curl jq ethtool nft

A=$T-a B=$T-b
export FTP_LARGE=300000
ovs_cleanup()
{
	ovs_stop
	cleanup
}
trap ovs_cleanup EXIT

# Nobody but A opens a connection, but what an expectation admits: that has its master's label from its first packet on.
pipeline()
{
	ofctl del-flows br0 && ofctl add-flows br0 - <<-'FLOWS'
		table=0,priority=100,arp,action=normal
		table=0,priority=50,ip,action=ct(nat,table=1)
		table=1,priority=90,tcp,in_port=1,tp_dst=21,ct_state=+new-rel,action=ct(commit,alg=ftp,nat(src=10.1.1.240),exec(set_field:7->ct_mark,set_field:9->ct_label)),2
		table=1,priority=90,tcp,in_port=1,tp_dst=2100,ct_state=+new-rel,action=ct(commit,alg=ftp,nat(src=10.1.1.240),exec(set_field:9->ct_label)),2
		table=1,priority=90,udp,in_port=1,tp_dst=69,ct_state=+new-rel,action=ct(commit,alg=tftp,nat(src=10.1.1.240),exec(set_field:9->ct_label)),2
		table=1,priority=80,ip,in_port=1,ct_state=+new+rel,ct_label=9,action=ct(commit,nat),2
		table=1,priority=80,ip,in_port=2,ct_state=+new+rel,ct_label=9,action=ct(commit,nat),1
		table=1,priority=70,ip,in_port=1,ct_state=-new+trk-inv,action=2
		table=1,priority=70,ip,in_port=2,ct_state=-new+trk-inv,action=1
	FLOWS
}

draw()
{
	ovs_start && vsctl add-br br0 -- set bridge br0 datapath_type=bpf || return
	ovs_port "$A" 10.1.1.1/24 && ovs_port "$B" 10.1.1.2/24 && pipeline || return
	on "$B" ip neigh replace 10.1.1.240 lladdr "$(on "$A" ip -j link show p0 | jq -r '.[0].address')" dev p0 &&
		ethtool -K "$A" tx off >/dev/null && ethtool -K "$B" tx off >/dev/null || return
	serve_vsftpd "$B"
	serve "$B" /usr/bin/python3 tests/lib/ftp_fake.py server 2100 "$TMP/fake.log"
	mkdir -p "$TMP/tftp" && chmod 755 "$TMP" "$TMP/tftp" && cp "$FTP_ROOT/large" "$TMP/tftp/file" && chmod 644 "$TMP/tftp/file"
	serve_program "$B" tftpd-hpa in.tftpd -L -u nobody -s "$TMP/tftp"
	poll_until 20 listening "$B" 69 u
}

# fetches URL [OPTION...]
fetches()
{
	rm -f "$TMP/got"
	on "$A" curl -sS --max-time 15 -o "$TMP/got" "$@" && cmp "$TMP/got" "$FTP_ROOT/large"
}

# What B sees is 10.1.1.240, in the PORT too: it is longer than 10.1.1.1, so numbers are adjusted.
active_through_nat()
{
	fetches ftp://10.1.1.2/large --ftp-port - --disable-eprt && fetches ftp://10.1.1.2/large --ftp-port -
}

passive_through_nat()
{
	fetches ftp://10.1.1.2/large --disable-epsv && fetches ftp://10.1.1.2/large
}

# A server that connects to what PORT names before it answers, as that of OVS's own tests does
server_connects_before_it_answers()
{
	on "$A" timeout 30 /usr/bin/python3 tests/lib/ftp_fake.py client 10.1.1.2 2100 read line:NOOP read 'line:SITE 230 in' read \
		'line:SITE CONNECT=before' read listen:51240 'line:PORT 10,1,1,1,200,40' read >"$TMP/said"
	cat "$TMP/said"
	grep -qx "200 connected" "$TMP/said"
}

tftp_through_nat()
{
	fetches tftp://10.1.1.2/file
}

dump()
{
	appctl dpctl/dump-conntrack bpf@ovs-bpf >"$TMP/ct"
}

# The data connection came from B to the address that it knows, and has its master's mark and label.
helper_and_mark_are_shown()
{
	dump && grep -q '^tcp,orig=(src=10.1.1.1,dst=10.1.1.2,.*dport=21),reply=(src=10.1.1.2,dst=10.1.1.240,.*mark=7,.*helper=ftp' "$TMP/ct" &&
		grep -q '^tcp,orig=(src=10.1.1.2,dst=10.1.1.240,.*reply=(src=10.1.1.1,dst=10.1.1.2,.*mark=7,labels=0x9' "$TMP/ct" &&
		grep -q '^udp,.*helper=tftp' "$TMP/ct" && return
	cat "$TMP/ct"
	return 1
}

# A control connection by hand: say LINE, and what the server answers.
open_control()
{
	coproc CONTROL { on "$A" /usr/bin/python3 -u -c '
import socket, sys
s = socket.create_connection(("10.1.1.2", 21), 10)
f = s.makefile("r")
print(f.readline().rstrip(), flush=True)
for line in sys.stdin:
    s.sendall(line.encode().replace(b"\n", b"\r\n"))
    s.settimeout(30)
    print(f.readline().rstrip(), flush=True)'; }
	control=$!
	heard 220 && say "USER anonymous" 230
}
heard()
{
	local line
	read -r -t 30 line <&"${CONTROL[0]}" && [[ $line = $1* ]] && return
	echo "not $1: $line"
	return 1
}
say()
{
	echo "$1" >&"${CONTROL[1]}" && heard "$2"
}

expected()
{
	"$CTCTL" --instance ovs-bpf expect list
}
one_is_expected()
{
	[ "$(expected | wc -l)" = 1 ]
}
none_is_expected()
{
	[ "$(expected | wc -l)" = 0 ]
}

# An expectation lives as long as its master.
flush_takes_expectations()
{
	open_control && say "PORT 10,1,1,1,200,10" 200 && poll_until 5 one_is_expected &&
		appctl dpctl/flush-conntrack && poll_until 10 none_is_expected
	local rc=$?
	expected
	kill "$control" 2>/dev/null
	wait "$control" 2>/dev/null
	return "$rc"
}

# One control connection from before to after; its numbers have been adjusted already. The old
# flows forward until the new vswitchd has its own, helped payload too.
control_goes_on_after()
{
	open_control && say "PORT 10,1,1,1,200,10" 200 || return
	vsctl set open_vswitch . other_config:flow-restore-wait=true
	"$1" && ovs_vswitchd && say NOOP 200 && pipeline && vsctl remove open_vswitch . other_config flow-restore-wait || return
	say NOOP 200 && say "PORT 10,1,1,1,200,12" 200 && poll_until 5 one_is_expected && say NOOP 200 && active_through_nat
	local rc=$?
	kill "$control" 2>/dev/null
	wait "$control" 2>/dev/null
	return "$rc"
}

all_is_acknowledged()
{
	[ -z "$(on "$B" ss -Htn sport = :21 | awk '$3 > 0')" ]
}

# Half a line is acknowledged for the server, by whose last packet's way nothing goes any more; he is
# deaf meanwhile, so that he cannot open another.
half_a_line_without_flows()
{
	coproc CONTROL { on "$A" /usr/bin/python3 -u -c '
import fcntl, socket, struct, sys, termios, time
s = socket.create_connection(("10.1.1.2", 21), 10)
f = s.makefile("r")
print(f.readline().rstrip())
s.sendall(b"USER anonymous\r\n")
print(f.readline().rstrip())
sys.stdin.readline()
s.sendall(b"PORT 10,1,1,1,20")
end = time.monotonic() + 15
while left := struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, bytes(4)))[0]:
    if time.monotonic() > end:
        break
    time.sleep(0.05)
print("acknowledged" if not left else "not acknowledged")
s.sendall(b"0,10\r\n")
s.settimeout(30)
print(f.readline().rstrip())'; }
	local control=$! rc=0
	heard 220 && heard 230 && poll_until 5 all_is_acknowledged && on "$B" nft "add table ip deaf; add chain ip deaf in { type filter hook input priority 0; policy drop; }" &&
		appctl dpctl/del-flows bpf@ovs-bpf && echo >&"${CONTROL[1]}" && heard acknowledged && on "$B" nft delete table ip deaf && heard 200 || rc=1
	on "$B" nft delete table ip deaf 2>/dev/null
	kill "$control" 2>/dev/null
	wait "$control" 2>/dev/null
	return "$rc"
}

strangers_do_not_pass()
{
	fails on "$B" curl -s --max-time 1 http://10.1.1.1:51212/
}

ovs_host
t bridge_and_servers draw
t active_through_nat active_through_nat
t passive_through_nat passive_through_nat
t server_connects_before_it_answers server_connects_before_it_answers
t tftp_through_nat tftp_through_nat
t helper_and_mark_are_shown helper_and_mark_are_shown
t strangers_do_not_pass strangers_do_not_pass
t half_a_line_is_acknowledged_when_flows_have_gone half_a_line_without_flows
t flush_takes_expectations flush_takes_expectations
t control_goes_on_after_exit control_goes_on_after ovs_end
t control_goes_on_after_kill control_goes_on_after ovs_kill
t tables_are_whole "$CTCTL" --instance ovs-bpf check
finish
