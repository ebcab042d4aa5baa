# shellcheck shell=bash disable=SC2034
# sipp, who hears its media, and the rules of a gateway that helps SIP from inside. Source it after
# netns.sh; needs jq and tcpdump.
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh
need jq tcpdump

sipp_tree=$(fetch_closure sip-tester) || exit 1
SOUND=$sipp_tree/usr/share/sip-tester/g711a.pcap # two seconds of G.711

# sip_rules [LINE...] : prints the file's name; the lines stand first
sip_rules()
{
	config sip <<-END
		set default deny
		$(printf '%s\n' "$@")
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		alg sip on \$lan
		pass in on \$lan
	END
}
# sipp NS ARG... : without its screen
sipp()
{
	local ns=$1
	shift
	program "$ns" sip-tester timeout 20 sipp -nostdin "$@" </dev/null
}
serve_sipp()
{
	local ns=$1
	shift
	serve_program "$ns" sip-tester sipp -nostdin "$@"
}
# sip_gone NS : nobody is at port 5060
sip_gone()
{
	! listening "$1" 5060 u && ! listening "$1" 5060 t
}
# heard NS DEV FILTER COMMAND... : runs the command, counts the packets of FILTER that arrive meanwhile
heard()
{
	local ns=$1 dev=$2 filter=$3
	shift 3
	: >"$TMP/heard"
	: >"$TMP/heard.err" # now: that of the last call says listening
	on "$ns" tcpdump -Qin -nni "$dev" --immediate-mode -w "$TMP/heard.pcap" "$filter" >"$TMP/heard.err" 2>&1 &
	local pid=$!
	poll_until 10 grep -q listening "$TMP/heard.err" || return
	"$@" >"$TMP/call.log" 2>&1 || { tail -n 30 "$TMP/call.log"; kill "$pid"; return 1; }
	sleep 0.3
	kill "$pid"
	wait "$pid" 2>/dev/null
	tcpdump -nnr "$TMP/heard.pcap" 2>/dev/null | wc -l >"$TMP/heard"
}
# enough : of what heard() counted
enough()
{
	[ "$(cat "$TMP/heard")" -ge 60 ] || { echo "heard $(cat "$TMP/heard") packets of media"; return 1; }
}
left_none()
{
	[ "$(ctctl expect count)" = 0 ] || { ctctl -L expect; return 1; }
}
# media_is_over PORT : the phone may go on sending, as any host of the LAN; what was expected has ended
media_is_over()
{
	[ "$(ctctl -j flow list -p udp --dport "$1" -u EXPECTED | jq length)" = 0 ] && left_none
}
