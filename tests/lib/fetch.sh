# shellcheck shell=bash
# Programs and kernels that only tests need: unpacked from `apt-get download`
# into a cache, never installed, never started as services. Whatever is in the
# cache is used as it is, so a second run needs no network.
#
#   fetch_tree PACKAGE          unpacks one package, prints the directory
#   fetch_closure PACKAGE       the same with every library this machine lacks
#   fetch_kernel 6.1|6.12       prints the directory that holds vmlinuz and modules/

: "${BPFCT_CACHE:=/var/cache/bpfct}"

fetch_die()
{
	echo "fetch: $*" >&2
	return 1
}

# The machine's package lists may be absent or older than the mirror: then they are
# read anew, once, into the cache and not into the machine's own state.
fetch_own_lists()
{
	local state=$BPFCT_CACHE/apt
	mkdir -p "$state/lists/partial" "$state/archives/partial" || return
	FETCH_OWN=(-o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state" -o APT::Sandbox::User=root)
	apt-get -qq "${FETCH_OWN[@]}" update >"$1" 2>&1 || true
}

# fetch_deb DIR PACKAGE... : the .deb files into DIR
fetch_deb()
{
	local dir=$1
	shift
	mkdir -p "$dir" || return
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download "$@" >apt.log 2>&1) && return
	fetch_own_lists "$dir/apt.log" || return
	(cd "$dir" && apt-get -qq "${FETCH_OWN[@]}" download "$@" >>apt.log 2>&1) && return
	tail -n 3 "$dir/apt.log" >&2
	fetch_die "cannot download $*"
}

# fetch_once NAME FUNCTION ARG... : runs FUNCTION NEWDIR ARG... unless the cache
# has NAME already. A broken download leaves nothing under NAME.
fetch_once()
{
	local name=$1 what=$2
	shift 2
	if [ -d "$BPFCT_CACHE/$name" ]; then # the cache may be read-only
		echo "$BPFCT_CACHE/$name"
		return
	fi
	mkdir -p "$BPFCT_CACHE" || return
	(
		flock 9
		if [ ! -d "$BPFCT_CACHE/$name" ]; then
			rm -rf "$BPFCT_CACHE/$name.new"
			mkdir -p "$BPFCT_CACHE/$name.new"
			"$what" "$BPFCT_CACHE/$name.new" "$@" >&2 || exit 1
			mv "$BPFCT_CACHE/$name.new" "$BPFCT_CACHE/$name"
		fi
	) 9>"$BPFCT_CACHE/.lock" || return
	echo "$BPFCT_CACHE/$name"
}

fetch_unpack()
{
	local dir=$1 deb
	for deb in "$dir"/deb/*.deb; do
		dpkg-deb -x "$deb" "$dir" || return
	done
	rm -rf "$dir/deb"
}

fetch_one()
{
	fetch_deb "$1/deb" "$2" && fetch_unpack "$1"
}

# What apt would install for a package here, its own name first
fetch_names()
{
	apt-get install --simulate --no-install-recommends "$@" 2>/dev/null | awk '/^Inst/ { print $2 }'
}

fetch_all()
{
	local names
	names=$(fetch_names "$2")
	if [ -z "$names" ]; then
		mkdir -p "$1/deb" && fetch_own_lists "$1/deb/apt.log" || return
		names=$(fetch_names "${FETCH_OWN[@]}" "$2")
	fi
	[ -n "$names" ] || names=$2 # nothing to install: it is there already
	# shellcheck disable=SC2086 # a list of names
	fetch_deb "$1/deb" $names && fetch_unpack "$1"
}

# What a guest needs to see this machine's files (9p), to pass traffic, for ctd's guard, and to be taken over from
FETCH_MODULES="virtio_pci 9pnet_virtio 9p crc32c_generic veth tun sch_ingress cls_bpf 8021q bridge vrf bonding team
	team_mode_activebackup nf_tables nft_chain_nat nft_masq nf_conntrack_netlink esp4 esp6 xfrm_user authenc
	echainiv seqiv cbc pppoe ppp_async ppp_mppe vxlan"

# The image and a few of its modules
fetch_vmlinuz()
{
	local dir=$1 series=$2 meta=linux-image-amd64 name deb
	local opt=()
	if [ "$series" = 6.12 ]; then
		# bookworm-backports, from the machine's own mirror, through lists kept in the cache
		local state=$BPFCT_CACHE/apt-backports
		mkdir -p "$state/lists/partial" "$state/archives/partial" || return
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
			"http://deb.debian.org/debian bookworm-backports main" >"$state/sources.list"
		opt=(-o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
			-o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state"
			-o APT::Sandbox::User=root)
		apt-get -qq "${opt[@]}" update || return
	fi
	name=$(apt-cache "${opt[@]}" show "$meta" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' |
		head -n 1)
	case $name in
	linux-image-"$series".*) ;;
	*) fetch_die "no package of Linux $series: $meta is ${name:-not there}" || return ;;
	esac
	if [ "$series" = 6.12 ]; then
		mkdir -p "$dir/deb"
		(cd "$dir/deb" && apt-get -qq "${opt[@]}" download "$name") || return
	else
		fetch_deb "$dir/deb" "$name" || return
	fi
	for deb in "$dir"/deb/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --wildcards './boot/vmlinuz-*' './lib/modules/*' || return
	done
	# shellcheck disable=SC2086 # a list of names
	/usr/bin/python3 "${BASH_SOURCE[0]%/*}/kernel_modules.py" "$dir"/lib/modules/*/ "$dir/modules" $FETCH_MODULES || return
	mv "$dir"/boot/vmlinuz-* "$dir/vmlinuz" && rm -rf "${dir:?}/boot" "${dir:?}/lib" "$dir/deb"
	echo "$name" >"$dir/package"
}

# A suite has no network: what it uses is on the list, or a new machine does not have it.
fetch_listed()
{
	[ "${BPFCT_ISOLATED:-}" != yes ] || [ "${BPFCT_NETWORK:-}" = host ] ||
		grep -qE "^$1 $2( |\$)" "${BASH_SOURCE[0]%/*}/fetched.txt" || fetch_die "'$1 $2' is not in tests/lib/fetched.txt"
}

fetch_tree()
{
	fetch_listed tree "$1" || return
	fetch_once "$1" fetch_one "$1"
}

fetch_closure()
{
	fetch_listed closure "$1" || return
	fetch_once "$1+libs" fetch_all "$1"
}

fetch_kernel()
{
	fetch_once "linux-$1+modules-$(cksum <<<"$FETCH_MODULES" | cut -d' ' -f1)" fetch_vmlinuz "$1"
}
