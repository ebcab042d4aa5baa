#!/bin/bash
# beside: yes
# examples/home.conf as it stands, with real clients and servers: what it promises works, and
# stops when its rule is taken out.
#
#   house1 h0 ── eth1 ┐
#                     router eth0 ── s0 provider 203.0.113.2, 2001:db8:2::2
#   house2 h0 ── eth2 ┘                          (knows no way to the house)
#
# The router has 10.0.1.1, 10.0.2.1 and nothing else: eth0's addresses and the house's prefix
# come from the provider (dnsmasq, dhcpd) by udhcpc and dhclient, the house's addresses from the
# router (dnsmasq, radvd), all of that under the rules.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/servers.sh
. tests/lib/servers.sh
# shellcheck source=tests/lib/paths.sh
. tests/lib/paths.sh
need curl dig nft ping

H1=$T-h1 H2=$T-h2
S_OTHER=203.0.113.3  # answers in the provider's name
S_PRIVATE=192.168.77.1
PATIENCE=7 # seconds for what should work; 2 for what should not

no_program()
{
	echo "FAIL has_$1: cannot be fetched"
	exit 1
}
BUSYBOX=$(unpacked busybox bin/busybox) || no_program busybox
DHCLIENT=$(unpacked isc-dhcp-client sbin/dhclient) || no_program dhclient
DHCPD=$(unpacked isc-dhcp-server usr/sbin/dhcpd) || no_program dhcpd
RADVD=$(unpacked radvd usr/sbin/radvd) || no_program radvd

net_ns "$H1" "$H2" "$R" "$S"
net_link "$R" eth0 "$S" s0
net_link "$R" eth1 "$H1" h0
net_link "$R" eth2 "$H2" h0
net_addr "$S" s0 "$S4/24" "$S_OTHER/24" "$S6/64" "$S_PRIVATE/24"
net_addr "$R" eth1 10.0.1.1/24
net_addr "$R" eth2 10.0.2.1/24
on "$R" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for ns in "$H1" "$H2"; do
	on "$ns" sysctl -qw net.ipv6.conf.h0.router_solicitations=3 net.ipv6.conf.h0.router_solicitation_delay=0
done

start_ctd "$R" examples/home.conf

serve_http "$S" 80
HTTP_LOG=$TMP/serve.$((${#PIDS[@]} - 1))
serve_dnsmasq "$S" --address=/page.test/$S4 --address=/page.test/$S6 --no-ping --dhcp-authoritative \
	--dhcp-range=$RW4,$RW4,10m --dhcp-option=option:router,$S4 --dhcp-leasefile="$TMP/wan.leases"
cat >"$TMP/dhcpd.conf" <<-END
	default-lease-time 600;
	subnet6 2001:db8:2::/64 {
		range6 $RW6 $RW6;
		prefix6 2001:db8:100:: 2001:db8:100:: /56;
	}
END
touch "$TMP/dhcpd.leases"
serve "$S" "$DHCPD" -6 -f --no-pid -cf "$TMP/dhcpd.conf" -lf "$TMP/dhcpd.leases" s0

# What the clients do with what they are given
cat >"$TMP/udhcpc.script" <<-'END'
	#!/bin/sh
	case $1 in
	bound | renew)
		ip addr replace "$ip/24" dev "$interface" &&
			ip route replace default via "$router" dev "$interface" || exit
		;;
	esac
	echo "$1 $ip" >>"$LOG"
END
cat >"$TMP/dhclient.script" <<-'END'
	#!/bin/sh
	[ -z "$new_ip6_address" ] || ip addr replace "$new_ip6_address/64" dev "$interface" nodad || exit
	echo "$reason $new_ip6_address $new_ip6_prefix" >>"$LOG"
END
chmod +x "$TMP"/*.script

# lease NS DEV [OPTION] : by udhcpc, whose packet socket (of IP alone) is behind our programs
lease()
{
	LOG=$TMP/lease on "$1" "$BUSYBOX" udhcpc -f -q -n -t $((PATIENCE / 2 + 1)) -T 1 -i "$2" -s "$TMP/udhcpc.script" "${@:3}"
}
wan_lease() { lease "$R" eth0; }
wan_lease_by_broadcast() { lease "$R" eth0 -B; }
house_1_lease() { lease "$H1" h0; }
house_2_lease() { lease "$H2" h0; }
# dhclient's packet socket is one of all protocols, ahead of our programs
wan_lease_dhclient()
{
	local pid rc log=$TMP/dhclient4
	rm -f "$log" "$TMP/dhclient4.leases"
	nsenter --net="/run/netns/$R" -- "$DHCLIENT" -4 -d -cf /dev/null -lf "$TMP/dhclient4.leases" --no-pid \
		-sf "$TMP/dhclient.script" -e "LOG=$log" eth0 >"$TMP/dhclient4.out" 2>&1 &
	pid=$!
	poll_until "$PATIENCE" grep -q BOUND "$log"
	rc=$?
	kill -KILL "$pid"
	wait "$pid"
	return "$rc"
}

# The client that stays renews by unicast and awaits the answer by an ordinary socket, for
# three times three seconds; only then it asks everybody.
WAN_LOG=$TMP/wan.log
answers()
{
	[ "$(grep -cE '^(bound|renew) ' "$WAN_LOG")" -gt "$1" ]
}
renewal()
{
	local before
	before=$(grep -cE '^(bound|renew) ' "$WAN_LOG")
	kill -USR1 "$UDHCPC" && poll_until "$PATIENCE" answers "$before"
}
# The provider has two servers, or a relay: the answer comes from another address than was asked.
renewal_answered_by_another()
{
	local rc
	on "$S" nft "add table ip other; add chain ip other out { type filter hook postrouting priority 0; };
		add rule ip other out udp sport 67 ip saddr set $S_OTHER" || return
	renewal
	rc=$?
	on "$S" nft delete table ip other
	return "$rc"
}

# Address and prefix by dhclient, which remembers nothing from before
address_and_prefix()
{
	local pid rc log=$TMP/delegated
	rm -f "$log" "$TMP/dhclient.leases"
	nsenter --net="/run/netns/$R" -- "$DHCLIENT" -6 -d -N -P -D LL -cf /dev/null -lf "$TMP/dhclient.leases" --no-pid \
		-sf "$TMP/dhclient.script" -e "LOG=$log" eth0 >"$TMP/dhclient" 2>&1 &
	pid=$!
	poll_until "$PATIENCE" grep -q "BOUND6 *2001:db8:100::/56" "$log" && grep -q "BOUND6 $RW6" "$log"
	rc=$?
	kill -KILL "$pid" # it would give the lease back
	wait "$pid"
	return "$rc"
}

: >"$WAN_LOG"
LOG=$WAN_LOG serve "$R" "$BUSYBOX" udhcpc -f -t 5 -T 3 -i eth0 -s "$TMP/udhcpc.script"
UDHCPC=${PIDS[-1]}
t wan_gets_its_address_by_dhcpv4 poll_until 15 answers 0
t wan_gets_address_and_prefix_by_dhcpv6 address_and_prefix
prefix=$(sed -n 's,^BOUND6 *\(2001:[^ ]*\)::/56$,\1,p' "$TMP/delegated")
on "$R" ip -6 route add default via "$S6"
net_addr "$R" eth1 "$prefix:1::1/64"
net_addr "$R" eth2 "$prefix:2::1/64"

for dev in eth1 eth2; do # asked only, so that an advertisement answers a solicitation
	echo "interface $dev { AdvSendAdvert on; UnicastOnly on; prefix ::/64 { }; };"
done >"$TMP/radvd.conf"
serve "$R" "$RADVD" -n -m stderr -C "$TMP/radvd.conf" -p "$TMP/radvd.pid"
serve_dnsmasq "$R" --server=$S4 --cache-size=0 --no-ping --dhcp-authoritative --dhcp-range=10.0.1.2,10.0.1.2,10m \
	--dhcp-range=10.0.2.2,10.0.2.2,10m --dhcp-leasefile="$TMP/lan.leases"
start_sshd "$R" || { echo "FAIL sshd_starts: cannot be fetched or does not start"; exit 1; }
serve_echo "$H1" 22

has_address()
{
	on "$1" ip -6 addr show dev h0 dynamic | grep -q "inet6 $prefix:$2:.*/64" &&
		on "$1" ip -6 route show default | grep -q 'proto ra'
}
# slaac NS N : forgets its addresses, solicits, has an address of the delegated prefix and a way out
slaac()
{
	on "$1" sysctl -qw net.ipv6.conf.h0.disable_ipv6=1 && on "$1" sysctl -qw net.ipv6.conf.h0.disable_ipv6=0 &&
		poll_until "$PATIENCE" has_address "$1" "$2"
}
house_1_slaac() { slaac "$H1" 1; }
house_2_slaac() { slaac "$H2" 2; }

# masqueraded NS ADDRESS AS : the page, and the server has seen AS
masqueraded()
{
	local word=$BASHPID.$RANDOM
	on "$1" curl -sS --max-time "$PATIENCE" "http://$2/page?$word" | grep -qx "the page behind the router" &&
		poll_until 2 grep -q "^$3 .*GET /page?$word " "$HTTP_LOG"
}
house_1_v4() { masqueraded "$H1" "$S4" "::ffff:$RW4"; }
house_1_v6() { masqueraded "$H1" "[$S6]" "$RW6"; }
house_2_v4() { masqueraded "$H2" "$S4" "::ffff:$RW4"; }
house_2_v6() { masqueraded "$H2" "[$S6]" "$RW6"; }

# asked NS SERVER TYPE ANSWER [OPTION]
asked()
{
	[ "$(on "$1" dig +short +tries=1 "+time=$PATIENCE" "${@:5}" "@$2" page.test "$3")" = "$4" ]
}
dns_from_the_house_v4() { asked "$H1" 10.0.1.1 A "$S4" && asked "$H1" 10.0.1.1 AAAA "$S6" +tcp; }
dns_from_the_house_v6() { asked "$H2" "$prefix:2::1" AAAA "$S6"; }
dns_from_outside() { asked "$S" "$RW4" A "$S4"; }

# logs_in NS ADDRESS [OPTION...]
logs_in()
{
	[ "$(on "$1" env "LD_LIBRARY_PATH=$SSH_LIB" "$SSH" "${SSH_OPTIONS[@]}" -o "ConnectTimeout=$PATIENCE" "${@:3}" \
		"root@$2" echo here)" = here ]
}
ssh_from_the_house_v4() { logs_in "$H1" 10.0.1.1; }
ssh_from_the_house_v6() { logs_in "$H2" "$prefix:2::1"; }
ssh_from_outside_v4() { logs_in "$S" "$RW4"; }
ssh_from_outside_v6() { logs_in "$S" "$RW6"; }
ssh_from_a_private_address() { logs_in "$S" "$RW4" -b "$S_PRIVATE"; }
between_houses() { WAIT=$PATIENCE echo_from "$H2" tcp 10.0.1.2 22; }

ping_from_outside() { on "$S" ping -c 1 -W "$PATIENCE" "$RW4"; }
ping6_from_outside() { on "$S" ping -6 -c 1 -W "$PATIENCE" "$RW6"; }
ping6_from_the_house() { on "$H1" ping -6 -c 1 -W "$PATIENCE" "$S6"; }

ADDRESSES="house_1_lease house_2_lease house_1_slaac house_2_slaac"
WORKS="house_1_v4 house_1_v6 house_2_v4 house_2_v6 dns_from_the_house_v4 dns_from_the_house_v6
	ssh_from_the_house_v4 ssh_from_the_house_v6 between_houses ssh_from_outside_v4 ssh_from_outside_v6
	ping_from_outside ping6_from_outside ping6_from_the_house wan_lease wan_lease_by_broadcast
	wan_lease_dhclient renewal renewal_answered_by_another"
for what in $ADDRESSES $WORKS; do
	t "$what" "$what"
done
all_of()
{
	local what
	for what; do
		"$what" || { echo "$what fails"; return 1; }
	done
}
SOME="house_1_v4 house_2_v6 dns_from_the_house_v4 ssh_from_outside_v6 ping6_from_the_house between_houses wan_lease"
kill_ctd
# shellcheck disable=SC2086 # a list
t all_works_with_ctd_killed all_of $SOME
start_ctd "$R" examples/home.conf
# shellcheck disable=SC2086
t all_works_with_the_next_ctd all_of $SOME
# shellcheck disable=SC2086
over_a_move examples/home.conf "$H1" "$S4" eth1,eth2 all_of $SOME
# none_of TEST... : each fails; all at once, as each takes its patience
none_of()
{
	local what pids=() pid rc=0
	PATIENCE=2
	for what; do
		fails "$what" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || rc=1
	done
	return "$rc"
}
into_the_house() { WAIT=$PATIENCE echo_from "$S" tcp 10.0.1.2 22; }
on "$S" ip route add 10.0.0.0/16 via "$RW4"
t outside_gets_no_dns_nothing_inside_and_no_ssh_by_a_private_address none_of dns_from_outside into_the_house \
	ssh_from_a_private_address
on "$S" ip route del 10.0.0.0/16 via "$RW4"

load()
{
	ctctl fw load --force "$1" && ctctl -F >/dev/null 2>&1
}
# changed SED-SCRIPT : the file with a line changed or taken out
changed()
{
	sed "$1" examples/home.conf >"$TMP/changed.conf"
	! cmp -s examples/home.conf "$TMP/changed.conf" || { echo "no line matches $1"; return 1; }
	load "$TMP/changed.conf"
}
# breaks SED-SCRIPT TEST...
breaks()
{
	local rc
	changed "$1" || return
	shift
	none_of "$@"
	rc=$?
	load examples/home.conf && return "$rc"
}
# works_with SED-SCRIPT TEST...
works_with()
{
	local what rc=0
	changed "$1" || return
	shift
	for what; do
		"$what" || rc=1
	done
	load examples/home.conf && return "$rc"
}

t without_nat_nobody_answers breaks '/^nat /d' house_1_v4 house_1_v6 house_2_v4 house_2_v6
t without_pass_on_lan_the_house_is_shut breaks '/^pass in on .lan/d' house_1_v4 house_1_v6 house_2_v4 house_2_v6 \
	dns_from_the_house_v4 dns_from_the_house_v6 ssh_from_the_house_v4 ssh_from_the_house_v6 between_houses \
	ping6_from_the_house house_1_lease
t without_its_rule_no_ssh_from_outside breaks '/port 22/d' ssh_from_outside_v4 ssh_from_outside_v6
t without_its_rule_no_ping breaks '/proto icmp /d' ping_from_outside
t without_its_rule_no_ping6 breaks '/proto icmp6 /d' ping6_from_outside
t without_its_rule_no_dhcpv6 breaks '/port 547/d' address_and_prefix
t without_its_rule_no_dhcpv4_lease breaks '/port 67/d' wan_lease wan_lease_by_broadcast
# The answer of the server that was asked belongs to a known connection.
t without_its_rule_dhclient_and_a_renewal_go_on works_with '/port 67/d' wan_lease_dhclient renewal
before=$(grep -cE '^(bound|renew) ' "$WAN_LOG")
t without_its_rule_no_renewal_by_another breaks '/port 67/d' renewal_answered_by_another
t the_renewal_is_made_up_for poll_until 15 answers "$before"
# Router discovery needs no rule; one can stop it.
# shellcheck disable=SC2016 # the file's macro
t with_solicitations_blocked_no_slaac breaks '/^pass in on .lan/i block in on $lan inet6 proto icmp6 icmp-type routersol' \
	house_1_slaac house_2_slaac
t without_its_rule_private_addresses_are_let_in works_with '/^block in/d' ssh_from_a_private_address
t with_default_pass_dns_is_open works_with 's/default deny/default pass/' dns_from_outside
# What the `set` lines say. The provider's side counts SYNs that fit an uplink of 1400.
on "$S" nft -f - <<-END || exit 1
	table inet mss {
		counter fit { }
		chain in {
			type filter hook prerouting priority 0;
			ip version 4 tcp dport 80 tcp flags syn tcp option maxseg size 1360 counter name fit
			ip6 version 6 tcp dport 80 tcp flags syn tcp option maxseg size 1340 counter name fit
		}
	}
END
fit()
{
	on "$S" nft list counter inet mss fit | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}
# clamped HOUSE-TEST
clamped()
{
	local before rc
	before=$(fit)
	on "$R" ip link set eth0 mtu 1400
	"$1" && [ "$(fit)" -gt "$before" ]
	rc=$?
	on "$R" ip link set eth0 mtu 1500
	return "$rc"
}
clamped_v4() { clamped house_1_v4; }
clamped_v6() { clamped house_1_v6; }
serve_echo "$S" 7000
# A flow that is confirmed, both ways and older than 2 s, has that long.
long_udp()
{
	local left
	echo_from "$H1" udp "$S4" 7000 4444 && sleep 2.2 && echo_from "$H1" udp "$S4" 7000 4444 || return
	left=$(ctctl -L -p udp 2>/dev/null | awk '/dport=7000 / && /sport=4444 / { print $3 }')
	[ "${left:-0}" -gt 130 ] || { echo "$left seconds left"; return 1; }
}
# Lower, it holds: a page's connection, which rests in TIME_WAIT, is all that there is room for.
limit_holds()
{
	local rc
	changed 's/confirmed 262144/confirmed 1/' || return
	house_1_v4 && PATIENCE=2 fails house_2_v4
	rc=$?
	load examples/home.conf && house_2_v4 && return "$rc"
}
# solicited every four seconds since the test with solicitations blocked
t the_house_has_its_addresses_again poll_until 20 has_address "$H1" 1
t mss_is_clamped_v4 clamped_v4
t mss_is_clamped_v6 clamped_v6
t without_its_line_no_mss_is_clamped_v4 breaks '/mss clamp/d' clamped_v4
t without_its_line_no_mss_is_clamped_v6 breaks '/mss clamp/d' clamped_v6
t udp_has_its_time_out long_udp
t without_its_line_udp_has_the_usual breaks '/udp_stream/d' long_udp
t limit_of_connections_holds limit_holds
t dhcpv6_again address_and_prefix
for what in $ADDRESSES $WORKS; do
	t "${what}_again" "$what"
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
	PATIENCE=2
	fails ssh_from_outside_v4
}
t who_knocks_too_often_is_blocked flooded

finish
