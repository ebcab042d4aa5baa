#!/bin/bash
# beside: yes
# Both ends behind NAT: two routers in a row, each with a ctd and helpers of its own. The client knows the
# second router's outside address only, and the server the first one's.
#
#   client ── lan0 router wan0 ── s0 second router l0 ── server
#   10.0.0.2       203.0.113.1       203.0.113.2         10.1.0.2
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh
need tcpdump jq

net_router
D=$T-d D4=10.1.0.2
net_ns "$D"
net_link "$S" l0 "$D" d0
net_addr "$S" l0 10.1.0.1/24
net_addr "$D" d0 $D4/24
on "$D" ip route add default via 10.1.0.1
on "$S" sysctl -qw net.ipv4.ip_forward=1
on "$S" ethtool -K s0 tx off >/dev/null
on "$S" ethtool -K l0 tx off >/dev/null
export FTP_LARGE=2000000
serve_vsftpd "$D" 21 || exit 1
mkdir -p "$TMP/tftp" && chmod 755 "$TMP" && head -c 100000 /dev/zero | noise >"$TMP/tftp/file" && chmod 644 "$TMP/tftp/file"
serve_program "$D" tftpd-hpa in.tftpd -L -c -u nobody -s "$TMP/tftp"
serve_program "$D" sip-tester sipp -nostdin -sn uas -t u1 -i $D4 -p 5060 -rtp_echo -mp 6000 -mi $D4
poll_until 20 listening "$D" 69 u && poll_until 20 listening "$D" 5060 u
start_ctd "$S" "$(config second <<-END
	set default deny
	wan = s0
	lan = l0
	nat out on \$wan from \$lan.net -> (\$wan)
	forward in on \$wan proto tcp to self port 21 -> $D4:21
	forward in on \$wan proto udp to self port 69 -> $D4:69
	forward in on \$wan proto udp to self port 5060 -> $D4:5060
	alg ftp on \$wan
	alg tftp on \$wan
	alg sip on \$wan
	pass in on \$lan
	END
)" "$T-2"
PIDS+=("$CTD_PID")
start_ctd "$R" "$(config first <<-END
	set default deny
	wan = wan0
	lan = lan0
	nat out on \$wan from \$lan.net -> (\$wan)
	alg ftp on \$lan
	alg tftp on \$lan
	alg sip on \$lan
	pass in on \$lan
	END
)"

small()
{
	on "$C" curl -sS --max-time 20 "$@" "ftp://$S4/small" | grep -qx "the file behind the router"
}
# The address in the 227 is believed: it must be the second router's
passive()
{
	small --disable-epsv --no-ftp-skip-pasv-ip && small
}
active()
{
	small -P - --disable-eprt && small -P -
}
lftp_both_ways()
{
	local passive
	for passive in on off; do
		rm -f "$TMP/l"
		program "$C" lftp timeout 30 lftp -e \
			"set net:max-retries 2; set net:timeout 8; set ftp:passive-mode $passive; get small -o $TMP/l; bye" "ftp://$S4" &&
			cmp "$TMP/l" "$FTP_ROOT/small" || return
	done
}
up_and_down()
{
	on "$C" curl -sS --max-time 60 -P - -T "$FTP_ROOT/large" "ftp://$S4/incoming/up" &&
		[ "$(md5sum <"$FTP_ROOT/incoming/up")" = "$FTP_MD5" ] &&
		[ "$(on "$C" curl -sS --max-time 60 "ftp://$S4/incoming/up" | md5sum)" = "$FTP_MD5" ]
}
tftp()
{
	on "$C" curl -sS --max-time 15 -o "$TMP/got" "tftp://$S4/file" && cmp "$TMP/got" "$TMP/tftp/file"
}
t passive_ftp passive
t active_ftp active
t lftp_both_ways lftp_both_ways
t a_file_up_and_down up_and_down
t tftp tftp

echo_heard()
{
	[ "$(tcpdump -nnr "$TMP/heard.pcap" 2>/dev/null | wc -l)" -ge 60 ]
}
over()
{
	[ "$("$CTCTL" --instance "$T" expect count)" = 0 ] && [ "$("$CTCTL" --instance "$T-2" expect count)" = 0 ]
}
# What the client says is heard by the server, and its echo comes back
call()
{
	local sound
	sound=$(fetch_closure sip-tester)/usr/share/sip-tester/g711a.pcap
	serve "$C" tcpdump -U -Qin -nni c0 --immediate-mode -w "$TMP/heard.pcap" "udp and src $S4 and src port 6000"
	poll_until 10 grep -q listening "$TMP/serve.$((${#PIDS[@]} - 1))" || return
	program "$C" sip-tester timeout 30 sipp -nostdin -sf "$NETNS_TOP/tests/alg/sipp/call.xml" -key sound "$sound" -t u1 \
		-i "$C4" -p 5070 -m 1 "$S4:5060" </dev/null >"$TMP/call.log" 2>&1 || { tail -n 30 "$TMP/call.log"; return 1; }
	poll_until 10 echo_heard && poll_until 10 over
}
t sip_call_with_media call
t first_tables_are_whole ctctl check
t second_tables_are_whole "$CTCTL" --instance "$T-2" check
finish
