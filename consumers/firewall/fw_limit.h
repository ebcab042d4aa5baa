/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_LIMIT_H
#define BPFCT_FW_LIMIT_H

#include "../../bpf/lib/ct_pkt.h"
#include "../../bpf/abi/ct_drop.h"
#include "fw_maps.h"

/*
 * Tables, and the limit of a rule. Asked for by packets that open a connection
 * only. Global functions: the verifier looks at each once.
 */

#define FW_NSEC 1000000000ULL

static __always_inline void fw_table_key(struct fw_table_key *k, __u32 table, __u8 family,
					 const __be32 *addr)
{
	k->plen = 64 + (family == 4 ? 32 : 128);
	k->table = table;
	k->family = family;
	k->addr[0] = addr[0];
	k->addr[1] = addr[1];
	k->addr[2] = addr[2];
	k->addr[3] = addr[3];
}

/* Is an address of the packet in the table? dst: the destination. */
__attribute__((noinline)) int fw_in_table(const struct ct_pkt *pkt, __u32 table, __u32 dst)
{
	struct fw_table_key k;

	if (!pkt)
		return 0;
	fw_table_key(&k, table, pkt->tuple.family, dst ? pkt->tuple.daddr : pkt->tuple.saddr);
	return bpf_map_lookup_elem(&fw_table_v1, &k) != 0;
}

/* Puts the packet's source into a table. What is there stays as it is. */
static __always_inline void fw_overload(const struct ct_pkt *pkt, __u32 table)
{
	struct fw_table_entry e = {.flags = FW_TE_OVERLOAD,
				   .since = bpf_ktime_get_boot_ns() / FW_NSEC};
	struct fw_table_key k;
	__u32 zero = 0;
	struct fw_over *over = bpf_map_lookup_elem(&fw_over_v1, &zero);

	fw_table_key(&k, table, pkt->tuple.family, pkt->tuple.saddr);
	e.plen = k.plen;
	if (!over || bpf_map_lookup_elem(&fw_table_v1, &k))
		return;
	/* Two CPUs may both enter the same source: it counts twice until ctd counts anew. */
	if (*(volatile __u32 *)&over->entries >= FW_TABLE_OVERLOAD ||
	    bpf_map_update_elem(&fw_table_v1, &k, &e, BPF_ANY)) {
		__sync_fetch_and_add(&over->refused, 1);
		return;
	}
	__sync_fetch_and_add(&over->entries, 1);
}

/*
 * Counts a connection of the packet's source against the rule's limit. 0, or
 * -CT_DROP_FW_LIMIT. One word a source says when its next connection would be due if
 * they came evenly; a source may be ahead of that by the whole interval (RFC 2475's
 * leaky bucket as a meter): so many at once, and then one each time that one has leaked.
 * Two CPUs may both see the old word: a connection more gets through.
 */
__attribute__((noinline)) int fw_limit(const struct ct_pkt *pkt, __u32 slot)
{
	const struct fw_rule *r = bpf_map_lookup_elem(&fw_rule_v2, &slot);
	__u64 now = bpf_ktime_get_ns(), due, each, all, *at;
	struct fw_rate_key k = {};

	if (!pkt || !r || !r->limit)
		return 0;
	k.rule = r->number;
	k.family = pkt->tuple.family;
	__builtin_memcpy(k.addr, pkt->tuple.saddr, sizeof(k.addr));
	all = (__u64)r->limit_secs * FW_NSEC;
	each = all / r->limit;
	at = bpf_map_lookup_elem(&fw_rate_v1, &k);
	due = at && *at > now ? *at : now;
	if (due + each > now + all) {
		if (r->overload)
			fw_overload(pkt, r->overload);
		return -CT_DROP_FW_LIMIT;
	}
	due += each;
	if (at)
		*(volatile __u64 *)at = due;
	else
		bpf_map_update_elem(&fw_rate_v1, &k, &due, BPF_ANY);
	return 0;
}

#endif
