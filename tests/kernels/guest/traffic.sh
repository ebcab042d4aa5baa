#!/bin/bash
# In a guest (tests/long/kernels_traffic): a client behind the router, over an untagged
# network, a VLAN, a VLAN in a service VLAN (802.1ad), and two links bonded to one.
# The running kernel of the host has neither VLAN devices nor bonds.
#
#   client c0    ── lan0    router wan0 ── server      10.0.0.0/24
#          c0.10 ── lan0.10                            10.0.10.0/24
#          c0.20.30 ── lan0.20.30                      10.0.30.0/24
#          bond0 ══ lan1+lan2 = bond0                  10.0.40.0/24
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../../lib/netns.sh"
need curl ping iperf3

net_router
# tagged NS DEV : DEV.10, and DEV.20.30 over an 802.1ad DEV.20
tagged()
{
	on "$1" ip link add link "$2" name "$2.10" type vlan id 10
	on "$1" ip link add link "$2" name "$2.20" type vlan proto 802.1ad id 20
	on "$1" ip link add link "$2.20" name "$2.20.30" type vlan id 30
	for dev in "$2.10" "$2.20" "$2.20.30"; do
		on "$1" ip link set "$dev" up
	done
}
# bonded NS DEV...
bonded()
{
	local ns=$1 dev
	shift
	on "$ns" ip link add bond0 type bond mode active-backup miimon 100
	for dev; do
		on "$ns" ip link set "$dev" down
		on "$ns" ip link set "$dev" master bond0
	done
	on "$ns" ip link set bond0 up
}
tagged "$C" c0
tagged "$R" lan0
net_link "$C" c1 "$R" lan1
net_link "$C" c2 "$R" lan2
bonded "$C" c1 c2
bonded "$R" lan1 lan2
n=10
for dev in .10 .20.30 bond0; do
	c=c0$dev lan=lan0$dev
	[ $dev != bond0 ] || { c=bond0; lan=bond0; }
	net_addr "$C" "$c" 10.0.$n.2/24 fd00:$n::2/64
	net_addr "$R" "$lan" 10.0.$n.1/24 fd00:$n::1/64
	on "$C" ip route add default via 10.0.$n.1 table $n
	on "$C" ip -6 route add default via fd00:$n::1 table $n
	on "$C" ip rule add from 10.0.$n.2 table $n
	on "$C" ip -6 rule add from fd00:$n::2 table $n
	n=$((n == 10 ? 30 : 40))
done
conf=$(
	config guest <<-END
		set default deny
		wan = wan0
		lan = { lan0, lan0.10, lan0.20.30, bond0 }
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
	END
)
export CTD_ARGS=--no-guard # no nf_tables among the guest's modules
start_ctd "$R" "$conf"
serve_http "$S" 80
serve_echo "$S" 7000
serve "$S" iperf3 -s
poll_until 20 listening "$S" 5201
export WAIT=20

kind=clsact
[[ $(uname -r) =~ ^([0-5]|6\.[0-5])\. ]] || kind=tcx
attached()
{
	on "$R" tests/lib/hooks lan0 wan0 | tee "$TMP/hooks"
	[ "$(grep -c " $kind " "$TMP/hooks")" = 4 ]
}
t "attached_by_$kind" attached

# through NAME ADDRESS4 ADDRESS6 : from these addresses, through the router
echoed()
{
	local got
	got=$(SOURCE=$2 echo_from "$C" "$1" "$3" 7000) || { echo "$got"; return 1; }
	[[ $got == "$4 "*" hello" ]] || { echo "the server saw '$got'"; return 1; }
}
fetched()
{
	on "$C" curl -sS --max-time 30 --interface "$1" "$2" | grep -qx "the page behind the router"
}
through()
{
	t "page_v4_$1" fetched "$2" "http://$S4/page"
	t "page_v6_$1" fetched "$3" "http://[$S6]/page"
	t "udp_v4_$1" echoed udp "$2" "$S4" "$RW4"
	t "udp_v6_$1" echoed udp "$3" "$S6" "$RW6"
	t "tcp_v4_$1" echoed tcp "$2" "$S4" "$RW4"
	t "tcp_v6_$1" echoed tcp "$3" "$S6" "$RW6"
	t "ping_v4_$1" on "$C" ping -c 2 -i 0.5 -W 10 -I "$2" "$S4"
	t "ping_v6_$1" on "$C" ping -c 2 -i 0.5 -W 10 -I "$3" "$S6"
	t "fragments_v4_$1" on "$C" ping -c 2 -i 0.5 -W 10 -s 5000 -I "$2" "$S4"
	t "fragments_v6_$1" on "$C" ping -c 2 -i 0.5 -W 10 -s 5000 -I "$3" "$S6"
}
through untagged $C4 $C6
# listed PATTERN : one line of conntrack's own shape
listed()
{
	ctctl -L >"$TMP/list" 2>&1
	grep -E "$1" "$TMP/list" && return
	tail -n 5 "$TMP/list"
	return 1
}
t table_shows_the_masqueraded_tcp listed "^tcp .*src=$C4 dst=$S4 .*dport=80 .*src=$S4 dst=$RW4 sport=80 .*ASSURED"
t table_shows_the_masqueraded_udp listed "^udp .*src=$C4 dst=$S4 .*dport=7000 .*src=$S4 dst=$RW4 sport=7000 "
t table_shows_the_masqueraded_ping listed "^icmp .*src=$C4 dst=$S4 type=8 .*src=$S4 dst=$RW4 type=0 "
through vlan 10.0.10.2 fd00:10::2
through vlan_in_service_vlan 10.0.30.2 fd00:30::2
through bond 10.0.40.2 fd00:40::2

bulk()
{
	on "$C" timeout 60 iperf3 -c "$@" -n 4M >"$TMP/iperf" 2>&1 || { cat "$TMP/iperf"; return 1; }
}
t bulk_tcp_v4_out bulk $S4
t bulk_tcp_v4_in bulk $S4 -R
t bulk_tcp_v6_out bulk $S6
t bulk_tcp_v6_in bulk $S6 -R
t bulk_tcp_over_two_tags bulk $S4 -B 10.0.30.2

t table_is_consistent ctctl check
t nothing_was_lost_to_nat test "$(counter nat_lost)" = 0
kill_ctd
t page_with_ctd_killed fetched $C4 "http://$S4/page"
start_ctd "$R" "$conf"
t page_after_a_restart fetched $C4 "http://$S4/page"
stop_ctd
unloaded()
{
	unload_ctd "$T" "$R" && [ -z "$(on "$R" tests/lib/hooks)" ]
}
t unload_leaves_no_program unloaded
finish
