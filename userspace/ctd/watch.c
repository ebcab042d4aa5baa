// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <linux/if_addr.h>

#include "consumers/firewall/fw_watch.skel.h"
#include "firewall.h"

#define TRIES 8 /* addresses change while they are read */

/* As struct watch_addr and WATCH_FLAGS of fw_watch.bpf.c, which nobody else shares. */
struct watch_addr {
	__be32 addr[4];
	uint32_t ifindex;
	uint8_t family;
	uint8_t plen;
	uint8_t pad[2];
};
#define WATCH_FLAGS (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TEMPORARY)

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
int watch_fill(struct ctd *d)
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

void watch_stop(struct ctd *d)
{
	fw_watch__destroy(d->watch);
	d->watch = NULL;
}
