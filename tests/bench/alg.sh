#!/bin/bash
# tests/bench/alg.sh [ROUNDS] : what a helper costs.
#   alg_data_ratio   rate of an FTP download whose connection a helper announced, over the same download
#                    from a port without a helper (passive there)
#   alg_messages_s   commands and replies on a helped connection in turn, both ways by ctd
# Real sockets through the router of tests/lib/netns.sh, in namespaces of its own.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/ftp.sh
. tests/lib/ftp.sh

rounds=${1:-5}
net_router >&2
serve_vsftpd "$S" 21 >&2 && serve_vsftpd "$S" 2021 >&2 || exit 1
serve "$S" /usr/bin/python3 tests/lib/ftp_fake.py server 2100 /dev/null
poll_until 10 listening "$S" 2100 >&2 || exit 1
start_ctd "$R" "$(config bench <<-END
	nat out on wan0 from 10.0.0.0/24 -> (wan0)
	pass in on lan0
	alg ftp on lan0 port { 21, 2100 }
END
)" >&2

# rate CURL-OPTION... : bytes a second
rate()
{
	on "$C" curl -sS -o /dev/null -w '%{speed_download}\n' --max-time 120 "$@"
}

messages()
{
	on "$C" /usr/bin/python3 - "$S4" <<-'END'
		import socket, sys, time
		s = socket.create_connection((sys.argv[1], 2100), 15)
		s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		f = s.makefile("rb")
		f.readline()
		n, end = 0, time.monotonic() + 2
		while time.monotonic() < end:
		    s.sendall(b"NOOP\r\n")
		    f.readline()
		    n += 2
		print(n / 2)
	END
}

for ((i = 0; i < rounds; i++)); do
	helped=$(rate -P - "ftp://$S4:21/large") && plain=$(rate "ftp://$S4:2021/large") && said=$(messages) || exit 1
	echo "$helped $plain" >>"$TMP/ratio"
	echo "$said" >>"$TMP/said"
done
awk '{ print $1 / $2 }' "$TMP/ratio" | sort -n | awk '{ v[NR] = $1 } END { printf "alg_data_ratio %.2f x\n", v[int((NR + 1) / 2)] }'
sort -n "$TMP/said" | awk '{ v[NR] = $1 } END { printf "alg_messages_s %.0f 1/s\n", v[int((NR + 1) / 2)] }'
