// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The OVS datapath as it is, with what BPF_PROG_RUN does not show: where the packet went, and what
 * a tunnel device has to do with it. */
#include <linux/types.h>
#include "ovs_hooks.h"
#include "../../bpf/lib/ctx_tc.h"
#include "../../bpf/ct/ct_maps.h"

CT_MAP(hook_case_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct ovs_hook);
_Static_assert(sizeof(struct ovs_hook_tunnel) == sizeof(struct bpf_tunnel_key), "tunnel key");

static __always_inline struct ovs_hook *hook_case(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hook_case_v1, &zero);
}

static __always_inline long hook_redirect(__u32 ifindex, __u64 flags)
{
	struct ovs_hook *h = hook_case();

	if (h)
		h->ifindex = ifindex;
	return bpf_redirect(ifindex, flags);
}

static __always_inline long hook_get_tunnel(struct __sk_buff *skb, struct bpf_tunnel_key *t,
					    __u64 flags)
{
	struct ovs_hook *h = hook_case();

	if (!bpf_skb_get_tunnel_key(skb, t, sizeof(*t), flags))
		return 0;
	if (!h || h->family != (flags & BPF_F_TUNINFO_IPV6 ? 6 : 4))
		return -1;
	__builtin_memcpy(t, &h->in, sizeof(*t));
	return 0;
}

static __always_inline long hook_set_tunnel(struct __sk_buff *skb, struct bpf_tunnel_key *t,
					    __u64 flags)
{
	struct ovs_hook *h = hook_case();

	if (!h)
		return -1;
	__builtin_memcpy(&h->out, t, sizeof(*t));
	h->out_flags = flags;
	return bpf_skb_set_tunnel_key(skb, t, sizeof(*t), flags);
}

#define bpf_redirect(ifindex, flags)		    hook_redirect(ifindex, flags)
#define bpf_skb_get_tunnel_key(skb, t, size, flags) hook_get_tunnel(skb, t, flags)
#define bpf_skb_set_tunnel_key(skb, t, size, flags) hook_set_tunnel(skb, t, flags)
#include "../../consumers/ovs/ovs_tc.bpf.c"
