/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_MAPS_H
#define BPFCT_NAT_MAPS_H

#include "../abi/nat_abi.h"
#include "../ct/ct_maps.h"

/* The maps of nat_abi.h; sizes of 1 are set by the loader. */
CT_MAP_MMAP(nat_config_v1, 1, struct nat_config);
CT_MAP_MMAP(nat_pool_v1, 1, struct nat_pool);
CT_MAP_MMAP(nat_head_v1, 1, struct nat_head);
CT_MAP_MMAP(nat_ring_v1, 1, struct nat_chunk);
CT_MAP_MMAP(nat_use_v1, 1, struct nat_chunk);
CT_MAP_MMAP(nat_reserved_v1, 2 * NAT_CLASSES, struct nat_reserved);
CT_MAP(nat_peer_v1, BPF_MAP_TYPE_LRU_HASH, 1, struct nat_peer_key, struct nat_peer);

#define NAT_MAP_HASH(name, ktype, vtype)                                                           \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, 1);                                                            \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                              \
		__type(key, ktype);                                                                \
		__type(value, vtype);                                                              \
	} name SEC(".maps")

NAT_MAP_HASH(nat_bound_v1, struct nat_bound_key, struct nat_bound);
NAT_MAP_HASH(nat_bind_v1, struct nat_bind_key, struct nat_bind);
NAT_MAP_HASH(nat_sub_v1, struct nat_sub_key, struct nat_sub);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
} nat_need_v1 SEC(".maps");

static __always_inline struct nat_config *nat_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&nat_config_v1, &zero);
}

static __always_inline struct nat_pool *nat_pool(__u32 index)
{
	return bpf_map_lookup_elem(&nat_pool_v1, &index);
}

/* Word n of an array of chunks; NULL beyond its end. */
static __always_inline __u32 *nat_word(void *map, __u32 n)
{
	__u32 chunk = n / NAT_CHUNK;
	struct nat_chunk *c = bpf_map_lookup_elem(map, &chunk);
	__u64 at = n & (NAT_CHUNK - 1);

	if (!c)
		return NULL;
	/* The mask has to be the last thing that Linux 6.1 sees. */
	asm volatile("" : "+r"(at));
	return &c->word[at & (NAT_CHUNK - 1)];
}

#endif
