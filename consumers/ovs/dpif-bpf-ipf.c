// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Fragments that ct() holds: `ovs-appctl dpctl/ipf-*`. */
#include "dpif-bpf.h"

#include <errno.h>

#include "ct-dpif.h"

int dp_bpf_ipf_set_enabled(struct dpif *dpif, bool v6, bool enabled)
{
	struct ct_settings *set = dp_bpf_of(dpif)->core.pins.settings;

	set->fragments[v6] = enabled ? FRAG_MODE_REASSEMBLE : FRAG_MODE_DROP;
	return 0;
}

/* The bound that Open vSwitch's manual gives (dpctl/ipf-set-min-frag). */
int dp_bpf_ipf_set_min_frag(struct dpif *dpif, bool v6, uint32_t min_frag)
{
	if (min_frag < 400)
		return EINVAL;
	dp_bpf_of(dpif)->core.pins.frag->min_size[v6] = min_frag;
	return 0;
}

/* Datagrams, as that is what there are slots for: never more fragments than that in any case. */
int dp_bpf_ipf_set_max_nfrags(struct dpif *dpif, uint32_t max)
{
	struct bpfct_core *core = &dp_bpf_of(dpif)->core;

	if (!max || max > core->sizes.frag_slots)
		return EINVAL;
	core->pins.frag->total.datagrams = max;
	return 0;
}

static void fill(struct dpif_ipf_proto_status *s, const uint64_t *sum, const struct bpfct_pins *p,
		 bool v6)
{
	const uint64_t *v = sum + v6;

	s->enabled = p->settings->fragments[v6] == FRAG_MODE_REASSEMBLE;
	s->min_frag_size = p->frag->min_size[v6];
	s->nfrag_accepted = v[2 * FRAG_STAT_ACCEPTED];
	s->nfrag_completed_sent = v[2 * FRAG_STAT_RELEASED];
	s->nfrag_expired_sent = v[2 * FRAG_STAT_EXPIRED];
	s->nfrag_too_small = v[2 * FRAG_STAT_TOO_SMALL];
	s->nfrag_overlap = v[2 * FRAG_STAT_OVERLAPPED];
	s->nfrag_purged = v[2 * FRAG_STAT_EVICTED];
}

int dp_bpf_ipf_get_status(struct dpif *dpif, struct dpif_ipf_status *s)
{
	struct bpfct_pins *p = &dp_bpf_of(dpif)->core.pins;
	uint64_t sum[FRAG_STAT_SLOTS];
	int ret = bpfct_counters(p->frag_stat_fd, sum, FRAG_STAT_SLOTS);

	if (ret)
		return -ret;
	memset(s, 0, sizeof(*s));
	fill(&s->v4, sum, p, false);
	fill(&s->v6, sum, p, true);
	s->nfrag = p->frag->use.datagrams;
	s->nfrag_max = p->frag->total.datagrams;
	return 0;
}
