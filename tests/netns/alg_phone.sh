#!/bin/bash
# A phone (baresip) behind NAT registers at a proxy (kamailio) and calls through it; sipp answers
# behind the proxy and echoes the media. Then it calls another phone of its own network, which
# registered there too. UDP, then TCP.
#
#   client ──┬── lan0 router wan0 ── server     (tests/lib/netns.sh: addresses)
#   other ───┘   (the client is their switch)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/sip.sh
. tests/lib/sip.sh

net_router
D=$T-d D4=10.0.0.3
net_ns "$D"
on "$C" ip link add lan type bridge
on "$C" ip link set lan address "$(on "$C" ip -j link show c0 | jq -r '.[0].address')"
net_link "$C" c1 "$D" d0
on "$C" ip addr flush dev c0
on "$C" ip link set c0 master lan
on "$C" ip link set c1 master lan
on "$C" ip link set lan up
net_addr "$C" lan $C4/24
net_addr "$D" d0 $D4/24
on "$C" ip route add default via $RL4
on "$D" ip route add default via $RL4
proxy=$(fetch_closure kamailio) && phone=$(fetch_closure baresip-core) || exit 1
start_ctd "$R" "$(sip_rules "")"

# kamailio_config TRANSPORT : keeps registrations, relays calls to the one who answers
kamailio_config()
{
	local module
	cat <<-END
		debug=0
		log_stderror=yes
		fork=no
		children=1
		listen=$1:$S4:5060
		mpath="$proxy/usr/lib/x86_64-linux-gnu/kamailio/modules/"
	END
	for module in tm sl rr pv siputils textops usrloc registrar; do
		echo "loadmodule \"$module.so\""
	done
	cat <<-END
		request_route {
			force_rport();
			if (is_method("REGISTER")) { save("location"); exit; }
			if (has_totag()) { loose_route(); t_relay(); exit; }
			record_route();
			if (lookup("location")) { t_relay(); exit; }
			\$du = "sip:$S4:5080;transport=$1";
			t_relay();
		}
	END
}
# phone NS ADDRESS USER TRANSPORT ARG... : one that answers, in the background; what it says is in $TMP/USER.log
phone()
{
	local ns=$1 addr=$2 user=$3 transport=$4
	shift 4
	mkdir -p "$TMP/$user"
	: >"$TMP/$user.log" # now and not when the child gets there: that of the last call says registered
	printf '%s\n' "module_path $phone/usr/lib/baresip/modules" "sip_listen $addr:5060" \
		"module g711.so" "module auresamp.so" "module ausine.so" "module aubridge.so" "module account.so" "module menu.so" \
		"ausrc_srate 48000" "ausrc_channels 2" "audio_source ausine,440" "audio_player aubridge,x" "audio_alert aubridge,x" >"$TMP/$user/config"
	echo "<sip:$user@$S4;transport=$transport>;regint=60;auth_pass=x;answermode=auto" >"$TMP/$user/accounts"
	nsenter --net="/run/netns/$ns" -- env HOME="$TMP" PATH="$phone/usr/bin:$PATH" \
		LD_LIBRARY_PATH="$phone/usr/lib/x86_64-linux-gnu:$phone/lib/x86_64-linux-gnu" \
		baresip -f "$TMP/$user" "$@" >"$TMP/$user.log" 2>&1 </dev/null &
	PHONES+=($!)
}
registered()
{
	grep -q "200 OK" "$TMP/$1.log" || { tail -n 30 "$TMP/$1.log"; echo "$1 is not registered"; return 1; }
}
# hears NS DEV FILTER... : counts what arrives (packets)
hears()
{
	local ns=$1 dev=$2
	shift 2
	# As with the log: what the last call has left has packets enough.
	rm -f "$TMP/$dev.pcap" "$TMP/serve.${#PIDS[@]}"
	serve "$ns" tcpdump -U -Qin -nni "$dev" --immediate-mode -w "$TMP/$dev.pcap" "$@"
	HEARING+=("${PIDS[-1]}")
	poll_until 10 grep -q listening "$TMP/serve.$((${#PIDS[@]} - 1))"
}
packets()
{
	tcpdump -nnr "$TMP/$1.pcap" 2>/dev/null | wc -l
}
# both_hear DEV DEV : two seconds of media at both
both_hear()
{
	echo "$1 heard $(packets "$1") packets, $2 $(packets "$2")"
	[ "$(packets "$1")" -ge 100 ] && [ "$(packets "$2")" -ge 100 ]
}
# BYE went by the proxy: what was expected has ended, but for the registrations.
media_is_over()
{
	[ "$(ctctl -j flow list -p udp --dport 7000 -u EXPECTED | jq length)" = 0 ] &&
		[ "$(ctctl -j expect list | jq '[.[] | select(.class > 1)] | length')" = 0 ]
}
# deaf : nobody writes to the captures any more
deaf()
{
	kill "${HEARING[@]}"
	wait "${HEARING[@]}" 2>/dev/null
}
# hangs_up PHONE : of its own accord
hangs_up()
{
	kill "$1"
	wait "$1" 2>/dev/null
	poll_until 20 media_is_over
}

# calls TRANSPORT : one outside, for some seconds
calls()
{
	local ret=0
	HEARING=() PHONES=()
	hears "$C" lan udp and src "$S4" and src port 7000
	hears "$S" s0 udp and src "$RW4" and dst port 7000
	phone "$C" "$C4" alice "$1" -e "/dial sip:echo@$S4"
	poll_until 40 both_hear lan s0 || { ret=1; tail -n 20 "$TMP/alice.log"; }
	poll_until 20 registered alice || ret=1
	hangs_up "${PHONES[0]}" || ret=1
	deaf
	return "$ret"
}
# calls_inside TRANSPORT : both know each other by the proxy only, and media goes straight
calls_inside()
{
	local ret=0
	HEARING=() PHONES=()
	phone "$D" "$D4" bob "$1"
	poll_until 40 registered bob || { kill "${PHONES[0]}"; return 1; }
	hears "$C" lan udp and src "$D4"
	hears "$D" d0 udp and src "$C4"
	phone "$C" "$C4" alice "$1" -e "/dial sip:bob@$S4"
	poll_until 40 both_hear lan d0 || { ret=1; tail -n 20 "$TMP/alice.log" "$TMP/bob.log"; }
	[ "$(ctctl -j expect list | jq '[.[] | select(.class > 1)] | length')" -ge 2 ] || { echo "nothing was expected"; ret=1; }
	hangs_up "${PHONES[1]}" || ret=1
	poll_until 10 grep -q "terminated" "$TMP/bob.log" || { tail "$TMP/bob.log"; echo "bob heard of no end"; ret=1; }
	deaf
	kill "${PHONES[0]}"
	wait "${PHONES[0]}" 2>/dev/null # the next one has the same port
	return "$ret"
}

for proto in udp tcp; do
	kamailio_config $proto >"$TMP/kamailio.$proto.cfg"
	serve "$S" env HOME="$TMP" LD_LIBRARY_PATH="$proxy/usr/lib/x86_64-linux-gnu:$proxy/lib/x86_64-linux-gnu:$proxy/usr/lib/x86_64-linux-gnu/kamailio" \
		"$proxy/usr/sbin/kamailio" -DD -E -Y "$TMP" -f "$TMP/kamailio.$proto.cfg"
	serve_sipp "$S" -sf "$NETNS_TOP/tests/alg/sipp/answer.xml" -t ${proto:0:1}1 -i "$S4" -p 5080 -rtp_echo -mp 7000 -mi "$S4"
	poll_until 20 listening "$S" 5060 ${proto:0:1}
	poll_until 20 listening "$S" 5080 ${proto:0:1}
	t phone_calls_through_a_proxy_over_$proto calls $proto
	t phones_behind_one_nat_call_each_other_over_$proto calls_inside $proto
	kill "${PIDS[-1]}" "${PIDS[-2]}"
	wait "${PIDS[-1]}" "${PIDS[-2]}" 2>/dev/null # the next ones have the same ports of media
done
t tables_are_whole ctctl check
finish
