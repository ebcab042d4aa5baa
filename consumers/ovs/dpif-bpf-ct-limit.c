// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Zone limits. The datapath knows one limit a zone (ct_zone_v1, 0: none); the default one is
 * written to every zone that has none of its own. Which those are is kept in a map of the class.
 */
#include "dpif-bpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include "ct-dpif.h"

#define ZONES 65536

struct zone_limits {
	uint32_t def; /* 0: none */
	uint32_t pad;
	uint8_t own[ZONES / 8]; /* a bit a zone with a limit of its own */
};

static int open_map(struct dp_bpf *dp)
{
	char path[BPFCT_PATH_MAX];
	int fd;

	bpfct_pin_path(path, dp->instance, "ovs_zone_v1");
	fd = bpf_obj_get(path);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ovs_zone_v1", 4, sizeof(struct zone_limits), 1,
			    NULL);
	if (fd >= 0 && bpf_obj_pin(fd, path)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int load(struct dp_bpf *dp, struct zone_limits *l)
{
	int fd = open_map(dp), ret = 0;
	uint32_t zero = 0;

	if (fd < 0)
		return errno;
	if (bpf_map_lookup_elem(fd, &zero, l))
		ret = errno;
	close(fd);
	return ret;
}

static int store(struct dp_bpf *dp, const struct zone_limits *l)
{
	int fd = open_map(dp), ret = 0;
	uint32_t zero = 0;

	if (fd < 0)
		return errno;
	if (bpf_map_update_elem(fd, &zero, l, BPF_ANY))
		ret = errno;
	close(fd);
	return ret;
}

static bool has_own(const struct zone_limits *l, uint16_t zone)
{
	return l->own[zone / 8] & (1 << zone % 8);
}

int dp_bpf_ct_set_limits(struct dpif *dpif, const uint32_t *def, const struct ovs_list *zones)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	struct ct_zone *zone = dp->core.pins.zone;
	struct ct_dpif_zone_limit *z;
	struct zone_limits l;
	int ret = load(dp, &l);

	if (ret)
		return ret;
	LIST_FOR_EACH(z, node, zones)
	{
		l.own[z->zone / 8] |= 1 << z->zone % 8;
		zone[z->zone].limit = z->limit;
	}
	if (def) {
		l.def = *def;
		for (uint32_t i = 0; i < ZONES; i++)
			if (!has_own(&l, i))
				zone[i].limit = l.def;
	}
	return store(dp, &l);
}

int dp_bpf_ct_get_limits(struct dpif *dpif, uint32_t *def, const struct ovs_list *asked,
			 struct ovs_list *out)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	const struct ct_zone *zone = dp->core.pins.zone;
	struct ct_dpif_zone_limit *z;
	struct zone_limits l;
	int ret = load(dp, &l);

	if (ret)
		return ret;
	*def = l.def;
	LIST_FOR_EACH(z, node, asked)
	ct_dpif_push_zone_limit(out, z->zone, zone[z->zone].limit, zone[z->zone].count);
	if (!ovs_list_is_empty(asked))
		return 0;
	for (uint32_t i = 0; i < ZONES; i++)
		if (has_own(&l, i))
			ct_dpif_push_zone_limit(out, i, zone[i].limit, zone[i].count);
	return 0;
}

int dp_bpf_ct_del_limits(struct dpif *dpif, const struct ovs_list *zones)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	struct ct_dpif_zone_limit *z;
	struct zone_limits l;
	int ret = load(dp, &l);

	if (ret)
		return ret;
	LIST_FOR_EACH(z, node, zones)
	{
		l.own[z->zone / 8] &= ~(1 << z->zone % 8);
		dp->core.pins.zone[z->zone].limit = l.def;
	}
	return store(dp, &l);
}
