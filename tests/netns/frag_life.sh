#!/bin/bash
# timeout: 300
# What becomes of fragments that wait: time-outs by moving the instance's clock, the
# sender told of them, ctd killed and started again meanwhile, two CPUs at once,
# settings changed while running.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#
# The client sends pieces 0, 1 and 2 of datagrams of 3,000 bytes as it likes
# (tests/lib/fragsend.py); the server's kernel counts those that are whole.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need jq tcpdump nstat

net_router
rules()
{
	config "$1" <<-END
		set default deny
		$(cat)
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
	END
}
plain=$(rules plain </dev/null)
start_ctd "$R" "$plain"
serve "$S" /usr/bin/python3 tests/lib/datagrams.py sink 7001
poll_until 20 listening "$S" 7001 u
lan_mac=$(on "$R" ip -o link show lan0 | grep -oE 'ether [0-9a-f:]+' | cut -d' ' -f2)

frag()
{
	ctctl -j frag | jq -r "$1"
}
used()
{
	[ "$(frag .total.datagrams.used)" = "$1" ] || { frag .total; return 1; }
}
# pieces FAMILY ID PIECE...
pieces()
{
	local src=$C4 dst=$S4
	if [ "$1" = 6 ]; then
		src=$C6 dst=$S6
	fi
	on "$C" /usr/bin/python3 tests/lib/fragsend.py c0 "$lan_mac" "$src" "$dst" "${@:2}"
}
# How many whole datagrams the server has had
whole()
{
	on "$S" nstat -asz UdpInDatagrams Udp6InDatagrams |
		awk -v n="$([ "$1" = 4 ] && echo UdpInDatagrams || echo Udp6InDatagrams)" '$1 == n { print $2 }'
}
# arrive FAMILY NUMBER COMMAND... : so many datagrams more
arrive()
{
	local fam=$1 want=$2 before
	before=$(whole "$fam")
	shift 2
	"$@" || return
	sleep 0.1
	poll_until 20 arrived "$fam" $((before + want))
}
arrived()
{
	local n
	n=$(whole "$1")
	[ "$n" = "$2" ] || { echo "$n datagrams, not $2"; return 1; }
}
advance()
{
	ctctl clock --advance "$1"
}
expired_is()
{
	local n
	n=$(frag "$1.expired")
	[ "$n" = "$2" ] || { echo "$n expired, not $2"; return 1; }
}
inet()
{
	[ "$1" = 4 ] && echo .inet || echo .inet6
}

# ---- two CPUs at once: eight pieces, the even ones from one, the odd from the other
# race FAMILY NUMBER
race()
{
	local src=$C4 dst=$S4
	if [ "$1" = 6 ]; then
		src=$C6 dst=$S6
	fi
	on "$C" "$O/tests/lib/fragflood" c0 "$lan_mac" race "$src" "$dst" "$2" 1 1000
}
two_cpus()
{
	if [ "$(nproc)" -lt 2 ]; then
		echo "skip two_cpus: one CPU"
		return
	fi
	on "$S" sysctl -qw net.ipv4.ipfrag_max_dist=0
	for f in 4 6; do
		t "two_cpus_each_datagram_exactly_once_v$f" arrive $f 5000 race $f 5000
		[ "${NETNS_WITH:-}" = nft ] || t "nothing_held_after_the_race_v$f" used 0
	done
}
if [ "${NETNS_WITH:-}" = nft ]; then # the rest has no counterpart there
	on "$R" sysctl -qw net.ipv4.ipfrag_max_dist=0
	two_cpus
	finish
fi
two_cpus

# ---- time-outs
lives()
{
	arrive "$1" 0 pieces "$1" 101 0 1 && advance $(($2 - 5)) && sleep 0.3 && used 1 && arrive "$1" 1 pieces "$1" 101 2 && used 0
}
dies()
{
	local n
	n=$(frag "$(inet "$1").expired")
	arrive "$1" 0 pieces "$1" 102 0 1 && advance $(($2 + 1)) && poll_until 20 used 0 &&
		expired_is "$(inet "$1")" $((n + 1)) && arrive "$1" 0 pieces "$1" 102 2
	advance $(($2 + 1)) && poll_until 20 used 0
}
# The time is that of the first piece to arrive, not of the last.
not_refreshed()
{
	arrive "$1" 0 pieces "$1" 103 0 && advance 10 && arrive "$1" 0 pieces "$1" 103 1 && advance 6 &&
		arrive "$1" 0 pieces "$1" 103 2
	advance 16 && poll_until 20 used 0
}
for f in 4 6; do
	t "whole_in_any_order_v$f" arrive $f 1 pieces $f 100 2 0 1
	t "held_for_15_seconds_v$f" lives $f 15
	t "gone_after_15_seconds_v$f" dies $f 15
	t "a_later_piece_does_not_prolong_it_v$f" not_refreshed $f
done

# ---- settings while running
load()
{
	ctctl fw load "$1"
}
short=$(echo "set fragments timeout 2" | rules short)
long=$(echo "set fragments timeout 60" | rules long)
t time_out_of_2_seconds load "$short"
t gone_after_2_seconds dies 4 2
t time_out_of_60_seconds load "$long"
t held_for_60_seconds lives 6 60
t time_out_of_15_seconds load "$plain"
not_held()
{
	local n
	n=$(frag "$(inet "$1").accepted")
	arrive "$@" && [ "$(frag "$(inet "$1").accepted")" = "$n" ]
}
for word in drop pass; do
	# what passes is for the server to put together
	[ $word = drop ] && through=0 || through=1
	one=$(echo "set fragments inet $word" | rules "no4$word")
	t "${word}_inet" load "$one"
	t "${word}_inet_v4_is_not_reassembled" not_held 4 "$through" pieces 4 110 0 1 2
	t "${word}_inet_v6_is" arrive 6 1 pieces 6 110 0 1 2
	one=$(echo "set fragments inet6 $word" | rules "no6$word")
	t "${word}_inet6" load "$one"
	t "${word}_inet6_v6_is_not_reassembled" not_held 6 "$through" pieces 6 111 0 1 2
	t "${word}_inet6_v4_is" arrive 4 1 pieces 4 111 0 1 2
done
# What was held when fragments were switched off goes with its time.
switched_off()
{
	pieces 4 112 0 && used 1 && load "$one" && pieces 6 112 0 && load "$plain" && arrive 4 1 pieces 4 112 1 2 && poll_until 20 used 0
}
t held_while_settings_change switched_off
t reassemble_again load "$plain"
refused=$(rules refused <<<"set fragments timeout 61")
t time_out_of_61_is_refused fails load "$refused"
refused=$(rules refused <<<"set fragments timeout 1")
t time_out_of_1_is_refused fails load "$refused"
quota=$(rules quota <<<"set fragments source datagrams 4")
quota_changes()
{
	local n
	n=$(frag .source.refused)
	load "$quota" && pieces 4 120-129 0 && used 4 && [ "$(frag .source.refused)" = $((n + 6)) ] && load "$plain" &&
		pieces 4 130-139 0 && used 14
	local rc=$?
	advance 16 && poll_until 20 used 0 && return "$rc"
}
t quota_changes_while_running quota_changes
small=$(rules small <<<"set fragments min-size inet 1200")
min_size()
{
	load "$small" && arrive 4 0 pieces 4 140 0 1 2 && arrive 6 1 pieces 6 140 0 1 2 && load "$plain" && arrive 4 1 pieces 4 141 0 1 2
}
t minimum_size_changes_while_running min_size

# ---- the sender is told
# told FAMILY IDS PIECES SECONDS MIN MAX : as many ICMP errors of the router about datagrams with
# these ids reach the client (the server's kernel may have something to say of others)
told()
{
	local n=0 pid id='icmp[12:2]' filter="icmp[0] == 11 and icmp[1] == 1 and src host $RL4"
	if [ "$1" = 6 ]; then
		id='ip6[92:4]' filter="icmp6 and ip6[40] == 3 and ip6[41] == 1 and src host $RL6"
	fi
	filter="$filter and $id >= ${2%-*} and $id <= ${2#*-}"
	on "$C" timeout 20 tcpdump -i c0 -Q in -nn -U -w "$TMP/told.pcap" "$filter" >"$TMP/told.log" 2>&1 &
	pid=$!
	poll_until 20 grep -q listening "$TMP/told.log" || return
	# shellcheck disable=SC2086 # a list
	pieces "$1" "$2" $3 && advance 16 && poll_until 20 used 0 && sleep "${4:-0.7}"
	kill "$pid"
	wait "$pid"
	tcpdump -r "$TMP/told.pcap" -nn -x 2>/dev/null >"$TMP/told.txt"
	n=$(grep -c '^[0-9:.]* IP' "$TMP/told.txt")
	[ "$n" -ge "$5" ] && [ "$n" -le "$6" ] && return
	cat "$TMP/told.txt"
	echo "told $n times"
	return 1
}
# The error quotes the first fragment as the client sent it: its own address, id.
quotes()
{
	local hex id
	hex=$(grep -oE '^\s+0x[0-9a-f]+:.*' "$TMP/told.txt" | sed 's/^[^:]*: *//; s/ //g' | tr -d '\n')
	if [ "$1" = 4 ]; then
		id=$(printf '45000[0-9a-f]{3}%04x2000[0-9a-f]{8}0a000002cb007102' "$2")
	else
		id=$(printf 'fd000001000000000000000000000002200[0-9a-f]+1100[0-9a-f]{4}%08x' "$2")
	fi
	grep -qiE "$id" <<<"$hex" || { cat "$TMP/told.txt"; echo "does not quote datagram $2"; return 1; }
}
icmp=$(rules icmp <<<"set fragments icmp yes")
for f in 4 6; do
	t "nobody_is_told_by_default_v$f" told $f 150 "0 1" 0.7 0 0
done
t icmp_yes load "$icmp"
for f in 4 6; do
	t "the_sender_is_told_v$f" told $f 151 "0 1" 0.7 1 1
	t "it_is_told_what_it_sent_v$f" quotes $f 151
	t "not_without_the_first_fragment_v$f" told $f 152 "1 2" 0.7 0 0
	t "not_too_often_v$f" told $f 200-399 "0" 0.7 1 30
done
t icmp_no load "$plain"

pieces_of_two()
{
	pieces "$1" 403 2 1 && pieces "$1" 405 1 2
}
all_expire()
{
	used 2 && advance 61 && poll_until 20 used 0 && arrive 4 0 pieces 4 404 1 2 && advance 61 && poll_until 20 used 0
}
fill_quota()
{
	pieces 4 500-755 0 && pieces 6 500-755 0 && used 512
}

# ---- ctd killed: what is held is completed without it, and after it is back
killed_between()
{
	arrive "$1" 1 pieces "$1" 401 1 2 && arrive "$1" 1 pieces "$1" 402 2 1 0
}
t time_out_of_60_seconds_again load "$long" # starting may take some
for f in 4 6; do
	t "held_before_ctd_is_killed_v$f" pieces $f 401 0
	t "held_before_ctd_is_killed_for_later_v$f" pieces $f 403 0
	t "held_before_ctd_is_killed_for_ever_v$f" pieces $f 404 0
done
kill_ctd
for f in 4 6; do
	t "completes_with_ctd_dead_v$f" killed_between $f
	t "held_with_ctd_dead_v$f" pieces $f 405 0
done
start_ctd "$R" "$long"
t still_held_after_the_restart used 6
for f in 4 6; do
	t "completes_after_the_restart_v$f" arrive $f 2 pieces_of_two $f
done
t the_others_expire_after_the_restart all_expire
# A house full of expired ones does not keep newcomers out, with nobody to sweep.
t fills_the_quota fill_quota
kill_ctd
t they_expire advance 61
# what the quota would refuse takes the place of one that is expired
t newcomers_with_ctd_dead_v4 pieces 4 900-1199 0 1 2
t newcomers_with_ctd_dead_v6 pieces 6 900-1199 0 1 2
t admitted_among_the_expired_with_ctd_dead_v4 arrive 4 3 pieces 4 1200-1202 0 1 2
t admitted_among_the_expired_with_ctd_dead_v6 arrive 6 3 pieces 6 1200-1202 0 1 2
start_ctd "$R" "$long"
t swept_after_the_restart poll_until 20 used 0

finish
