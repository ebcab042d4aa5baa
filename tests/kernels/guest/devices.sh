#!/bin/bash
# In a guest (tests/long/kernels_traffic): what the host's kernel has no driver for. As
# uplink a VLAN, its tags in metadata and in the packet, a VLAN in a service VLAN, PPPoE;
# PPPoE as LAN; IPsec (ESP) to a peer; a VRF, with the uplink in it and as a LAN alone. Downloads over
# them are taken over from nft in mid-transfer, and outlive a kill of ctd.
#
# DEVICES_PARTS="esp vrf" runs those parts alone: moved uplinks esp vrf killed moved_later (the last
# two need esp and vrf). See tests/long/kernels_traffic for how it gets here.
#
#   client c0 ── lan0     router wan0        ── s0        server    203.0.113.0/24
#                                wan0.10     ── s0.10               198.18.10.0/24
#                                wan0.20.30  ── s0.20.30            198.18.30.0/24
#                                dsl         ── dsl                 198.18.40.0/24
#          c1 ── lan1  (vrf-a)   wan1        ── s1                  198.18.50.0/24
#        pppl ── pppl  (over c2 ── lan2)         10.0.60.0/24
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../../lib/netns.sh"
# shellcheck source=tests/lib/paced.sh
. tests/lib/paced.sh
need curl ping iperf3 nft

part()
{
	[[ " ${DEVICES_PARTS:-$1} " == *" $1 "* ]]
}
# packets before a neighbour is there are held by a kernel that emulation makes slow
export WAIT=20
# and a sender that got nothing through while the programs were loaded tries again as much later
export PACED_PATIENCE=300
net_router
tagged()
{
	on "$1" ip link add link "$2" name "$2.10" type vlan id 10
	on "$1" ip link add link "$2" name "$2.20" type vlan proto 802.1ad id 20
	on "$1" ip link add link "$2.20" name "$2.20.30" type vlan id 30
	for dev in "$2.10" "$2.20" "$2.20.30"; do
		on "$1" ip link set "$dev" up
	done
}
tagged "$R" wan0
tagged "$S" s0
mac_of()
{
	on "$1" ip -j link show "$2" | sed 's/.*"address":"\([^"]*\)".*/\1/'
}
net_link "$C" c2 "$R" lan2
# session NUMBER NAME NS DEVICE NS DEVICE : PPPoE between the two, the interface has that name at both
session()
{
	serve "$3" /usr/bin/python3 tests/lib/pppoe.py "$4" "$1" "$(mac_of "$5" "$6")" "$2"
	serve "$5" /usr/bin/python3 tests/lib/pppoe.py "$6" "$1" "$(mac_of "$3" "$4")" "$2"
	for ns in "$3" "$5"; do
		poll_until 30 on "$ns" ip link show dev "$2" >"$TMP/dsl" ||
			{ sed 's/^/  /' "$TMP"/serve.* "$TMP/dsl"; echo "FAIL pppoe_comes_up: no device $2"; exit 1; }
	done
}
session 7 dsl "$R" wan0 "$S" s0
session 8 pppl "$R" lan2 "$C" c2
net_addr "$R" pppl 10.0.60.1/24 fd00:60::1/64
net_addr "$C" pppl 10.0.60.2/24 fd00:60::2/64
# from ADDRESS4 ADDRESS6 ROUTE4 ROUTE6 TABLE : where the client sends what comes from there
from()
{
	on "$C" ip route add default "${@:3:2}" table "$7" && on "$C" ip rule add from "$1" table "$7" || return
	on "$C" ip -6 route add default "${@:5:2}" table "$7" && on "$C" ip -6 rule add from "$2" table "$7"
}
i=10
for dev in .10 .20.30 dsl; do
	w=wan0$dev s=s0$dev
	[ $dev != dsl ] || { w=dsl; s=dsl; }
	net_addr "$R" "$w" 198.18.$i.1/24 2001:db8:$i::1/64
	net_addr "$S" "$s" 198.18.$i.2/24 2001:db8:$i::2/64
	on "$R" ethtool -K "$w" tx off >/dev/null 2>&1
	i=$((i == 10 ? 30 : 40))
done
net_link "$C" c1 "$R" lan1
net_link "$R" wan1 "$S" s1
net_addr "$C" c1 10.0.50.2/24 fd00:50::2/64
net_addr "$S" s1 198.18.50.2/24 2001:db8:50::2/64
on "$C" ip route add 198.18.50.0/24 via 10.0.50.1
on "$C" ip -6 route add 2001:db8:50::/64 via fd00:50::1
t client_sends_by_pppoe from 10.0.60.2 fd00:60::2 dev pppl dev pppl 60
t client_sends_by_the_vrf from 10.0.50.2 fd00:50::2 via 10.0.50.1 via fd00:50::1 51
# Plaintext for what IPsec is to protect, and ESP, as the server gets them. (No named counters: the guest
# has no nft_objref.)
on "$S" nft -f - <<-END || { echo "FAIL server_counts: nft"; exit 1; }
	table inet seen {
		chain in {
			type filter hook prerouting priority -300;
			meta l4proto esp counter comment "sealed"
			iif s0 udp dport 7000 meta ipsec missing counter comment "plain"
			iif s0 tcp dport 80 meta ipsec missing counter comment "plain"
		}
	}
END
conf=$(
	config devices <<-END
		set default deny
		set tcp loose no
		wan = { wan0, wan0.10, wan0.20.30, dsl }
		lan = { lan0, lan1, pppl }
		nat out on wan0 from \$lan.net -> (wan0)
		nat out on wan0.10 from \$lan.net -> (wan0.10)
		nat out on wan0.20.30 from \$lan.net -> (wan0.20.30)
		nat out on dsl from \$lan.net -> (dsl)
		nat out on wan1 from \$lan.net -> (wan1)
		pass in on \$lan
		pass in on wan0 proto 50 to self
	END
)
serve_http "$S" 80
serve_echo "$S" 7000
serve "$S" iperf3 -s
poll_until 20 listening "$S" 5201

# The kernel's own NAT; a first activation of ctd's takes its connections over. What does not belong to
# one that was handed over is dropped (`set tcp loose no`). What IPsec protects is not translated.
nft_nat()
{
	on "$R" nft -f - <<-END
		table inet before {
			chain post {
				type nat hook postrouting priority 100;
				oifname { $1 } masquerade
			}
		}
	END
}
if part moved; then
	t nft_translates_first nft_nat '"wan0", "wan0.10", "wan0.20.30", "dsl"'
	t download_under_nft_vlan paced vlan "$C" 198.18.10.2
	t download_under_nft_service_vlan paced service_vlan "$C" 198.18.30.2
	t download_under_nft_pppoe paced pppoe "$C" 198.18.40.2
	t download_under_nft_pppoe_v6 paced pppoe_v6 "$C" '[2001:db8:40::2]'
	t download_under_nft_pppoe_lan paced pppoe_lan "$C" 198.18.10.2 10.0.60.2
fi
# go_on TEST NAME... : each test is TEST_NAME
go_on()
{
	local test=$1 name
	shift
	for name; do
		t "${test}_$name" paced_goes_on "$name"
	done
}
moved="vlan service_vlan pppoe pppoe_v6 pppoe_lan"
start_ctd "$R" "$conf"
if part moved; then
	on "$R" nft delete table inet before
	# shellcheck disable=SC2086 # names
	paced_note $moved
	# shellcheck disable=SC2086 # names
	go_on taken_over_from_nft $moved
	for name in $moved; do
		t "ends_well_$name" paced_ends "$name"
	done
	t they_are_ours test "$(counter fast_forward)" -gt 0
fi

echoed()
{
	local got
	got=$(echo_from "$C" "$1" "$2" 7000) || { echo "$got"; return 1; }
	got=${got#::ffff:}
	[[ $got == "$3 "*" hello" ]] || { echo "the server saw '$got'"; return 1; }
}
bulk()
{
	on "$C" timeout 60 iperf3 -c "$@" -n 2M >"$TMP/iperf" 2>&1 || { cat "$TMP/iperf"; return 1; }
}
# uplink NAME N : what the client sends to 198.18.N.2 has the router's address there
uplink()
{
	local f at rw
	for f in 4 6; do
		at=198.18.$2.2 rw=198.18.$2.1
		[ $f = 4 ] || { at=2001:db8:$2::2; rw=2001:db8:$2::1; }
		t "udp_v${f}_$1" echoed udp "$at" "$rw"
		t "tcp_v${f}_$1" echoed tcp "$at" "$rw"
		t "ping_v${f}_$1" on "$C" ping -c 2 -i 0.5 -W 10 "$at"
		t "fragments_v${f}_$1" on "$C" ping -c 2 -i 0.5 -W 10 -s 4000 "$at"
	done
	t "bulk_out_v4_$1" bulk "198.18.$2.2"
	t "bulk_in_v6_$1" bulk "2001:db8:$2::2" -R
}
if part uplinks; then
	uplink vlan 10
fi
for ns in "$R:wan0" "$S:s0"; do
	on "${ns%:*}" ethtool -K "${ns#*:}" rxvlan off txvlan off >/dev/null 2>&1
done
if part uplinks; then
	uplink vlan_tag_in_the_packet 10
	uplink vlan_in_service_vlan 30
	uplink pppoe 40
fi
# from_lan NAME SOURCE4 SOURCE6 : a LAN of another kind, by the VLAN's uplink
from_lan()
{
	export SOURCE=$2
	t "udp_v4_$1" echoed udp 198.18.10.2 198.18.10.1
	t "tcp_v4_$1" echoed tcp 198.18.10.2 198.18.10.1
	SOURCE=$3
	t "udp_v6_$1" echoed udp 2001:db8:10::2 2001:db8:10::1
	t "tcp_v6_$1" echoed tcp 2001:db8:10::2 2001:db8:10::1
	unset SOURCE
	t "ping_v4_$1" on "$C" ping -c 2 -i 0.5 -W 10 -I "$2" 198.18.10.2
	t "ping_v6_$1" on "$C" ping -c 2 -i 0.5 -W 10 -I "$3" 2001:db8:10::2
	t "fragments_v4_$1" on "$C" ping -c 2 -i 0.5 -W 10 -s 4000 -I "$2" 198.18.10.2
	t "fragments_v6_$1" on "$C" ping -c 2 -i 0.5 -W 10 -s 4000 -I "$3" 2001:db8:10::2
	t "bulk_out_v4_$1" bulk 198.18.10.2 -B "$2"
	t "bulk_in_v6_$1" bulk 2001:db8:10::2 -R -B "$3"
}
if part uplinks; then
	from_lan pppoe_as_lan 10.0.60.2 fd00:60::2
fi

# Real ESP in tunnel mode between router and server, for what the client asks the server at wan0.
count()
{
	on "$S" nft list chain inet seen in | sed -n "s/.*packets \([0-9]*\) .*\"$1\".*/\1/p" | awk '{ n += $1 } END { print n }'
}
# NULL encryption (RFC 2410): a cipher with an IV wants a random number generator, which the guest has not.
esp()
{
	local ns=$1 to=$2 from=$3 spi=$4 key=0x6162636465666768616263646566676861626364
	on "$ns" ip xfrm state add src "$from" dst "$to" proto esp spi "$spi" mode tunnel \
		auth 'hmac(sha1)' "$key" enc 'ecb(cipher_null)' ""
}
# policies DIRECTION-OF-ROUTER... for one family: ROUTER SERVER CLIENT-NET
policies()
{
	local w=$1 s=$2 net=$3
	for ns in "$R" "$S"; do
		esp "$ns" "$s" "$w" 0x100 && esp "$ns" "$w" "$s" 0x200 || return
	done
	on "$R" ip xfrm policy add src "$w" dst "$s" dir out tmpl src "$w" dst "$s" proto esp mode tunnel || return
	on "$R" ip xfrm policy add src "$s" dst "$w" dir in tmpl src "$s" dst "$w" proto esp mode tunnel || return
	on "$R" ip xfrm policy add src "$net" dst "$s" dir out tmpl src "$w" dst "$s" proto esp mode tunnel || return
	on "$R" ip xfrm policy add src "$s" dst "$net" dir fwd tmpl src "$s" dst "$w" proto esp mode tunnel || return
	on "$S" ip xfrm policy add src "$s" dst "$w" dir out tmpl src "$s" dst "$w" proto esp mode tunnel || return
	on "$S" ip xfrm policy add src "$s" dst "$net" dir out tmpl src "$s" dst "$w" proto esp mode tunnel || return
	on "$S" ip xfrm policy add src "$w" dst "$s" dir in tmpl src "$w" dst "$s" proto esp mode tunnel || return
	on "$S" ip xfrm policy add src "$net" dst "$s" dir in tmpl src "$w" dst "$s" proto esp mode tunnel
}
# A connection that is redirected meets the policies: nothing of it in the clear from then on.
encrypted()
{
	local plain esp fast
	fast=$(counter fast_forward)
	talk_before "$@" || return
	[ "$(counter fast_forward)" -gt "$fast" ] || { echo "was not redirected"; return 1; }
	policies "$2" "$1" "$3" || return
	plain=$(count plain) esp=$(count sealed)
	echoed udp "$1" "$4" || return
	for _ in 1 2 3 4; do
		echo_from "$C" udp "$1" 7000 4444 || return
	done
	echo "plain $plain -> $(count plain), esp $esp -> $(count sealed)"
	[ "$(count plain)" = "$plain" ] && [ "$(count sealed)" -ge $((esp + 5)) ]
}
talk_before()
{
	for _ in 1 2 3; do
		echo_from "$C" udp "$1" 7000 4444 || return
	done
}
no_nat()
{
	echo "nat out on wan0 from \$lan.net to { $S4, $S6 } -> none" >"$TMP/exempt"
	sed "/^lan = /r $TMP/exempt" "$conf" >"$TMP/no_nat.conf"
	ctctl fw load "$TMP/no_nat.conf"
}
on "$S" ip route add 10.0.0.0/24 via $RW4
on "$S" ip -6 route add fd00:1::/64 via $RW6
if part esp; then
	t inner_packets_are_exempt_from_nat no_nat
	t esp_protects_what_was_redirected_v4 encrypted $S4 $RW4 10.0.0.0/24 $C4
	t esp_protects_what_was_redirected_v6 encrypted $S6 $RW6 fd00:1::/64 $C6
	t bulk_through_esp_v4 bulk $S4
	t bulk_through_esp_v6 bulk $S6 -R
fi

# Last: the rule of the first VRF is policy routing, with which all goes up the stack.
vrf_up()
{
	on "$R" ip link add vrf-a type vrf table 50 && on "$R" ip link set vrf-a up &&
		on "$R" ip link set lan1 master vrf-a && on "$R" ip link set wan1 master vrf-a || return
	net_addr "$R" lan1 10.0.50.1/24 fd00:50::1/64
	net_addr "$R" wan1 198.18.50.1/24 2001:db8:50::1/64
}
# and the uplink outside of it
leaked()
{
	on "$R" ip route add 198.18.10.0/24 dev wan0.10 table 50 && on "$R" ip route add 10.0.50.0/24 dev lan1 &&
		on "$R" ip -6 route add 2001:db8:10::/64 dev wan0.10 table 50 && on "$R" ip -6 route add fd00:50::/64 dev lan1
}
if part vrf; then
	t two_interfaces_join_a_vrf vrf_up
	uplink vrf 50
	t vrf_has_a_way_out leaked
	from_lan vrf_as_lan 10.0.50.2 fd00:50::2
fi
t nothing_was_lost_to_nat test "$(counter nat_lost)" = 0
t table_is_consistent ctctl check

nothing_plain()
{
	local plain esp
	plain=$(count plain) esp=$(count sealed)
	SOURCE=$C4 echoed udp "$S4" "$C4" && [ "$(count plain)" = "$plain" ] && [ "$(count sealed)" -gt "$esp" ]
}
# Under way from before the kill until after the restart, at the server's pace.
if part killed; then
	t download_vlan paced again_vlan "$C" 198.18.10.2
	t download_service_vlan paced again_service_vlan "$C" 198.18.30.2
	t download_pppoe paced again_pppoe "$C" 198.18.40.2
	t download_pppoe_v6 paced again_pppoe_v6 "$C" '[2001:db8:40::2]'
	t download_pppoe_lan paced again_pppoe_lan "$C" 198.18.10.2 10.0.60.2
	t download_vrf paced vrf "$C" 198.18.50.2
	t download_vrf_lan paced vrf_lan "$C" 198.18.10.2 10.0.50.2
	t download_esp paced esp "$C" "$S4" "$C4"
	t download_esp_v6 paced esp_v6 "$C" "[$S6]" "$C6"
	downloads="again_vlan again_service_vlan again_pppoe again_pppoe_v6 again_pppoe_lan vrf vrf_lan esp esp_v6"
	plain=$(count plain)
	kill_ctd
	# shellcheck disable=SC2086 # names
	paced_note $downloads
	t vlan_with_ctd_killed echoed udp 198.18.10.2 198.18.10.1
	t pppoe_with_ctd_killed echoed udp 198.18.40.2 198.18.40.1
	t vrf_with_ctd_killed echoed udp 198.18.50.2 198.18.50.1
	t esp_with_ctd_killed nothing_plain
	# shellcheck disable=SC2086 # names
	go_on download_outlives_the_kill $downloads
	start_ctd "$R" "$TMP/no_nat.conf"
	# shellcheck disable=SC2086 # names
	paced_note $downloads
	t vlan_after_a_restart echoed tcp 198.18.10.2 198.18.10.1
	t pppoe_after_a_restart echoed tcp 198.18.40.2 198.18.40.1
	t esp_after_a_restart nothing_plain
	# shellcheck disable=SC2086 # names
	go_on download_outlives_the_restart $downloads
	for name in $downloads; do
		t "ends_well_$name" paced_ends "$name"
	done
	t nothing_in_the_clear_over_the_kill test "$(count plain)" = "$plain"
fi

# Back to nft, and taken over again: what the first move could not have, a VRF and ESP.
stop_ctd
unload_ctd "$T" "$R"
if part moved_later; then
	t nft_translates_again nft_nat '"wan0.10", "wan1"'
	t download_under_nft_vrf paced nft_vrf "$C" 198.18.50.2
	t download_under_nft_vrf_v6 paced nft_vrf_v6 "$C" '[2001:db8:50::2]'
	t download_under_nft_vrf_lan paced nft_vrf_lan "$C" 198.18.10.2 10.0.50.2
	t download_under_nft_esp paced nft_esp "$C" "$S4" "$C4"
	t download_under_nft_esp_v6 paced nft_esp_v6 "$C" "[$S6]" "$C6"
	downloads="nft_vrf nft_vrf_v6 nft_vrf_lan nft_esp nft_esp_v6"
	plain=$(count plain)
	start_ctd "$R" "$TMP/no_nat.conf"
	on "$R" nft delete table inet before
	# shellcheck disable=SC2086 # names
	paced_note $downloads
	# shellcheck disable=SC2086 # names
	go_on taken_over_from $downloads
	for name in $downloads; do
		t "ends_well_$name" paced_ends "$name"
	done
	t nothing_in_the_clear_over_the_move test "$(count plain)" = "$plain"
	t esp_after_the_move nothing_plain
	stop_ctd
	unload_ctd "$T" "$R"
fi
finish
