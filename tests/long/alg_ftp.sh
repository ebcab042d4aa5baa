#!/bin/bash
# timeout: 900
# FTP through NAT at length: 100 MB up and down with each server, client and way of opening the data
# connection, checksums compared; 200 sessions at once.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#   behind NAT                    vsftpd 21, proftpd 2121
#   vsftpd behind a forward of the router's port 2021 as well
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh

net_router
serve_vsftpd "$S" 21 && serve_proftpd "$S" 2121 && serve_vsftpd "$C" 21 || exit 1
start_ctd "$R" "$(config ftp <<-END
	set default deny
	wan = wan0
	lan = lan0
	nat out on \$wan from \$lan.net -> (\$wan)
	forward in on \$wan proto tcp to self port 2021 -> $C4:21
	pass in on \$lan
	alg ftp on \$lan port { 21, 2121 }
	alg ftp on \$wan port 21
	END
)"

same()
{
	[ "$(md5sum <"$1")" = "$FTP_MD5" ]
}
# with_curl NS URL OPTION... : up under a new name, down again
with_curl()
{
	local ns=$1 url=$2
	shift 2
	rm -f "$FTP_ROOT"/incoming/* "$TMP/down"
	on "$ns" curl -sS --max-time 200 "$@" -T "$FTP_ROOT/large" "$url/incoming/up" && same "$FTP_ROOT/incoming/up" &&
		on "$ns" curl -sS --max-time 200 "$@" -o "$TMP/down" "$url/large" && same "$TMP/down"
}
# with_lftp PORT PASSIVE
with_lftp()
{
	rm -f "$FTP_ROOT"/incoming/* "$TMP/down"
	program "$C" lftp timeout 300 lftp -e "set net:max-retries 2; set net:timeout 30; set ftp:passive-mode $2; \
put $FTP_ROOT/large -o incoming/up; get large -o $TMP/down; bye" "ftp://$S4:$1" &&
		same "$FTP_ROOT/incoming/up" && same "$TMP/down"
}
# with_tnftp PORT MODE
with_tnftp()
{
	rm -f "$FTP_ROOT"/incoming/* "$TMP/down"
	program "$C" tnftp timeout 300 env FTPMODE="$2" tnftp -u "ftp://$S4:$1/incoming/up" "$FTP_ROOT/large" >/dev/null &&
		same "$FTP_ROOT/incoming/up" &&
		program "$C" tnftp timeout 300 env FTPMODE="$2" tnftp -o "$TMP/down" "ftp://$S4:$1/large" >/dev/null && same "$TMP/down"
}
for server in vsftpd:21 proftpd:2121; do
	port=${server#*:} name=${server%:*}
	t "100_mb_${name}_curl_pasv" with_curl "$C" "ftp://$S4:$port" --disable-epsv
	t "100_mb_${name}_curl_epsv" with_curl "$C" "ftp://$S4:$port"
	t "100_mb_${name}_curl_port" with_curl "$C" "ftp://$S4:$port" -P - --disable-eprt
	t "100_mb_${name}_curl_eprt" with_curl "$C" "ftp://$S4:$port" -P -
	t "100_mb_${name}_curl_ipv6" with_curl "$C" "ftp://[$S6]:$port" -P -
	t "100_mb_${name}_lftp_passive" with_lftp "$port" on
	t "100_mb_${name}_lftp_active" with_lftp "$port" off
	t "100_mb_${name}_tnftp_passive" with_tnftp "$port" passive
	t "100_mb_${name}_tnftp_active" with_tnftp "$port" active
done
t 100_mb_server_behind_nat_curl_pasv with_curl "$S" "ftp://$RW4:2021" --disable-epsv --no-ftp-skip-pasv-ip
t 100_mb_server_behind_nat_curl_port with_curl "$S" "ftp://$RW4:2021" -P - --disable-eprt
# two_hundred PORT
two_hundred()
{
	rm -f "$FTP_ROOT"/incoming/*
	on "$C" /usr/bin/python3 tests/lib/ftp_many.py "$S4" "$1" 200
}
t 200_sessions_vsftpd two_hundred 21
t 200_sessions_proftpd two_hundred 2121
t tables_are_whole ctctl check
finish
