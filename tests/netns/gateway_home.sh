#!/bin/bash
# examples/home.conf as it stands: what it promises works, and stops when its rule
# is taken out.
#
#   house1 10.0.1.2 ── eth1 ┐
#   fd00:1::2               router eth0 203.0.113.1 ── provider 203.0.113.2, 2001:db8:2::2
#   house2 10.0.2.2 ── eth2 ┘           2001:db8:2::1  (knows no way to the house)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

H1=$T-h1 H2=$T-h2
net_ns "$H1" "$H2" "$R" "$S"
net_link "$R" eth0 "$S" s0
net_link "$R" eth1 "$H1" h0
net_link "$R" eth2 "$H2" h0
net_addr "$R" eth0 "$RW4/24" "$RW6/64"
net_addr "$S" s0 "$S4/24" "$S6/64" 192.168.77.1/24
net_addr "$R" eth1 10.0.1.1/24 fd00:1::1/64
net_addr "$R" eth2 10.0.2.1/24 fd00:2::1/64
net_addr "$H1" h0 10.0.1.2/24 fd00:1::2/64
net_addr "$H2" h0 10.0.2.2/24 fd00:2::2/64
for ns in "$H1" "$H2"; do
	gw=${ns#"$T-h"}
	on "$ns" ip route add default via "10.0.$gw.1"
	on "$ns" ip -6 route add default via "fd00:$gw::1"
done
on "$R" ip route add default via "$S4"
on "$R" ip -6 route add default via "$S6"
on "$R" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

start_ctd "$R" examples/home.conf
serve_echo "$S" 80 443
serve_echo "$R" 22 53
serve_echo "$H1" 22

reach()
{
	WAIT=2 echo_from "$@"
}
# A client that takes the broadcast answer by a socket, as some DHCP clients do
dhcp_answer()
{
	on "$R" timeout 10 /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.bind(("", 68))
s.settimeout(1.5)
print("bound", flush=True)
s.recv(100)' >"$TMP/dhcp" 2>&1 &
	local pid=$!
	poll_until 10 grep -q bound "$TMP/dhcp" || return
	on "$S" /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"s0")
s.bind(("203.0.113.2", 67))
s.sendto(b"offer", ("255.255.255.255", 68))'
	wait "$pid"
}
masqueraded()
{
	[[ $(reach "$1" tcp "$2" 443) == "$3 "* ]]
}
house_1_v4() { masqueraded "$H1" "$S4" "$RW4"; }
house_1_v6() { masqueraded "$H1" "$S6" "$RW6"; }
house_2_v4() { masqueraded "$H2" "$S4" "$RW4"; }
house_2_v6() { masqueraded "$H2" "$S6" "$RW6"; }
dns_from_the_house() { reach "$H1" udp 10.0.1.1 53 && reach "$H2" udp fd00:2::1 53; }
ssh_from_the_house() { reach "$H1" tcp 10.0.1.1 22; }
ssh_between_houses() { reach "$H2" tcp 10.0.1.2 22; }
ssh_from_outside() { reach "$S" tcp "$RW4" 22 && reach "$S" tcp "$RW6" 22; }
ping_from_outside() { on "$S" ping -c 1 -W 2 "$RW4"; }
ping6_from_outside() { on "$S" ping -6 -c 1 -W 2 "$RW6"; }
ping6_from_the_house() { on "$H1" ping -6 -c 1 -W 2 "$S6"; }

WORKS="house_1_v4 house_1_v6 house_2_v4 house_2_v6 dns_from_the_house ssh_from_the_house ssh_between_houses
	ssh_from_outside ping_from_outside ping6_from_outside ping6_from_the_house dhcp_answer"
for what in $WORKS; do
	t "$what" "$what"
done
nothing_else() { fails reach "$S" tcp "$RW4" 53 && fails reach "$S" udp "$RW4" 53; }
t outside_gets_nothing_else nothing_else
on "$S" ip route add 10.0.0.0/16 via "$RW4"
t outside_does_not_get_into_the_house fails reach "$S" tcp 10.0.1.2 22

# without PATTERN TEST... : the file without the lines that match; each test fails then
without()
{
	local pattern=$1 what
	shift
	grep -v -- "$pattern" examples/home.conf >"$TMP/without.conf"
	[ "$(wc -l <"$TMP/without.conf")" -lt "$(wc -l <examples/home.conf)" ] || { echo "no line matches $pattern"; return 1; }
	ctctl fw load --force "$TMP/without.conf" || return
	ctctl -F >/dev/null 2>&1
	for what; do
		fails "$what" || return
	done
	ctctl fw load --force examples/home.conf && ctctl -F >/dev/null 2>&1
}
on "$S" ip route del 10.0.0.0/16 via "$RW4"
t without_nat_nobody_answers without '^nat ' house_1_v4 house_2_v6
t without_pass_on_lan_the_house_is_shut without '^pass in on .lan' house_1_v4 house_2_v6 dns_from_the_house ssh_from_the_house \
	ping6_from_the_house
t without_its_rule_no_ssh_from_outside without 'port 22' ssh_from_outside
t without_its_rule_no_ping without 'proto icmp ' ping_from_outside
t without_its_rule_no_ping6 without 'proto icmp6 ' ping6_from_outside
t without_its_rule_no_dhcp_answer without 'port 67' dhcp_answer
for what in $WORKS; do
	t "${what}_works_again" "$what"
done
# In one process: more than three a second, however slow the machine
flooded()
{
	on "$S" /usr/bin/python3 -c '
import socket, sys
for i in range(200):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((sys.argv[1], 22))
    s.close()' "$RW4"
	poll_until 5 bash -c "'$CTCTL' --instance '$CTD_INSTANCE' fw table show blocked | grep -q '^$S4 .*limit'" || return
	fails reach "$S" tcp "$RW4" 22
}
t who_knocks_too_often_is_blocked flooded

finish
