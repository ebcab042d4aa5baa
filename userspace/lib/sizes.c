// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "loader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_CONFIRMED 262144
#define DEFAULT_HALF	  65536
#define DEFAULT_RETRY	  8192
#define DEFAULT_POOLS	  64
#define DEFAULT_BINDINGS  65536
#define DEFAULT_SUBS	  65536
#define MAX_POOLS	  1024
#define RING_CPUS	  8 /* with more, rings are shorter */
#define MAX_CONFIRMED	  (16u << 20)
#define MAX_HALF	  (4u << 20)
/* OVS keeps 1,000 fragments, the kernel 4 MiB. */
#define DEFAULT_DATAGRAMS  1024
#define DEFAULT_FRAG_BYTES (4u << 20)

/* Nodes that die, or that wait for their second to be over (I4). */
#define DYING_MIN	65536
#define DYING_MIN_SMALL 4096
#define SMALL_CONFIRMED 65536

/* A common LRU holds back up to 128 free nodes a CPU and one batch (FACTS.md). */
#define LRU_SLACK 128

static uint32_t pow2_at_least(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* The bucket array has 2^n slots anyway: take them if that is little more. */
static uint32_t map_capacity(uint32_t need)
{
	uint32_t p = pow2_at_least(need);

	return (uint64_t)p * 85 <= (uint64_t)need * 100 ? p : need;
}

static int half_ring(uint32_t asked, uint32_t def, const char *what, uint32_t *out, char *err,
		     size_t errlen)
{
	if (asked > MAX_HALF) {
		snprintf(err, errlen, "limit %s %u: must be at most %u", what, asked, MAX_HALF);
		return -EINVAL;
	}
	*out = pow2_at_least(asked ? max_u32(asked, 8) : def);
	return 0;
}

static int nat_sizes(const struct bpfct_limits *limits, unsigned int cpus, struct bpfct_sizes *s,
		     char *err, size_t errlen)
{
	uint32_t pools = limits->nat_pools ? limits->nat_pools : DEFAULT_POOLS;

	if (pools > MAX_POOLS) {
		snprintf(err, errlen, "nat pools %u: must be at most %d", pools, MAX_POOLS);
		return -EINVAL;
	}
	s->nat_pools = pools + 1;
	s->nat_heads = s->nat_pools * cpus * 2;
	s->nat_ring =
		s->nat_pools * (cpus < RING_CPUS ? cpus : RING_CPUS) * (NAT_RING_MAX / NAT_CHUNK);
	s->nat_use = s->nat_pools * (65536 / NAT_CHUNK);
	s->nat_bindings = limits->nat_bindings ? limits->nat_bindings : DEFAULT_BINDINGS;
	s->nat_subs = limits->nat_subs ? limits->nat_subs : DEFAULT_SUBS;
	return 0;
}

int bpfct_sizes(const struct bpfct_limits *limits, unsigned int cpus, struct bpfct_sizes *out,
		char *err, size_t errlen)
{
	struct bpfct_sizes s = {0};
	uint32_t dying;
	int ret;

	s.confirmed = limits->confirmed ? limits->confirmed : DEFAULT_CONFIRMED;
	if (s.confirmed > MAX_CONFIRMED) {
		snprintf(err, errlen, "limit confirmed %u: must be at most %u", s.confirmed,
			 MAX_CONFIRMED);
		return -EINVAL;
	}
	ret = half_ring(limits->half[CT_SIDE_OUTSIDE], DEFAULT_HALF, "half-open-outside",
			&s.half[CT_SIDE_OUTSIDE], err, errlen);
	if (!ret)
		ret = half_ring(limits->half[CT_SIDE_INSIDE], DEFAULT_HALF, "half-open-inside",
				&s.half[CT_SIDE_INSIDE], err, errlen);
	if (!ret)
		ret = half_ring(limits->half[CT_SIDE_RETRY], DEFAULT_RETRY, "retry",
				&s.half[CT_SIDE_RETRY], err, errlen);
	if (ret)
		return ret;
	s.half_slots = s.half[0] + s.half[1] + s.half[2];
	s.half_share =
		(s.half[0] < s.half[1] ? s.half[CT_SIDE_OUTSIDE] : s.half[CT_SIDE_INSIDE]) / 8;
	s.clock = pow2_at_least(2 * s.confirmed); /* half of it empty: ct_clock_enter() */
	s.slack = LRU_SLACK * (cpus + 1);

	dying = max_u32(s.confirmed < SMALL_CONFIRMED ? DYING_MIN_SMALL : DYING_MIN,
			s.confirmed / 4);
	s.grave = pow2_at_least(dying);
	s.conn_min = s.confirmed + s.half_slots + dying + s.slack;
	s.conn = map_capacity(s.conn_min);
	/* A preallocated HASH holds what it says, on whichever CPU its free nodes are. */
	s.stub_min = limits->nat ? limits->nat : s.conn;
	s.stub = limits->nat ? map_capacity(s.stub_min) : s.conn;
	s.label = s.conn;
	s.cpus = cpus;
	s.frag_slots = limits->frag_datagrams ? limits->frag_datagrams : DEFAULT_DATAGRAMS;
	s.frag_chunks = (limits->frag_bytes ? limits->frag_bytes : DEFAULT_FRAG_BYTES) / FRAG_CHUNK;
	ret = nat_sizes(limits, cpus, &s, err, errlen);
	if (!ret)
		*out = s;
	return ret;
}

static uint32_t entries_of(const char *name, const struct bpfct_sizes *s)
{
	if (!strncmp(name, "ct_conn", 7))
		return s->conn;
	if (!strncmp(name, "ct_stub", 7))
		return s->stub;
	if (!strncmp(name, "ct_half", 7))
		return s->half_slots;
	if (!strncmp(name, "ct_clock", 8))
		return s->clock;
	if (!strncmp(name, "ct_grave", 8))
		return s->grave;
	if (!strcmp(name, "ct_algbuf_v1"))
		return s->cpus;
	if (!strcmp(name, "nat_pool_v1"))
		return s->nat_pools;
	if (!strcmp(name, "nat_head_v1"))
		return s->nat_heads;
	if (!strcmp(name, "nat_ring_v1"))
		return s->nat_ring;
	if (!strcmp(name, "nat_use_v1"))
		return s->nat_use;
	if (!strcmp(name, "nat_sub_v1"))
		return s->nat_subs;
	if (!strncmp(name, "nat_", 4)) /* bound, bind, peer */
		return s->nat_bindings;
	if (!strcmp(name, "frag_data_v1") || !strcmp(name, "frag_chunks_v1"))
		return s->frag_chunks;
	if (!strncmp(name, "frag_", 5))
		return s->frag_slots;
	return s->label;
}

int bpfct_object_size(struct bpf_object *obj, const struct bpfct_sizes *sizes)
{
	struct bpf_map *map;
	int ret;

	bpf_object__for_each_map(map, obj)
	{
		const struct bpfct_map_spec *spec = bpfct_map_spec(bpf_map__name(map));

		if (!spec)
			continue;
		ret = bpf_map__set_max_entries(map, spec->entries ? spec->entries
								  : entries_of(spec->name, sizes));
		if (ret)
			return ret;
	}
	return 0;
}

void bpfct_table_limits(struct ct_table table[2], const struct bpfct_sizes *sizes)
{
	int i;

	for (i = 0; i < 2; i++) {
		table[i].confirmed_limit = sizes->confirmed;
		table[i].nodes_limit = sizes->conn - sizes->slack;
		table[i].stub_limit = sizes->stub;
		table[i].capacity = sizes->conn;
	}
}

void bpfct_frag_limits(struct frag_table *t, const struct bpfct_sizes *sizes)
{
	t->total.datagrams = sizes->frag_slots;
	t->total.bytes = sizes->frag_chunks * FRAG_CHUNK;
}

void bpfct_default_timeouts(struct ct_timeouts *t)
{
	memset(t, 0, sizeof(*t));
#define X(field, seconds) t->secs[CT_TIMEOUT_##field] = (seconds);
	CT_TIMEOUTS(X)
#undef X
}
