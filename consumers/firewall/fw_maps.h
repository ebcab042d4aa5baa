/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_MAPS_H
#define BPFCT_FW_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "fw_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fw_config);
} fw_config_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * FW_RULES);
	__type(key, __u32);
	__type(value, struct fw_rule);
} fw_rule_v2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * FW_NATS);
	__type(key, __u32);
	__type(value, struct fw_nat_rule);
} fw_nat_v2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * FW_IFACES);
	__type(key, __u32);
	__type(value, struct fw_iface);
} fw_iface_v2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_NEAR + 1);
	__type(key, __u32);
	__type(value, struct fw_iface);
} fw_near_v2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2 * FW_HITS);
	__type(key, __u32);
	__type(value, struct fw_hit);
} fw_hit_v1 SEC(".maps");

/* Unlike the halves of the rules it outlives a reload. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, FW_TABLE_ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct fw_table_key);
	__type(value, struct fw_table_entry);
} fw_table_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fw_over);
} fw_over_v1 SEC(".maps");

/* Which new connections get a helper (`alg`). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FW_ALGS);
	__type(key, struct fw_alg_key);
	__type(value, struct fw_alg);
} fw_alg_v1 SEC(".maps");

/* Full: the source that was quiet longest is forgotten, and starts anew. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FW_RATES);
	__type(key, struct fw_rate_key);
	__type(value, __u64);
} fw_rate_v1 SEC(".maps");

/* An interface of this namespace, NULL if ctd has not told of it. */
static __inline __attribute__((always_inline)) const struct fw_iface *fw_iface(__u32 ifindex)
{
	const struct fw_iface *iface;

	if (ifindex >= FW_NEAR)
		return bpf_map_lookup_elem(&fw_iface_v2, &ifindex);
	iface = bpf_map_lookup_elem(&fw_near_v2, &ifindex);
	return iface && (iface->flags & FW_IF_KNOWN) ? iface : 0;
}

/* at: FW_LATE_*. NULL cannot happen. */
static __inline __attribute__((always_inline)) struct fw_late *fw_late(__u32 at)
{
	return bpf_map_lookup_elem(&fw_near_v2, &at);
}

/* The entry of an interface that holds its addresses of a family as they are now. */
static __inline __attribute__((always_inline)) const struct fw_iface *fw_iface_now(__u32 ifindex,
										   __u8 family)
{
	const struct fw_late *ctd = fw_late(FW_LATE_CTD), *watch = fw_late(FW_LATE_WATCH);
	__u32 key = ifindex | FW_WATCHED;
	const struct fw_iface *iface;

	if (ctd && watch && ctd->changes != watch->changes) {
		iface = bpf_map_lookup_elem(&fw_iface_v2, &key);
		if (iface && (__s32)(iface->changes - ctd->changes) > 0)
			return iface;
	}
	/* 16 bytes of an array's element may change under a reader, 4 do not. */
	return family == 4 ? fw_iface(ifindex) : bpf_map_lookup_elem(&fw_iface_v2, &ifindex);
}

#endif
