// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The take of a lease alone, and with what a claim does to the maps. */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct_path.h"
#include "alloc.h"

CT_MAP_MMAP(alloc_run_v1, 64, struct alloc_run);

static long take_one(__u32 i, struct alloc_run *r)
{
	r->taken += !!nat_take(r->pool, 0);
	return 0;
}

/* Lease, use and a stub of its own. */
static long claim_one(__u32 i, struct alloc_run *r)
{
	__u32 taken = nat_take(r->pool, 0), cpu = bpf_get_smp_processor_id();
	struct ct_stub4 stub = {.s.gen = 1};
	struct ct_key4 key = {};

	if (!taken)
		return 0;
	nat_take_use(NAT_REF(r->pool, nat_taken_port(taken)), 0, 0);
	key.addr[0] = r->serial++;
	key.addr[1] = cpu;
	key.port[0] = nat_taken_port(taken);
	bpf_map_update_elem(&ct_stub4_v1, &key, &stub, BPF_NOEXIST);
	r->taken++;
	return 0;
}

SEC("tc")
int take(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct alloc_run *c = bpf_map_lookup_elem(&alloc_run_v1, &cpu), r = {};
	__u64 begun;

	if (!c)
		return TC_ACT_SHOT;
	r.pool = c->pool;
	begun = bpf_ktime_get_ns();
	bpf_loop(c->takes, take_one, &r, 0);
	c->ns += bpf_ktime_get_ns() - begun;
	c->taken += r.taken;
	return TC_ACT_OK;
}

SEC("tc")
int claim(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct alloc_run *c = bpf_map_lookup_elem(&alloc_run_v1, &cpu), r = {};
	__u64 begun;

	if (!c)
		return TC_ACT_SHOT;
	r.pool = c->pool;
	r.serial = c->serial;
	begun = bpf_ktime_get_ns();
	bpf_loop(c->takes, claim_one, &r, 0);
	c->ns += bpf_ktime_get_ns() - begun;
	c->taken += r.taken;
	c->serial = r.serial;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
