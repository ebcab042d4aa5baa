// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The firewall's two hooks as they are, with what BPF_PROG_RUN cannot set or show:
 * tc_index before and after, and what happens during the FIB lookup. */
#include "../../bpf/lib/ctx_tc.h"
#include "../../bpf/ct/ct_maps.h"
#include "fw_hooks.h"

CT_MAP(hook_case_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct hook_case);

static __always_inline struct hook_case *hook_case(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hook_case_v1, &zero);
}

/* The kernel's own, and then, still within the lookup for the caller, a route changes. */
static __always_inline long hook_fib_lookup(void *ctx, struct bpf_fib_lookup *p, int len, __u32 f)
{
	struct hook_case *c = hook_case();
	struct ct_settings *set;
	__u32 zero = 0;
	long v;

	v = bpf_fib_lookup(ctx, p, len, f);
	set = bpf_map_lookup_elem(&ct_settings_v1, &zero);
	if (c && set) {
		c->fib_lookups++;
		set->route_epoch += c->new_epoch;
		c->new_epoch = 0;
	}
	return v;
}
#define bpf_fib_lookup(ctx, p, len, flags) hook_fib_lookup(ctx, p, len, flags)
#include "../../consumers/firewall/fw_tc.bpf.c"

SEC("tc")
int hook_in(struct __sk_buff *skb)
{
	struct hook_case *c = hook_case();
	int v;

	if (!c)
		return TC_ACT_SHOT;
	skb->tc_index = c->tc_index;
	v = fw_in(skb, 1);
	c->tc_index = skb->tc_index;
	return v;
}

SEC("tc")
int hook_out(struct __sk_buff *skb)
{
	struct hook_case *c = hook_case();
	int v;

	if (!c)
		return TC_ACT_SHOT;
	skb->tc_index = c->tc_index;
	v = fw_out(skb, 1);
	c->tc_index = skb->tc_index;
	return v;
}
