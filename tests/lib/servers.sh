# shellcheck shell=bash
# Servers and clients that tests use and this machine may lack: unpacked, never installed
# (tests/lib/fetch.sh). Source it after netns.sh.
# shellcheck disable=SC2034 # SSH, SSH_LIB, SSH_OPTIONS: for the suites

# unpacked PACKAGE PATH : prints where the program is; for those that need libc only. An installed one may be
# confined to its own files (AppArmor).
unpacked()
{
	local tree
	tree=$(fetch_tree "$1") && echo "$tree/$2"
}

# serve_dnsmasq NS OPTION... : in $TMP and nowhere else; port 53 answers when it returns
serve_dnsmasq()
{
	local ns=$1 tree='' lib=''
	shift
	command -v dnsmasq >/dev/null || {
		tree=$(fetch_closure dnsmasq-base) || return
		lib=$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu
	}
	serve "$ns" env "LD_LIBRARY_PATH=$lib" "${tree:+$tree/usr/sbin/}dnsmasq" --keep-in-foreground --conf-file=/dev/null \
		--no-resolv --no-hosts --user=root --group=root --pid-file= "$@"
	poll_until 10 listening "$ns" 53 u
}

# A real sshd. It is unpacked, not installed: the account it wants and a
# root that may log in by key are put into /etc for this mount namespace alone.
start_sshd()
{
	local ns=$1 tree='' file keygen
	SSHD=$(command -v sshd) || {
		tree=$(fetch_closure openssh-server) || return
		SSHD=$tree/usr/sbin/sshd
	}
	SSH_LIB=$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu
	SSH=$(command -v ssh) || SSH=$tree/usr/bin/ssh
	for file in passwd shadow; do
		sed 's/^root:[^:]*:/root:*:/' "/etc/$file" >"$TMP/$file"
	done
	sed -i 's/^root:\*:/root:x:/' "$TMP/passwd"
	grep -q ^sshd: "$TMP/passwd" || echo "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin" >>"$TMP/passwd"
	for file in passwd shadow; do
		mount --bind "$TMP/$file" "/etc/$file" || return
	done
	mkdir -p /run/sshd
	keygen=$(command -v ssh-keygen) || keygen=$tree/usr/bin/ssh-keygen
	env "LD_LIBRARY_PATH=$SSH_LIB" "$keygen" -q -t ed25519 -N '' -f "$TMP/host_key" &&
		env "LD_LIBRARY_PATH=$SSH_LIB" "$keygen" -q -t ed25519 -N '' -f "$TMP/user_key" || return
	cat >"$TMP/sshd_config" <<-END
		HostKey $TMP/host_key
		AuthorizedKeysFile $TMP/user_key.pub
		StrictModes no
		UsePAM no
		PermitRootLogin yes
		UseDNS no
		PidFile none
	END
	SSH_OPTIONS=(-F none -i "$TMP/user_key" -o BatchMode=yes -o StrictHostKeyChecking=no
		-o UserKnownHostsFile=/dev/null -o ServerAliveInterval=0)
	serve "$ns" env "LD_LIBRARY_PATH=$SSH_LIB" "$SSHD" -D -e -f "$TMP/sshd_config"
	poll_until 10 listening "$ns" 22
}
