# shellcheck shell=bash disable=SC2034
# Debian's pptpd and pptp, unpacked, not installed, with pppd or what stands for it. Source it after
# netns.sh.
#
#   pptp_prepare PPPD             in this suite's mount namespace: paths that the programs have built in
#   pptp_serve NS ADDRESS NET     a pptpd; its end of a call is NET.1, the callers' NET.10 and more
#   pptp_dial NAME NS ADDRESS ID  a pppd that calls by pptp, whose call id is ID; log: $TMP/call.NAME
#   pptp_hang_up NAME [SIGNAL]
#
# Several run in one network namespace or in many, each with a /run and a /dev/random of its own:
# pptp finds its control connection by a socket below /run and its call id in /dev/random.

# Both packages bring ppp.
pptpd_tree=$(fetch_closure pptpd) && pptp_tree=$(fetch_closure pptp-linux) || exit 1
PPTP=$pptp_tree/usr/sbin/pptp
PPTP_ENV=(env "LD_LIBRARY_PATH=$pptpd_tree/usr/lib/x86_64-linux-gnu:$pptpd_tree/lib/x86_64-linux-gnu")

# also DIR NAME=FILE... : DIR with these in it too, whatever file system it is on
also()
{
	local dir=$1 was=/run/was$1 file
	shift
	mkdir -p "$was" && mount --bind "$dir" "$was" && mount -t tmpfs -o mode=755 tmpfs "$dir" &&
		ln -s "$was"/* "$dir" || return
	for file; do
		ln -sfn "${file#*=}" "$dir/${file%%=*}" || return
	done
}

pptp_prepare()
{
	local pppd=$1
	mkdir -p "$TMP/ppp" && : >"$TMP/ppp/options" || return
	printf '%s * secret *\n' client server >"$TMP/ppp/chap-secrets"
	chmod 600 "$TMP/ppp/chap-secrets"
	PPPD=$pppd
	also /etc "ppp=$TMP/ppp" && also /usr/sbin "pptpctrl=$pptpd_tree/usr/sbin/pptpctrl" "pppd=$pppd"
}

pptp_serve()
{
	local ns=$1 address=$2 net=$3 dir=$TMP/pptpd.$1
	mkdir -p "$dir"
	cat >"$dir/conf" <<-END
		option $dir/options
		ppp $PPPD
		listen $address
		localip $net.1
		remoteip $net.10-40
	END
	cat >"$dir/options" <<-END
		name server
		${PPTP_AUTH:-noauth}
		noipv6
		nodefaultroute
		nobsdcomp
		nodeflate
		novj
		mtu 1400
		lcp-echo-interval 20
		lcp-echo-failure 6
		debug
		logfile $dir/log
	END
	serve "$ns" "${PPTP_ENV[@]}" "$pptpd_tree/usr/sbin/pptpd" --fg --debug --conf "$dir/conf" --pidfile "$dir/pid"
	poll_until 20 listening "$ns" 1723
}

# Two bytes of /dev/random, as they lie in memory
pptp_dial()
{
	local name=$1 ns=$2 address=$3 id=$4 dir=$TMP/dial.$1
	shift 4
	mkdir -p "$dir/run/pptp" "$dir/run/lock"
	# shellcheck disable=SC2059 # the format is the text
	printf "\\x$(printf %02x $((id & 255)))\\x$(printf %02x $((id >> 8)))" >"$dir/random"
	# shellcheck disable=SC2016 # of the inner shell
	nsenter --net="/run/netns/$ns" -- "${PPTP_ENV[@]}" unshare --mount --propagation private \
		sh -c 'mount --bind "$1/random" /dev/random && mkdir -p /run/pptp && mount --bind "$1/run/pptp" /run/pptp && shift && exec "$@"' sh "$dir" \
		"$PPPD" pty "$PPTP $address --nolaunchpppd --nohostroute --loglevel 2 --logstring $name" \
		nodetach name client remotename server noauth noipv6 nodefaultroute nobsdcomp nodeflate novj mtu 1400 \
		lcp-echo-interval 20 lcp-echo-failure 6 debug "$@" >"$TMP/call.$name" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	PIDS+=($!)
}

# pptp_over NAME : the caller has ended
pptp_over()
{
	local pid
	pid=$(cat "$TMP/dial.$1/pid")
	[ ! -d "/proc/$pid" ] || grep -q '^State:.Z' "/proc/$pid/status"
}

pptp_hang_up()
{
	kill "-${2:-TERM}" "$(cat "$TMP/dial.$1/pid")" && poll_until 60 pptp_over "$1"
}
