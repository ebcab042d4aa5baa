/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_MAPS_H
#define BPFCT_FRAG_MAPS_H

#include "../abi/frag_abi.h"
#include "../ct/ct_maps.h"

/* The maps of frag_abi.h. Entries of 1 are set by the loader (lib/sizes.c). */

/* struct frag_head with the kernel's type where the lock is. */
struct frag_slot {
	struct bpf_spin_lock lock;
	__u32 state;
	struct frag_key key;
	__u32 serial;
	__u32 expires;
	__u32 source;
	__u32 bytes;
	__u32 pieces;
	__u32 have;
	__u32 end;
	__u32 total;
	__u32 left;
	__u32 mark;
	__u32 note;
	__u32 ifindex;
	__u32 pad;
	struct frag_piece piece[FRAG_PIECES];
};
_Static_assert(sizeof(struct frag_slot) == sizeof(struct frag_head), "frag_slot");

CT_MAP(frag_index_v1, BPF_MAP_TYPE_HASH, 1, struct frag_key, __u32);
CT_MAP(frag_head_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct frag_slot);
CT_MAP(frag_data_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct frag_chunk);
CT_MAP(frag_zone_v1, BPF_MAP_TYPE_ARRAY, 65536, __u32, struct frag_use);
CT_MAP(frag_source_v1, BPF_MAP_TYPE_ARRAY, FRAG_SOURCES, __u32, struct frag_use);
CT_MAP(frag_stat_v1, BPF_MAP_TYPE_PERCPU_ARRAY, FRAG_STAT_SLOTS, __u32, __u64);
CT_MAP_MMAP(frag_table_v1, 1, struct frag_table);

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__type(value, __u32);
} frag_heads_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__type(value, __u32);
} frag_chunks_v1 SEC(".maps");

static __always_inline struct frag_table *frag_table(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&frag_table_v1, &zero);
}

static __always_inline void frag_stat(__u8 family, __u32 stat, __u32 n)
{
	__u32 slot = 2 * stat + (family == 6);
	__u64 *v = bpf_map_lookup_elem(&frag_stat_v1, &slot);

	if (v)
		*v += n;
}

#endif
