// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* bpfct in an XDP program: everything begun inside is tracked and passed, only
 * answers come back in. Attach `inside` where hosts send, `outside` where the
 * world does. minimal.bpf.c is the same on TC. */
#include "../bpf/lib/ctx_xdp.h"
#include "../bpf/ct_path.h"

static __always_inline int minimal(struct xdp_md *ctx, int inside)
{
	struct ct_work *w = ct_work();
	int v;

	if (!w)
		return XDP_DROP;
	v = ct_parse(ctx, &w->pkt, 0, 1);
	if (v == CT_PARSE_OTHER)
		return XDP_PASS;
	if (v == 0)
		v = ct_lookup(ctx, &w->pkt, &w->res);
	if (v == CT_NEW && !inside)
		v = -CT_DROP_FW_DEFAULT;
	if (v == CT_NEW) {
		__builtin_memset(&w->args, 0, sizeof(w->args));
		w->args.inside = 1;
		v = ct_commit(ctx, &w->pkt, &w->res, &w->args);
	}
	if (v < 0) {
		ct_drop(-v);
		return XDP_DROP;
	}
	return XDP_PASS;
}

SEC("xdp")
int inside(struct xdp_md *ctx)
{
	return minimal(ctx, 1);
}

SEC("xdp")
int outside(struct xdp_md *ctx)
{
	return minimal(ctx, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
