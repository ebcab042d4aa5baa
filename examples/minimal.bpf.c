// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* bpfct in a TC program: everything begun inside is tracked and passed, only
 * answers come back in. Attach `inside` where hosts send, `outside` where the
 * world does. minimal_xdp.bpf.c is the same on XDP. */
#include "../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>
#include "../bpf/ct_path.h"

static __always_inline int minimal(struct __sk_buff *skb, int inside)
{
	struct ct_work *w = ct_work();
	int v;

	if (!w)
		return TC_ACT_SHOT;
	v = ct_parse(skb, &w->pkt, 0, 1);
	if (v == CT_PARSE_OTHER)
		return TC_ACT_OK;
	if (v == 0)
		v = ct_lookup(skb, &w->pkt, &w->res);
	if (v == CT_NEW && !inside)
		v = -CT_DROP_FW_DEFAULT;
	if (v == CT_NEW) {
		__builtin_memset(&w->args, 0, sizeof(w->args));
		w->args.inside = 1;
		v = ct_commit(skb, &w->pkt, &w->res, &w->args);
	}
	if (v < 0) {
		ct_drop(-v);
		return TC_ACT_SHOT;
	}
	return TC_ACT_OK;
}

SEC("tc")
int inside(struct __sk_buff *skb)
{
	return minimal(skb, 1);
}

SEC("tc")
int outside(struct __sk_buff *skb)
{
	return minimal(skb, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
