#!/bin/bash
# In a guest (tests/long/kernels_pptp), as the host's kernel has no PPP: Debian's pptpd and pptp with
# pppd, through NAT and `alg pptp`. Callers on two links have chosen the same call id.
#
#   caller c0 ── lan0    router wan0 ── s0   pptpd      203.0.113.0/24
#   caller b0 ── lan1                                   10.0.0.0/24, 10.0.1.0/24
#   calls: 192.168.77.1 (pptpd at 203.0.113.2) .10 and more; 192.168.78.1 (pptpd at 10.0.0.2)
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../../lib/netns.sh"
# shellcheck source=tests/lib/pptp.sh
. tests/lib/pptp.sh
need curl ping

B=$T-b
net_router
net_ns "$B"
net_link "$B" b0 "$R" lan1
net_addr "$B" b0 10.0.1.2/24
net_addr "$R" lan1 10.0.1.1/24
on "$B" ip route add default via 10.0.1.1
on "$R" ethtool -K lan1 tx off >/dev/null
mkdir -p /dev/pts && mount -t devpts -o ptmxmode=666 devpts /dev/pts || exit 1
pppd=$(command -v pppd) || pppd=$pptpd_tree/usr/sbin/pppd
pptp_prepare "$pppd" || { echo "FAIL pptp_is_prepared: cannot"; exit 1; }

# rules NAME [LINE...]
rules()
{
	config "$1" <<-END
		set default deny
		wan = wan0
		lan = { lan0, lan1 }
		$(printf '%s\n' "${@:2}")
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
	END
}
forward="forward in on \$wan proto tcp port 1723 -> $C4"
conf=$(rules helped "alg pptp on { \$lan, \$wan }")
inside=$(rules inside "$forward" "alg pptp on { \$lan, \$wan }")
plain=$(rules plain)
start_ctd "$R" "$conf"
mkdir -p "$TMP/www"
head -c 3000000 /dev/zero | noise >"$TMP/www/large"
serve_http "$S" 80
pptp_serve "$S" $S4 192.168.77 || { echo "FAIL pptpd_serves: port 1723 stays closed"; exit 1; }

# What went wrong, for whoever reads a failure
logs()
{
	tail -n 12 "$TMP/call.$1" "$TMP"/pptpd.*/log
	ctctl -L -p gre
	ctctl expect list
	ctctl alg
	return 1
}
is_up()
{
	grep -q 'remote IP address' "$TMP/call.$1"
}
# comes_up NAME : and the other end is there
comes_up()
{
	poll_until 90 is_up "$1" && return
	logs "$1"
}
# address NAME, peer NAME
address()
{
	sed -n 's/^local  *IP address //p' "$TMP/call.$1"
}
pings()
{
	on "$2" ping -c 3 -i 0.3 -W 10 "$3" || logs "$1"
}
# downloads NAME NS ADDRESS : three megabytes through the tunnel
downloads()
{
	on "$2" curl -gsS --max-time 120 --interface "$(address "$1")" -o "$TMP/got.$1" "http://$3/large" || { logs "$1"; return; }
	cmp "$TMP/got.$1" "$TMP/www/large"
}
# calls N : so many GRE connections go by ids, and are related to their control connections
calls()
{
	[ "$(ctctl -L -p gre -u EXPECTED 2>/dev/null | grep -c 'srckey=')" = "$1" ]
}
nothing_expected()
{
	[ -z "$(ctctl expect list 2>/dev/null)" ] && calls 0
}
# ids : as what the server knows the callers
ids()
{
	ctctl -L -p gre -u EXPECTED 2>/dev/null | sed -n "s/.* src=$S4 dst=$RW4 srckey=\([^ ]*\) dstkey=\([^ ]*\) .*/\1 \2/p"
}
ids_differ()
{
	ids
	[ "$(ids | cut -d' ' -f2 | sort -u | wc -l)" = 2 ]
}

# pptpd's first call has the id 0.
pptp_dial a "$C" "$S4" 7
t first_call_comes_up comes_up a
pptp_dial b "$B" "$S4" 7
t second_call_of_the_same_id_comes_up comes_up b
t first_call_pings pings a "$C" 192.168.77.1
t second_call_pings pings b "$B" 192.168.77.1
t server_pings_the_first pings a "$S" "$(address a)"
t server_pings_the_second pings b "$S" "$(address b)"
t both_are_related calls 2
t server_knows_them_by_different_ids ids_differ
t first_downloads downloads a "$C" 192.168.77.1
t second_downloads downloads b "$B" 192.168.77.1
t large_packets on "$C" ping -c 2 -i 0.5 -W 10 -s 4000 192.168.77.1

# slow DOWNLOAD : under way all the while
slow()
{
	nsenter --net="/run/netns/$B" -- curl -sS --interface "$(address b)" --limit-rate 20K -o "$TMP/slow" \
		http://192.168.77.1/large >"$TMP/slow.log" 2>&1 </dev/null &
	PIDS+=($!)
	poll_until 60 test -s "$TMP/slow"
}
larger()
{
	[ "$(stat -c %s "$TMP/slow")" -ge "$1" ]
}
goes_on()
{
	local n
	n=$(stat -c %s "$TMP/slow")
	poll_until 120 larger $((n + 100000)) || { cat "$TMP/slow.log"; return 1; }
	n=$(stat -c %s "$TMP/slow")
	cmp -n "$n" "$TMP/slow" "$TMP/www/large"
}
t slow_download slow
kill_ctd
t download_outlives_ctd goes_on
t first_call_pings_without_ctd pings a "$C" 192.168.77.1
t second_call_pings_without_ctd pings b "$B" 192.168.77.1
# pptpd gives up a control connection whose echo nobody answers for a minute, and emulated ctd takes
# longer to start: whether the calls are there still does not matter here (netns/alg_pptp sees it).
start_ctd "$R" "$conf"
both_again()
{
	for name in a b; do
		pptp_over "$name" || pptp_hang_up "$name" || return
	done
	poll_until 60 nothing_expected || { logs a; return; }
	pptp_dial a "$C" "$S4" 7
	pptp_dial b "$B" "$S4" 7
	comes_up a && comes_up b
}
t both_call_again_after_the_restart both_again
t first_call_pings_after_the_restart pings a "$C" 192.168.77.1
t second_call_pings_after_the_restart pings b "$B" 192.168.77.1
t both_are_there_after_the_restart calls 2

redial()
{
	pptp_hang_up a
	poll_until 60 calls 1 || return
	pptp_dial a "$C" "$S4" 7
	comes_up a
}
t redial redial
t redialled_pings pings a "$C" 192.168.77.1
t redialled_downloads downloads a "$C" 192.168.77.1
# The caller is gone without a word, as after a loss of power; its next call has the id of the old one.
lost()
{
	on "$C" ip link set c0 down && pptp_hang_up a KILL && on "$C" ss -K dst "$S4" dport = 1723 >/dev/null
	on "$C" ip link set c0 up && on "$C" ip route add default via "$RL4" || return
	pptp_dial a "$C" "$S4" 7
	comes_up a && pings a "$C" 192.168.77.1
}
t redial_after_a_loss lost
t second_was_not_disturbed pings b "$B" 192.168.77.1
both_hang_up()
{
	pptp_hang_up a
	pptp_hang_up b
	poll_until 60 nothing_expected || logs a
}
t nothing_is_left_when_they_hang_up both_hang_up

# The server behind NAT
t server_inside_is_loaded ctctl fw load "$inside"
serve_http "$C" 80
t pptpd_serves_inside pptp_serve "$C" $C4 192.168.78
pptp_dial out "$S" $RW4 9
t call_to_a_server_inside comes_up out
t server_inside_is_pinged pings out "$S" 192.168.78.1
t server_inside_serves downloads out "$S" 192.168.78.1
t call_to_the_inside_is_related calls 1
pptp_dial in "$B" $S4 9
t call_from_inside_beside_it comes_up in
t it_pings pings in "$B" 192.168.77.1
t the_other_pings pings out "$S" 192.168.78.1
t nothing_was_refused test "$(ctctl alg | grep -cE 'range|no_port|no_room|framing|not_protocol')" = 0
pptp_hang_up in
pptp_hang_up out
t nothing_is_left poll_until 60 nothing_expected

# Without the helper all GRE between two hosts is one connection: one caller at a time
t without_the_helper ctctl fw load "$plain"
pptp_dial a "$C" "$S4" 7
t one_caller_needs_no_helper comes_up a
pptp_dial b "$B" $S4 7 lcp-max-configure 3
second_fails()
{
	poll_until 90 pptp_over b && ! is_up b
}
t two_callers_do second_fails
pptp_hang_up a
t table_is_consistent ctctl check
stop_ctd
unload_ctd "$T" "$R"
finish
