#!/bin/bash
# beside: yes
# What coturn's NAT discovery (RFC 5780) says of our rules.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#   10.0.0.2                      203.0.113.2, .3: turnserver
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

net_router
net_addr "$S" s0 203.0.113.3/24
tree=$(fetch_closure coturn) || { echo "FAIL coturn_is_there: cannot be fetched"; exit 1; }
lib=$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu

# rules OPTIONS : a gateway whose clients are translated with these
rules()
{
	config "rules$RANDOM" <<-END
		set default deny
		pass in on lan0
		nat out on wan0 from 10.0.0.0/16 -> 203.0.113.1 $*
	END
}

start_ctd "$R" "$(rules)"
serve "$S" env "LD_LIBRARY_PATH=$lib" "$tree/usr/bin/turnserver" -n -S --no-tls --no-dtls --no-cli --no-auth \
	-L "$S4" -L 203.0.113.3 --log-file=stdout --pidfile "$TMP/turn.pid" --db "$TMP/turn.db"
poll_until 20 listening "$S" 3478 u

# discovers WORDS OPTION... : under the rules in force
discovers()
{
	local want=$1 out
	shift
	out=$(on "$C" env "LD_LIBRARY_PATH=$lib" timeout 60 "$tree/usr/bin/turnutils_natdiscovery" "$@" "$S4" 2>&1)
	grep -qi "$want" <<<"$out" || { echo "$out"; echo "does not say '$want'"; return 1; }
}

load()
{
	ctctl fw load "$(rules "$@")" && ctctl -F >/dev/null 2>&1
}

# By default the own port is kept, so that a lone client cannot tell; `random` shows
# that each connection has a mapping of its own.
default_is_dependent()
{
	load && discovers 'Address and Port Dependent Filtering' -f &&
		load random && discovers 'Address and Port Dependent Mapping' -m
}

eim_eif_is_independent()
{
	load eim eif hairpin && discovers 'Endpoint Independent Mapping' -m && discovers 'Endpoint Independent Filtering' -f
}

eim_adf_filters_by_address()
{
	load eim adf hairpin && discovers 'Endpoint Independent Mapping' -m && discovers 'NAT with Address Dependent Filtering' -f
}

# It sends to its own external endpoint; whether that arrives is what it says.
hairpin_is_found()
{
	load eim eif hairpin && discovers 'a successful hairpinning' -H &&
		load eim eif && fails discovers 'a successful hairpinning' -H
}

for mode in default_is_dependent eim_eif_is_independent eim_adf_filters_by_address hairpin_is_found; do
	t "$mode" "$mode"
done
finish
