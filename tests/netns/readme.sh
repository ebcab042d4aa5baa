#!/bin/bash
# beside: yes
# README.md's way onto a real gateway, as it is written there: installed files,
# the rule file, the commands.
#
#   client (10.0.0.2) ── eth1 router eth0 ── server (203.0.113.2); eth2: 10.0.1.1
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need curl

net_ns "$C" "$R" "$S"
net_link "$C" c0 "$R" eth1
net_link "$R" eth0 "$S" s0
net_link "$C" c1 "$R" eth2
net_addr "$C" c0 $C4/24 $C6/64
net_addr "$R" eth1 $RL4/24 $RL6/64
net_addr "$R" eth0 $RW4/24 $RW6/64
net_addr "$R" eth2 10.0.1.1/24 fd00:3::1/64
net_addr "$S" s0 $S4/24 $S6/64
on "$C" ip route add default via $RL4
on "$C" ip -6 route add default via $RL6
serve_http "$S" 80
serve_echo "$R" 22 23

installed()
{
	local file
	make --no-print-directory O="$O" PREFIX=/usr DESTDIR="$TMP/root" install >"$TMP/install" 2>&1 ||
		{ tail -n 5 "$TMP/install"; return 1; }
	for file in sbin/ctd sbin/ctctl share/man/man8/ctd.8 share/man/man8/ctctl.8 share/man/man5/ctd.conf.5 \
		lib/systemd/system/bpfct.service share/bash-completion/completions/ctctl; do
		[ -s "$TMP/root/usr/$file" ] || { echo "$file is not installed"; return 1; }
	done
	# README's unit, and it starts what was installed
	file=$TMP/root/usr/lib/systemd/system/$(grep -oE 'enable --now [a-z]+' README.md | cut -d' ' -f3).service
	grep -q '^ExecStart=/usr/sbin/ctd ' "$file"
}
t make_install_installs installed
# Every directive is known to systemd and the programs it starts are there.
unit_is_sound()
{
	local unit=$TMP/root/usr/lib/systemd/system/bpfct.service said
	sed "s,/usr/sbin/ctd,$TMP/root/usr/sbin/ctd," "$unit" >"$TMP/bpfct.service"
	said=$(systemd-analyze verify --man=no --recursive-errors=no "$TMP/bpfct.service" 2>&1)
	[ -z "$said" ] && return
	echo "$said"
	return 1
}
before_the_network()
{
	local unit=$TMP/root/usr/lib/systemd/system/bpfct.service
	grep -q '^Before=.*network-pre.target' "$unit" && grep -q '^Wants=.*network-pre.target' "$unit" &&
		[ "$(grep -m 1 '^ExecStart' "$unit" | grep -oE -- '--[a-z]+')" = --guard ]
}
t unit_closes_before_the_network_comes_up before_the_network
if command -v systemd-analyze >/dev/null; then
	t systemd_accepts_the_unit unit_is_sound
else
	echo "skip systemd_accepts_the_unit: this machine has no systemd"
fi
CTD=$TMP/root/usr/sbin/ctd
CTCTL=$TMP/root/usr/sbin/ctctl
mkdir -p "$TMP/root/etc/bpfct"
conf=$TMP/root/etc/bpfct/ctd.conf
sed -n "/ctd.conf <<'END'/,/^END/p" README.md | sed '1d;$d' >"$conf"
t readme_has_a_rule_file test -s "$conf"
t it_is_the_home_example diff <(grep -v '^#' examples/home.conf | grep .) "$conf"
t the_check_accepts_it "$CTD" --check -f "$conf" --netns "$R"
{
	grep '=' "$conf"
	grep -E '^(nat|forward|redirect) .* # ' README.md
} >"$TMP/nat.conf"
t the_check_accepts_the_other_kinds_of_nat "$CTD" --check -f "$TMP/nat.conf" --netns "$R"
eval "on \"$R\" $(grep -m 1 '^sysctl -w' README.md) >/dev/null"
start_ctd "$R" "$conf"
t lan_reaches_the_world_v4 page "$C" "http://$S4/page"
t lan_reaches_the_world_v6 page "$C" "http://[$S6]/page"
t world_pings_the_gateway_v4 on "$S" ping -c 1 -W 2 "$RW4"
t world_pings_the_gateway_v6 on "$S" ping -c 1 -W 2 "$RW6"
t world_reaches_ssh_v4 echo_from "$S" tcp "$RW4" 22
t world_reaches_ssh_v6 echo_from "$S" tcp "$RW6" 22
WAIT=1 t world_reaches_nothing_else fails echo_from "$S" tcp "$RW4" 23
t lists_the_connections ctctl -L
t shows_the_figures ctctl stats
t loads_rules_anew ctctl fw load "$conf"
stop_ctd
t unload_leaves_a_plain_router unload_ctd "$T" "$R"
finish
