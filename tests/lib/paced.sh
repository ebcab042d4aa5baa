# shellcheck shell=bash
# Downloads at the server's pace (tests/lib/http_server.py): under way for as long as a test wants them, and
# at any moment. Source it after netns.sh; serve_http first.

# paced NAME NS HOST [SOURCE] : begins one, and waits until bytes come
paced()
{
	local end=$TMP/paced.$1
	rm -f "$end" "$TMP/www/ended.$1"
	{
		on "$2" curl -gsS ${4:+--interface "$4"} -o "$end" "http://$3/paced/$1" 2>"$end.err"
		echo $? >"$end.status"
	} >/dev/null 2>&1 </dev/null & # not in what t() reads to its end
	poll_until 60 test -s "$end" || { cat "$end.err"; return 1; }
}

paced_size()
{
	stat -c %s "$TMP/paced.$1"
}

# paced_note NAME... : what has come by now, for paced_goes_on()
paced_note()
{
	local name
	for name; do
		paced_size "$name" >"$TMP/paced.$name.noted"
	done
}

paced_grown()
{
	[ "$(paced_size "$1")" -ge "$2" ]
}

# paced_goes_on NAME : more has come than can have been on its way when it was noted, and all is right
paced_goes_on()
{
	local noted size
	noted=$(cat "$TMP/paced.$1.noted")
	[ ! -e "$TMP/paced.$1.status" ] || { cat "$TMP/paced.$1.err"; echo "ended after $(paced_size "$1") bytes"; return 1; }
	poll_until "${PACED_PATIENCE:-60}" paced_grown "$1" $((noted + 50000)) || {
		cat "$TMP/paced.$1.err"
		echo "$noted bytes when noted, $(paced_size "$1") now"
		return 1
	}
	size=$(paced_size "$1")
	cmp -n "$size" "$TMP/paced.$1" "$TMP/www/large"
}

# paced_ends NAME : when told, as the server ends it
paced_ends()
{
	: >"$TMP/www/ended.$1"
	poll_until 60 test -s "$TMP/paced.$1.status" || return
	[ "$(cat "$TMP/paced.$1.status")" = 0 ] || { cat "$TMP/paced.$1.err"; return 1; }
	cmp -n "$(paced_size "$1")" "$TMP/paced.$1" "$TMP/www/large"
}
