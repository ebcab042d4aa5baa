#!/bin/bash
# A phone (baresip) behind NAT registers at a proxy (kamailio) and calls through it; sipp answers
# behind the proxy and echoes the media. UDP, then TCP.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh
need jq tcpdump

net_router
proxy=$(fetch_closure kamailio) && phone=$(fetch_closure baresip-core) || exit 1
start_ctd "$R" "$(config phone <<-END
	set default deny
	wan = wan0
	lan = lan0
	nat out on \$wan from \$lan.net -> (\$wan)
	alg sip on \$lan
	pass in on \$lan
	END
)"

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
			\$du = "sip:$S4:5080;transport=$1";
			t_relay();
		}
	END
}
baresip_config()
{
	mkdir -p "$TMP/phone"
	printf '%s\n' "module_path $phone/usr/lib/baresip/modules" "sip_listen $C4:5060" \
		"module g711.so" "module auresamp.so" "module ausine.so" "module aubridge.so" "module account.so" "module menu.so" \
		"ausrc_srate 48000" "ausrc_channels 2" "audio_source ausine,440" "audio_player aubridge,x" "audio_alert aubridge,x" >"$TMP/phone/config"
	echo "<sip:alice@$S4;transport=$1>;regint=60;auth_pass=x" >"$TMP/phone/accounts"
}
hears()
{
	local ns=$1 dev=$2
	shift 2
	on "$ns" tcpdump -Qin -nni "$dev" --immediate-mode -w "$TMP/$dev.pcap" "$@" >"$TMP/$dev.err" 2>&1 &
	HEARING+=($!)
	poll_until 10 grep -q listening "$TMP/$dev.err"
}
packets()
{
	tcpdump -nnr "$TMP/$1.pcap" 2>/dev/null | wc -l
}
heard()
{
	echo "client heard $(packets c0) packets, server $(packets s0)"
	[ "$(packets c0)" -ge 100 ] && [ "$(packets s0)" -ge 100 ]
}

media_is_over()
{
	[ "$(ctctl -j flow list -p udp --dport 7000 -u EXPECTED | jq length)" = 0 ] &&
		[ "$(ctctl -j expect list | jq '[.[] | select(.class > 1)] | length')" = 0 ]
}

# calls TRANSPORT : registers, then talks for some seconds
calls()
{
	local ret=0
	HEARING=()
	baresip_config "$1"
	hears "$C" c0 udp and src "$S4" and src port 7000
	hears "$S" s0 udp and src "$RW4" and dst port 7000
	on "$C" timeout -k 5 6 env HOME="$TMP" PATH="$phone/usr/bin:$PATH" \
		LD_LIBRARY_PATH="$phone/usr/lib/x86_64-linux-gnu:$phone/lib/x86_64-linux-gnu" \
		baresip -f "$TMP/phone" -e "/dial sip:echo@$S4" >"$TMP/baresip.log" 2>&1 </dev/null
	sleep 0.3
	kill "${HEARING[@]}"
	# BYE went by the proxy: what was expected has ended, but for the registration.
	poll_until 10 media_is_over || ret=1
	heard || { ret=1; tail -n 30 "$TMP/baresip.log"; }
	grep -q "200 OK" "$TMP/baresip.log" || { echo "not registered"; ret=1; }
	return "$ret"
}

for proto in udp tcp; do
	kamailio_config $proto >"$TMP/kamailio.$proto.cfg"
	serve "$S" env HOME="$TMP" LD_LIBRARY_PATH="$proxy/usr/lib/x86_64-linux-gnu:$proxy/lib/x86_64-linux-gnu:$proxy/usr/lib/x86_64-linux-gnu/kamailio" \
		"$proxy/usr/sbin/kamailio" -DD -E -Y "$TMP" -f "$TMP/kamailio.$proto.cfg"
	serve_program "$S" sip-tester sipp -nostdin -sf "$NETNS_TOP/tests/alg/sipp/answer.xml" -t ${proto:0:1}1 -i "$S4" -p 5080 -rtp_echo -mp 7000 -mi "$S4"
	poll_until 20 listening "$S" 5060 ${proto:0:1}
	poll_until 20 listening "$S" 5080 ${proto:0:1}
	t phone_calls_through_a_proxy_over_$proto calls $proto
	kill "${PIDS[-1]}" "${PIDS[-2]}"
done
t tables_are_whole ctctl check
finish
