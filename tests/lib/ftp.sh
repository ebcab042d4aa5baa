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

# What both servers have: a small file, and a large one
ftp_files()
{
	[ -d "$TMP/ftp" ] && return
	mkdir -p "$TMP/ftp/incoming" "$TMP/empty"
	echo "the file behind the router" >"$TMP/ftp/small"
	head -c "${FTP_LARGE:-100000000}" /dev/zero | noise >"$TMP/ftp/large"
	chmod 755 "$TMP" "$TMP/ftp" "$TMP/empty"
	chmod 777 "$TMP/ftp/incoming"
	FTP_MD5=$(md5sum <"$TMP/ftp/large")
}

# serve_vsftpd NS [PORT]
serve_vsftpd()
{
	local port=${2:-21}
	ftp_files
	printf '%s\n' listen=NO listen_ipv6=YES listen_port="$port" background=NO anonymous_enable=YES anon_root="$TMP/ftp" \
		no_anon_password=YES ftp_username=daemon secure_chroot_dir="$TMP/empty" seccomp_sandbox=NO write_enable=YES \
		anon_upload_enable=YES anon_umask=022 max_clients=1000 pasv_promiscuous=NO >"$TMP/vsftpd.$port.conf"
	serve_program "$1" vsftpd vsftpd "$TMP/vsftpd.$port.conf"
	poll_until 20 listening "$1" "$port"
}

# serve_proftpd NS [PORT]
serve_proftpd()
{
	local port=${2:-21}
	ftp_files
	cat >"$TMP/proftpd.$port.conf" <<-END
		ServerType standalone
		Port $port
		UseIPv6 on
		User nobody
		Group nogroup
		MaxInstances 1000
		WtmpLog off
		ScoreboardFile $TMP/scoreboard.$port
		PidFile $TMP/proftpd.$port.pid
		DelayEngine off
		<Anonymous $TMP/ftp>
		  User nobody
		  Group nogroup
		  UserAlias anonymous nobody
		  RequireValidShell off
		</Anonymous>
	END
	serve_program "$1" proftpd-core proftpd -n -c "$TMP/proftpd.$port.conf"
	poll_until 20 listening "$1" "$port"
}
