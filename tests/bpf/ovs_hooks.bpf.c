// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The OVS datapath as it is, with what BPF_PROG_RUN does not show: where the packet went. */
#include <linux/types.h>
#include "ovs_hooks.h"
#include "../../bpf/lib/ctx_tc.h"
#include "../../bpf/ct/ct_maps.h"

CT_MAP(hook_case_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct ovs_hook);

static __always_inline long hook_redirect(__u32 ifindex, __u64 flags)
{
	__u32 zero = 0;
	struct ovs_hook *h = bpf_map_lookup_elem(&hook_case_v1, &zero);

	if (h) {
		h->ifindex = ifindex;
		h->flags = flags;
	}
	return bpf_redirect(ifindex, flags);
}
#define bpf_redirect(ifindex, flags) hook_redirect(ifindex, flags)
#include "../../consumers/ovs/ovs_tc.bpf.c"
