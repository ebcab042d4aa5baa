// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <linux/rtnetlink.h>

#include "consumers/firewall/fw_watch.h"
#include "consumers/firewall/fw_watch.skel.h"
#include "firewall.h"
#include "nl_dump.h"

#define TRIES 8 /* addresses change while they are read */

int watch_start(struct ctd *d)
{
	struct fw_watch *skel = fw_watch__open();
	int ret = skel ? 0 : -errno;

	if (!ret)
		ret = firewall_share(d, skel->obj);
	if (!ret)
		ret = fw_watch__load(skel);
	if (ret) {
		log_fail("cannot load the programs that watch netlink: %s", strerror(-ret));
		fw_watch__destroy(skel);
		return ret;
	}
	d->watch = skel;
	return 0;
}

int watch_on(struct ctd *d, int sock, enum watch_prog prog)
{
	const struct bpf_program *const of[WATCH_PROGS] = {
		[WATCH_ROUTE] = d->watch->progs.fw_watch_route,
		[WATCH_STACK] = d->watch->progs.fw_watch_stack,
		[WATCH_NFT] = d->watch->progs.fw_watch_nft,
	};
	int fd = bpf_program__fd(of[prog]);

	return setsockopt(sock, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) ? -errno : 0;
}

static int forget_all(int map)
{
	struct watch_addr key;

	while (!bpf_map_get_next_key(map, NULL, &key))
		if (bpf_map_delete_elem(map, &key) && errno != ENOENT)
			return -errno;
	return 0;
}

static int enter(int map, const struct fw_if *iface)
{
	for (unsigned int i = 0; i < iface->addrs; i++) {
		const struct fw_ifaddr *a = &iface->addr[i];
		struct watch_addr key = {
			.ifindex = iface->ifindex, .family = a->family, .plen = a->prefixlen};
		uint32_t value = (a->flags & WATCH_FLAGS) | (uint32_t)a->scope << 24;

		memcpy(key.addr, a->addr, sizeof(key.addr));
		if (bpf_map_update_elem(map, &key, &value, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* What is read while something changes may be neither as before nor as after: then once more. */
static int fill_addresses(struct ctd *d)
{
	int map = bpf_map__fd(d->watch->maps.watch_addr_v1), ret = 0;
	const struct fw_fds *fds = firewall_fds(d);
	uint32_t before;

	for (int i = 0; i < TRIES && !ret; i++) {
		struct fw_ifs ifs = {0};

		before = fw_changes(fds);
		ret = forget_all(map);
		if (!ret)
			ret = fw_ifs_read(&ifs);
		for (unsigned int k = 0; k < ifs.n && !ret; k++)
			ret = enter(map, &ifs.v[k]);
		fw_ifs_free(&ifs);
		if (fw_changes(fds) == before)
			return ret;
	}
	/* An address that is not known counts as new when it is told of. */
	return ret ? ret : forget_all(map);
}

struct neighbour {
	const struct ndmsg *m;
	struct watch_neigh key;
	uint64_t lladdr;
	bool have; /* whose it is */
};

static int on_neigh_attr(const struct nlattr *attr, void *arg)
{
	struct neighbour *n = arg;
	size_t len = mnl_attr_get_payload_len(attr);

	if (mnl_attr_get_type(attr) == NDA_DST && len == (n->m->ndm_family == AF_INET ? 4 : 16)) {
		memcpy(n->key.addr, mnl_attr_get_payload(attr), len);
		n->have = true;
	} else if (mnl_attr_get_type(attr) == NDA_LLADDR && len >= 6) {
		memcpy(&n->lladdr, mnl_attr_get_payload(attr), 6);
	}
	return MNL_CB_OK;
}

/* What the filter has entered since it listens is newer. */
static int on_neighbour(const struct nlmsghdr *nlh, void *arg)
{
	struct fw_watch *skel = arg;
	struct neighbour n = {.m = mnl_nlmsg_get_payload(nlh)};

	if (!(n.m->ndm_state & WATCH_VALID_NUD) ||
	    (n.m->ndm_family != AF_INET && n.m->ndm_family != AF_INET6))
		return MNL_CB_OK;
	n.key.ifindex = n.m->ndm_ifindex;
	n.key.family = n.m->ndm_family;
	mnl_attr_parse(nlh, sizeof(*n.m), on_neigh_attr, &n);
	if (n.have &&
	    bpf_map_update_elem(bpf_map__fd(skel->maps.watch_neigh_v1), &n.key, &n.lladdr,
				BPF_NOEXIST) &&
	    errno != EEXIST)
		skel->bss->watch_neigh_full = 1;
	return MNL_CB_OK;
}

/* A dump that was interrupted may lack some: without a whole one all count as known. */
static int fill_neighbours(struct ctd *d)
{
	const struct ndmsg any = {.ndm_family = AF_UNSPEC};
	int ret = -EINTR;

	for (int i = 0; i < NL_DUMP_TRIES && ret == -EINTR; i++)
		ret = nl_dump(NETLINK_ROUTE, RTM_GETNEIGH, &any, sizeof(any), on_neighbour,
			      d->watch);
	if (ret != -EINTR)
		return ret;
	d->watch->bss->watch_neigh_full = 1;
	return 0;
}

int watch_fill(struct ctd *d)
{
	int ret = fill_addresses(d);

	return ret ? ret : fill_neighbours(d);
}

void watch_stop(struct ctd *d)
{
	fw_watch__destroy(d->watch);
	d->watch = NULL;
}
