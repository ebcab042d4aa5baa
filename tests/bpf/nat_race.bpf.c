// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Two CPUs take leases of one pool, or bind the same inside endpoints, at once. */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct_path.h"
#include "nat_race.h"

CT_MAP_MMAP(race_cpu_v1, 2, struct nat_race);
CT_MAP_MMAP(nat_owner_v1, NAT_RACE_PORTS, __u32);

static long take_one(__u32 i, struct nat_race *sum)
{
	__u32 taken = nat_take(sum->pool, 0), port, *owner;

	if (!taken) {
		sum->empty++;
		return 0;
	}
	port = nat_taken_port(taken);
	owner = bpf_map_lookup_elem(&nat_owner_v1, &port);
	if (!owner)
		return 1;
	sum->taken++;
	if (__sync_lock_test_and_set(owner, 1 + bpf_get_smp_processor_id()))
		sum->twice++;
	return 0;
}

SEC("tc")
int take(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct nat_race *c = bpf_map_lookup_elem(&race_cpu_v1, &cpu);
	struct nat_race sum = {};

	if (!c)
		return TC_ACT_SHOT;
	sum.pool = c->pool;
	bpf_loop(c->rounds, take_one, &sum, 0);
	c->taken += sum.taken;
	c->empty += sum.empty;
	c->twice += sum.twice;
	return TC_ACT_OK;
}

/* Opens a connection of the next inside endpoint, from the pool of bindings, to a
 * server of this CPU's own. */
static __always_inline int bind_next(struct __sk_buff *skb, struct ct_work *w,
				     const struct nat_pool *p, __u32 n, __u32 cpu)
{
	int v;

	__builtin_memset(&w->pkt, 0, sizeof(w->pkt));
	__builtin_memset(&w->args, 0, sizeof(w->args));
	w->pkt.tuple.family = 4;
	w->pkt.tuple.proto = IPPROTO_UDP;
	w->pkt.tuple.saddr[0] = bpf_htonl(0x0a000000 + (n >> 4));
	w->pkt.tuple.sport = bpf_htons(5000 + (n & 15));
	w->pkt.tuple.daddr[0] = bpf_htonl(0xc6336401 + cpu);
	w->pkt.tuple.dport = bpf_htons(80);
	w->pkt.len = 60;
	w->pkt.l3_off = 14;
	w->pkt.l4_off = 34;
	w->pkt.l4_len = 40;
	w->args.inside = 1;
	w->args.nat.flags = CT_NAT_SRC | CT_NAT_EIM;
	w->args.nat.pool_base = 1;
	w->args.nat.src.addr_min[0] = w->args.nat.src.addr_max[0] = p->addr[0];
	v = ct_lookup(skb, &w->pkt, &w->res);
	if (v == CT_NEW)
		v = ct_commit(skb, &w->pkt, &w->res, &w->args);
	return v < 0 ? v : bpf_ntohs(w->res.to.sport);
}

/* The port that an endpoint has been seen with is kept in nat_owner_v1. */
SEC("tc")
int bind(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), n, was, *owner;
	struct nat_race *c = bpf_map_lookup_elem(&race_cpu_v1, &cpu);
	struct ct_work *w = ct_work();
	struct nat_pool *p = nat_pool(1);
	int v;

	if (!c || !w || !p)
		return TC_ACT_SHOT;
	n = c->taken++ & (NAT_RACE_PORTS - 1);
	owner = bpf_map_lookup_elem(&nat_owner_v1, &n);
	if (!owner)
		return TC_ACT_SHOT;
	v = bind_next(skb, w, p, n, cpu);
	if (v < 0) {
		ct_drop(-v);
		c->failed++;
		return TC_ACT_OK;
	}
	was = __sync_val_compare_and_swap(owner, 0, v);
	if (was && was != (__u32)v)
		c->differ++;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
