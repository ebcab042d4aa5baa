/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_NEED_H
#define BPFCT_NAT_NEED_H

#include "../lib/ct_clock.h"
#include "nat_port.h"

/* May exhaustion be told now? NAT_TOLD_A_TICK times a tick: more than ctd logs or
 * answers, and a flood at an empty pool does not fill the ring. */
static __always_inline int nat_may_tell(__u32 now)
{
	struct nat_config *c = nat_config();

	if (!c)
		return 0;
	if (*(volatile __u32 *)&c->told_tick != now) {
		/* Two CPUs may both begin the tick: a few more are told. */
		*(volatile __u32 *)&c->told_tick = now;
		*(volatile __u32 *)&c->told = 0;
	}
	return __sync_fetch_and_add(&c->told, 1) < NAT_TOLD_A_TICK;
}

/* Tells ctd that a packet got no port, or that a rule blocks it whose sender is to be
 * told, with its head, from which ctd makes the log line and the ICMP error (RFC 5508 REQ-8, 6888
 * REQ-11). Fragments and errors are never answered, ctd sees to the rest. */
__noinline int nat_tell(struct ct_ctx *ctx, const struct ct_pkt *pkt,
			const struct ct_commit_args *args, __u32 pool, __u32 reason)
{
	const struct ct_settings *set = ct_settings();
	struct nat_need *need;
	__u64 n;

	if (!pkt || !args || !set || !pkt->len || !nat_may_tell(ct_now(set)))
		return 0;
	need = bpf_ringbuf_reserve(&nat_need_v1, sizeof(*need), 0);
	if (!need)
		return 0;
	__builtin_memset(need, 0, sizeof(*need));
	need->kind = reason == CT_DROP_FW_BLOCK ? NAT_NEED_BLOCKED : NAT_NEED_EXHAUSTED;
	need->pool = pool;
	need->cpu = bpf_get_smp_processor_id();
	need->tick = ct_now(set);
	need->ifindex = args->local ? 0 : ctx->ingress_ifindex;
	need->flags = (args->nat.flags & CT_NAT_ICMP ? NAT_NEED_ICMP : 0) |
		      (args->inside ? NAT_NEED_INSIDE : 0);
	need->reason = reason;
	need->family = pkt->tuple.family;
	n = pkt->len < NAT_NEED_HEAD ? pkt->len : NAT_NEED_HEAD;
	need->len = n;
	n -= 1;
	asm volatile("" : "+r"(n));
	n &= NAT_NEED_HEAD - 1;
	asm volatile("" : "+r"(n));
	if (ctx_load(ctx, pkt->l3_off, need->head, n + 1))
		need->len = 0;
	bpf_ringbuf_submit(need, 0);
	return 1;
}

#endif
