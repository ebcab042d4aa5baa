/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_ALG_H
#define BPFCT_OVS_DP_ALG_H

#include "dp_ct.h"

/*
 * Payload of helped connections (ct(commit,alg=...)): it leaves at the ct() that tracks the
 * packet and comes back to that very ct(), by EXECUTE, to go on behind it. A packet is the
 * helper's once in a zone, however many ct()s it meets there.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OVS_ALGS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ovs_alg_key);
	__type(value, struct ovs_alg);
} ovs_alg_v1 SEC(".maps");

CT_MAP(ovs_algbuf_v1, BPF_MAP_TYPE_PERCPU_ARRAY, 1, __u32, struct ovs_alg);

static __always_inline struct ovs_alg *ovs_alg_buf(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ovs_algbuf_v1, &zero);
}

/* bpf_loop callback: action i of those that are left. Copied, as the flow may be gone before the
 * packet is back. */
static long ovs_alg_action(__u32 i, void *unused)
{
	struct ovs_alg *buf = ovs_alg_buf();
	struct ovs_work *w = ovs_work();
	const struct ovs_action *a;
	struct ovs_flow *f;
	__u64 at = i, pc;
	__u32 id;

	if (!buf || !w || w->pc + i >= w->end)
		return 1;
	f = ovs_flow_of(w->flow);
	if (!f)
		return 1;
	pc = w->pc + i;
	asm volatile("" : "+r"(pc), "+r"(at));
	pc &= OVS_FLOW_ACTIONS - 1;
	at &= OVS_FLOW_ACTIONS - 1;
	id = f->action[pc];
	a = bpf_map_lookup_elem(&ovs_action_v1, &id);
	if (!a)
		return 1;
	buf->action[at] = *a;
	buf->n_actions = i + 1;
	return 0;
}

/* What the packet is in the midst of, for who sends it on. 0 or a drop reason. */
__noinline int ovs_alg_note(struct __sk_buff *skb)
{
	const struct ovs_config *cfg = ovs_config();
	struct ovs_alg *buf = ovs_alg_buf();
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	struct ovs_alg_key key = {};

	if (!cfg || !buf || !w || !cw)
		return -CT_DROP_OVS_PROGRAM;
	buf->life = cfg->life;
	buf->n_actions = 0;
	buf->vlan_tpid = skb->vlan_present ? skb->vlan_proto : 0;
	buf->vlan_tci = bpf_htons(skb->vlan_tci);
	buf->first = !w->key.recirc_id && !w->pc;
	buf->key = w->key;
	bpf_loop(OVS_FLOW_ACTIONS, ovs_alg_action, NULL, 0);
	if (buf->n_actions != w->end - w->pc)
		return -CT_DROP_OVS_ACTION;
	ct_label_key(&key.conn, &cw->res.key, ct_w_gen(cw->res.word), cw->res.family);
	key.dir = cw->res.dir;
	return bpf_map_update_elem(&ovs_alg_v1, &key, buf, BPF_ANY) ? -CT_DROP_ALG_FULL : 0;
}

/* As alg_take(), for the packet in ct_work(). */
__noinline int ovs_alg_take(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	const struct ct_alg *alg;
	__u32 zone;
	int v;

	if (!w || !cw)
		return -CT_DROP_OVS_PROGRAM;
	zone = cw->pkt.tuple.zone;
	if (w->alg_zone == zone + 1)
		return 0;
	w->alg_zone = zone + 1;
	alg = ct_alg_of(&cw->res);
	/* Before the ring has it: who reads that looks here. */
	if (alg && (cw->pkt.payload_len || alg->hold)) {
		v = ovs_alg_note(skb);
		if (v < 0)
			return v;
	}
	return alg_take(skb, &cw->pkt, &cw->res);
}

/* The end of a ct(): payload leaves (ALG_TAKEN), or the key gets its ct fields. */
__noinline int ovs_alg_key(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	int v;

	if (!w || !cw)
		return -CT_DROP_OVS_PROGRAM;
	if (w->found == OVS_CT_TRACKED && (cw->res.word & CT_W_STATUS(CT_S_HELPER))) {
		v = ovs_alg_take(skb);
		if (v)
			return v;
	}
	return ovs_ct_key(skb, w->found);
}

/* A packet that comes back, of its fragments the whole: OVS_CT_TRACKED, or a drop reason. */
__noinline int ovs_alg_resume(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	int v;

	if (!a || !cw)
		return -CT_DROP_OVS_ACTION;
	v = alg_again(skb, &cw->pkt, &cw->res);
	if (v <= 0)
		return v ? v : -CT_DROP_ALG_LOST;
	w->key.skb_mark = skb->mark;
	w->alg_zone = (__u32)a->ct.zone + 1;
	w->ct_valid = w->ct_done = 0;
	cw->args.set_label = 0;
	cw->res.state = ct_state_bits(&cw->res);
	ovs_ct_read_mark(&cw->res);
	return OVS_CT_TRACKED;
}

#endif
