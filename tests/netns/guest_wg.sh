#!/bin/bash
# beside: yes
# WireGuard (wireguard-go, as the test machine's kernel has no module) as a LAN of road
# warriors and as the uplink of a masquerading router. The tunnels' devices have no link header.
#
#   client c0 ──── lan0 router wan0 ──── s0 server 203.0.113.2
#   10.0.0.2       wg0 10.7.0.1  203.0.113.1 ~~ 203.0.113.9 warrior, wgw 10.7.0.2     a LAN
#                  wg1 198.51.100.1 ~~~~~~~~~~~ server, wgs 198.51.100.2               the uplink
#
# IPv6: fd00:1::, fd00:7::, 2001:db8:2::, 2001:db8:9:: in their places. The warrior is a namespace of its
# own behind s0's. Nobody outside knows a way to what is inside.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh
need curl ping iperf3

if ! go=$(fetch_tree wireguard-go) || ! tools=$(fetch_tree wireguard-tools); then
	echo "FAIL wireguard_is_there: cannot be fetched"
	exit 1
fi
wg()
{
	"$tools/usr/bin/wg" "$@"
}
W=$T-w V4=198.51.100.2 V6=2001:db8:9::2 W4=203.0.113.9
net_router
net_ns "$W"
net_link "$W" w0 "$S" s1
on "$S" ip link add br0 type bridge
on "$S" sh -c 'ip addr flush dev s0; ip link set s0 master br0; ip link set s1 master br0; ip link set br0 up'
net_addr "$S" br0 $S4/24 $S6/64
net_addr "$W" w0 $W4/24 2001:db8:2::9/64

# tunnel NS DEV PORT ADDRESS... : makes it, its key pair is in $TMP/key.NS.DEV
tunnel()
{
	local ns=$1 dev=$2 port=$3 key=$TMP/key.$1.$2
	shift 3
	(umask 077 && wg genkey >"$key" && wg pubkey <"$key" >"$key.pub")
	serve "$ns" "$go/usr/bin/wireguard-go" -f "$dev"
	poll_until 20 on "$ns" ip link show "$dev" && poll_until 20 test -S "/run/wireguard/$dev.sock" || exit 1
	on "$ns" "$tools/usr/bin/wg" set "$dev" private-key "$key" listen-port "$port"
	net_addr "$ns" "$dev" "$@"
	on "$ns" ip link set "$dev" up
}
# peers NS1 DEV1 NS2 DEV2 ENDPOINT2 ALLOWED : what the first knows of the second
peers()
{
	on "$1" "$tools/usr/bin/wg" set "$2" peer "$(cat "$TMP/key.$3.$4.pub")" allowed-ips "$6" ${5:+endpoint "$5"}
}
tunnel "$R" wg0 51820 10.7.0.1/24 fd00:7::1/64
tunnel "$W" wgw 51820 10.7.0.2/24 fd00:7::2/64
tunnel "$R" wg1 51821 198.51.100.1/24 2001:db8:9::1/64
tunnel "$S" wgs 51821 $V4/24 $V6/64
peers "$R" wg0 "$W" wgw "" 10.7.0.2/32,fd00:7::2/128
peers "$W" wgw "$R" wg0 $RW4:51820 0.0.0.0/0,::/0
peers "$R" wg1 "$S" wgs $S4:51821 0.0.0.0/0,::/0
peers "$S" wgs "$R" wg1 "" 198.51.100.1/32,2001:db8:9::1/128,10.0.0.0/24
for net in 10.0.0.0/24 "$S4/32" $V4/32; do
	on "$W" ip route add "$net" dev wgw
done
for net in fd00:1::/64 "$S6/128" $V6/128; do
	on "$W" ip -6 route add "$net" dev wgw
done
conf=$(
	config wg <<-END
		set default deny
		lan = { lan0, wg0 }
		nat out on wan0 from \$lan.net -> (wan0)
		nat out on wg1 from \$lan.net -> (wg1)
		pass in on \$lan
		pass in on wan0 proto udp to self port 51820
	END
)
on "$S" nft -f - <<-END || exit 1
	table inet plain {
		counter seen { }
		chain in {
			type filter hook prerouting priority -400;
			iif br0 ip daddr $V4 counter name seen
			iif br0 ip6 daddr $V6 counter name seen
		}
	}
END
start_ctd "$R" "$conf"
serve_paths "$S"

path ethernet_to_wg "$C" $V4 $V6 198.51.100.1 2001:db8:9::1
path wg_to_ethernet "$W" $S4 $S6 $RW4 $RW6
path wg_to_wg "$W" $V4 $V6 198.51.100.1 2001:db8:9::1
serve_echo "$C" 7000
t warrior_reaches_the_lan seen_as 10.7.0.2 "$W" tcp $C4 7000
on "$S" ip route add 10.0.0.0/24 dev wgs
refused()
{
	WAIT=1 fails echo_from "$@"
}
t uplink_is_refused_from_outside refused "$S" tcp $C4 7000
every_way()
{
	page "$C" "http://$V4/page" && page "$W" "http://[$S6]/page" && page "$W" "http://$V4/page"
}
over_a_kill "$conf" "$C" "[$V6]" every_way
over_a_move "$conf" "$W" "$V4" lan0,wg0 every_way
t no_checksum_failed test "$(counter csum_update)" = 0
t nothing_was_lost_to_nat test "$(counter nat_lost)" = 0
t table_is_consistent ctctl check
in_the_clear()
{
	on "$S" nft list counter inet plain seen | grep -q 'packets 0 ' || { on "$S" nft list counter inet plain seen; return 1; }
}
t nothing_was_in_the_clear in_the_clear
finish
