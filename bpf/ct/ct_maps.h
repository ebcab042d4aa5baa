/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_MAPS_H
#define BPFCT_CT_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "../abi/alg_abi.h"
#include "../abi/ct_conn.h"
#include "../abi/ct_drop.h"
#include "../abi/ct_event.h"
#include "../abi/ct_table.h"
#include "../abi/expect_abi.h"
#include "ct_key.h"
#include "ct_track.h"

/*
 * The maps of ct_table.h. Sizes that depend on the configuration are 1 here and
 * set by the loader (userspace/lib/loader.c) before loading. BPF_F_ZERO_SEED is
 * never set: the hash seed is what keeps bucket flooding out.
 */
#define CT_MAP(name, kind, entries, ktype, vtype)                                                  \
	struct {                                                                                   \
		__uint(type, kind);                                                                \
		__uint(max_entries, entries);                                                      \
		__type(key, ktype);                                                                \
		__type(value, vtype);                                                              \
	} name SEC(".maps")

#define CT_MAP_MMAP(name, entries, vtype)                                                          \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, entries);                                                      \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__type(key, __u32);                                                                \
		__type(value, vtype);                                                              \
	} name SEC(".maps")

CT_MAP(ct_conn4_v1, BPF_MAP_TYPE_LRU_HASH, 1, struct ct_key4, struct ct_conn4);
CT_MAP(ct_conn6_v1, BPF_MAP_TYPE_LRU_HASH, 1, struct ct_key6, struct ct_conn6);
CT_MAP(ct_stub4_v1, BPF_MAP_TYPE_HASH, 1, struct ct_key4, struct ct_stub4);
CT_MAP(ct_stub6_v1, BPF_MAP_TYPE_HASH, 1, __u64, struct ct_stub6);
CT_MAP(ct_half4_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct ct_slot4);
CT_MAP(ct_half6_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct ct_slot6);
CT_MAP(ct_clock4_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct ct_slot4);
CT_MAP(ct_clock6_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct ct_slot6);
CT_MAP(ct_grave4_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct ct_slot4);
CT_MAP(ct_grave6_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct ct_slot6);
CT_MAP(ct_prefix_v1, BPF_MAP_TYPE_ARRAY, 16384, __u32, __u32);
CT_MAP(ct_seen_v1, BPF_MAP_TYPE_ARRAY, 16384, __u32, struct ct_seen);
CT_MAP(ct_nexthop_v1, BPF_MAP_TYPE_ARRAY, CT_NEXTHOPS, __u32, struct ct_nexthop);
CT_MAP(ct_drop_v1, BPF_MAP_TYPE_PERCPU_ARRAY, CT_DROP_SLOTS, __u32, __u64);
CT_MAP(ct_stat_v1, BPF_MAP_TYPE_PERCPU_ARRAY, CT_STAT_SLOTS, __u32, __u64);
CT_MAP_MMAP(ct_settings_v1, 1, struct ct_settings);
CT_MAP_MMAP(ct_timeout_v1, 256, struct ct_timeouts);
CT_MAP_MMAP(ct_table_v1, 2, struct ct_table);
CT_MAP_MMAP(ct_zone_v1, 65536, struct ct_zone);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_label_key);
	__type(value, struct ct_label);
} ct_label_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CT_ALG_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_label_key);
	__type(value, struct ct_alg);
} ct_alg_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ct_event_v1 SEC(".maps");

/* expect_abi.h; the first two of a size that does not follow the configuration. */
#define CT_MAP_EXPECT(name, entries, ktype, vtype)                                                 \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, entries);                                                      \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                              \
		__type(key, ktype);                                                                \
		__type(value, vtype);                                                              \
	} name SEC(".maps")

CT_MAP_EXPECT(ct_expect_v1, CT_EXPECT_MAX, struct ct_tuple, struct ct_expect);
CT_MAP_EXPECT(ct_xport_v1, CT_EXPECT_MAX, struct ct_xport_key, struct ct_xport);
CT_MAP_EXPECT(ct_gre_v1, CT_GRE_MAX, struct ct_tuple, struct ct_gre);
CT_MAP_EXPECT(ct_master_v1, 1, struct ct_label_key, struct ct_master);
CT_MAP_MMAP(ct_expstate_v1, 1, struct ct_expect_state);

/* Building place for records that are about to be inserted: too large for the
 * stack. Not live across anything that could run another program. */
struct ct_found {
	__u64 word;
	__u32 now; /* tick */
	__u32 dir;
	__u32 stub_first;
	__u32 slot; /* of guess[] */
};

/* Interfaces whose packets were replies of translated connections lately are
 * looked up in the stub map first. By index & 63; a wrong guess costs a look-up. */
#define CT_GUESSES   64
#define CT_GUESS_MAX 3

struct ct_build {
	struct ct_found found;
	__u8 guess[CT_GUESSES]; /* 0 to CT_GUESS_MAX; from half of that on: stub first */
	struct ct_track tr;
	union ct_key
		key; /* for map calls: an argument of a global function cannot be a key on 6.1 */
	/* The claim (nat_claim.h): key and value of the stub, and what it holds. */
	union ct_key skey;
	__u64 at; /* where an IPv6 stub lies, a moment ago */
	union {
		struct ct_stub4 stub4;
		struct ct_stub6 stub6;
	};
	__u32 nat;     /* NAT_REF of the source's port; 0: of no pool */
	__u32 nat_gen; /* of its binding; 0: it has none */
	__u32 nat_in;  /* NAT_REF of the binding through which it is admitted */
	__u32 nat_in_gen;
	__u32 stale_gen; /* of a stub in the way that leads nowhere */
	union {
		struct ct_conn c;
		struct ct_conn4 conn4;
		struct ct_conn6 conn6;
	};
};
/* Working areas of single jobs, each a slot of one map: a program may use 64 maps in all. */
enum ct_scratch_of {
	CT_SCRATCH_BUILD,  /* struct ct_build; first, for tests/bpf/ct_slots.c */
	CT_SCRATCH_TCP,	   /* ct_tcp_window.h: options */
	CT_SCRATCH_SEQ,	   /* nat_seq.h */
	CT_SCRATCH_EXPECT, /* ct_expect.h */
	CT_SCRATCH_NAT,	   /* nat_bind.h */
	CT_SCRATCH_FRAG,   /* frag_pool.h */
	CT_SCRATCH_WORK,   /* ct_work.h */
	CT_SCRATCH_CONSUMER,
	CT_SCRATCH_MSS, /* a consumer's */
	CT_SCRATCH_SLOTS
};
struct ct_scratch {
	__u64 room[128];
};
CT_MAP(ct_scratch_v1, BPF_MAP_TYPE_PERCPU_ARRAY, CT_SCRATCH_SLOTS, __u32, struct ct_scratch);
#define CT_SCRATCH_FITS(type) _Static_assert(sizeof(type) <= sizeof(struct ct_scratch), #type)

static __always_inline void *ct_scratch(__u32 of)
{
	return bpf_map_lookup_elem(&ct_scratch_v1, &of);
}

CT_SCRATCH_FITS(struct ct_build);

static __always_inline struct ct_build *ct_build(void)
{
	return ct_scratch(CT_SCRATCH_BUILD);
}

static __always_inline const struct ct_settings *ct_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ct_settings_v1, &zero);
}

/* family is 4 or 6 */
static __always_inline struct ct_table *ct_table(__u8 family)
{
	__u32 index = family == 6;

	return bpf_map_lookup_elem(&ct_table_v1, &index);
}

#endif
