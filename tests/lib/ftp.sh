# shellcheck shell=bash disable=SC2034
# Real FTP servers and clients, unpacked and not installed (tests/lib/fetch.sh). Source it
# after netns.sh.

# program NS PACKAGE COMMAND... : a program of an unpacked package with its own libraries
program()
{
	local ns=$1 tree
	tree=$(fetch_closure "$2") || return
	shift 2
	on "$ns" env HOME="$TMP" PATH="$tree/usr/sbin:$tree/usr/bin:$PATH" \
		LD_LIBRARY_PATH="$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu" "$@"
}

# serve_program NS PACKAGE COMMAND... : the same as a server
serve_program()
{
	local ns=$1 tree
	tree=$(fetch_closure "$2") || return
	shift 2
	serve "$ns" env HOME="$TMP" PATH="$tree/usr/sbin:$tree/usr/bin:$PATH" \
		LD_LIBRARY_PATH="$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu" "$@"
}

FTP_ROOT=/mnt/ftp

# What both servers have: a small file, and a large one
ftp_files()
{
	[ -d "$FTP_ROOT" ] && return
	# Servers read it as nobody, to whom the suite's own directory is closed.
	mount -t tmpfs -o mode=755 tmpfs /mnt || return
	mkdir -p "$FTP_ROOT/incoming" "$TMP/empty"
	echo "the file behind the router" >"$FTP_ROOT/small"
	head -c "${FTP_LARGE:-100000000}" /dev/zero | noise >"$FTP_ROOT/large"
	chmod 755 "$FTP_ROOT" "$TMP/empty"
	chmod 777 "$FTP_ROOT/incoming"
	FTP_MD5=$(md5sum <"$FTP_ROOT/large")
}

# serve_vsftpd NS [PORT [SETTING...]]
serve_vsftpd()
{
	local port=${2:-21}
	ftp_files
	printf '%s\n' listen=NO listen_ipv6=YES listen_port="$port" background=NO anonymous_enable=YES anon_root="$FTP_ROOT" \
		no_anon_password=YES ftp_username=daemon secure_chroot_dir="$TMP/empty" seccomp_sandbox=NO write_enable=YES \
		anon_upload_enable=YES anon_umask=022 max_clients=1000 max_per_ip=1000 pasv_promiscuous=NO "${@:3}" >"$TMP/vsftpd.$port.conf"
	serve_program "$1" vsftpd vsftpd "$TMP/vsftpd.$port.conf"
	poll_until 20 listening "$1" "$port"
}

# serve_vsftpd_tls NS PORT : the same with a certificate of its own
serve_vsftpd_tls()
{
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout "$TMP/tls.pem" -out "$TMP/tls.crt" 2>/dev/null &&
		cat "$TMP/tls.crt" >>"$TMP/tls.pem" && serve_vsftpd "$1" "$2" ssl_enable=YES allow_anon_ssl=YES require_ssl_reuse=NO \
		ssl_ciphers=HIGH rsa_cert_file="$TMP/tls.pem"
}

# serve_proftpd NS [PORT]
serve_proftpd()
{
	local port=${2:-21}
	ftp_files
	cat >"$TMP/proftpd.$port.conf" <<-END
		ServerType standalone
		Port $port
		DefaultAddress 127.0.0.1
		UseIPv6 on
		User nobody
		Group nogroup
		MaxInstances 1000
		WtmpLog off
		ScoreboardFile $TMP/scoreboard.$port
		PidFile $TMP/proftpd.$port.pid
		DelayEngine off
		<Anonymous $FTP_ROOT>
		  User nobody
		  Group nogroup
		  UserAlias anonymous nobody
		  RequireValidShell off
		</Anonymous>
	END
	serve_program "$1" proftpd-core proftpd -n -c "$TMP/proftpd.$port.conf"
	poll_until 20 listening "$1" "$port"
}

# bad_path on|off : what both ends send to helpers is lost and disordered (tests/netns/lossy.bpf.c)
bad_path()
{
	local end ns dev
	for end in "$C c0" "$S s0"; do
		read -r ns dev <<<"$end"
		if [ "$1" = off ]; then
			on "$ns" tc qdisc del dev "$dev" clsact || return
			continue
		fi
		on "$ns" ethtool -K "$dev" tx off tso off gso off >/dev/null &&
			on "$ns" tc qdisc add dev "$dev" clsact &&
			on "$ns" tc filter add dev "$dev" egress bpf da obj "$O/tests/netns/lossy.bpf.o" sec tc || return
	done
}
