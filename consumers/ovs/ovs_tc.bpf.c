// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The OVS datapath on TC. A packet of a port finds its flow and runs the flow's actions; what
 * finds none goes up to vswitchd. Split into programs that tail-call one another:
 *
 *   ovs_port, ovs_lookup (recirculation) -> ovs_actions <-> ovs_ct_bulk -> ovs_lookup
 *   ovs_execute                          -> ovs_actions         -> ovs_ct -> ovs_lookup
 *
 * None ever lets a packet go on up the stack: TC_ACT_SHOT with a counted reason, a redirect,
 * or ovs_gone(), the end of a packet that is held, copied on or in the ring.
 */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "dp_actions.h"
#include "dp_alg.h"
#include "dp_find.h"

enum {
	OVS_PROG_LOOKUP = 0,
	OVS_PROG_ACTIONS,
	OVS_PROG_CT,
	OVS_PROG_CT_BULK,
	OVS_PROG_CT_KNOWN,
	OVS_PROGS
};

int ovs_lookup(struct __sk_buff *skb);
int ovs_actions(struct __sk_buff *skb);
int ovs_ct(struct __sk_buff *skb);
int ovs_ct_bulk(struct __sk_buff *skb);
int ovs_ct_known(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, OVS_PROGS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} ovs_prog_v2 SEC(".maps") = {
	.values =
		{
			[OVS_PROG_LOOKUP] = (void *)&ovs_lookup,
			[OVS_PROG_ACTIONS] = (void *)&ovs_actions,
			[OVS_PROG_CT] = (void *)&ovs_ct,
			[OVS_PROG_CT_BULK] = (void *)&ovs_ct_bulk,
			[OVS_PROG_CT_KNOWN] = (void *)&ovs_ct_known,
		},
};

static __always_inline int ovs_drop(int v)
{
	ct_drop(-v);
	ct_stat(CT_STAT_DROP);
	return TC_ACT_SHOT;
}

/* The end of a packet of which nothing is lost; a sender at the execute device is told of
 * no drop. */
static __always_inline int ovs_gone(void)
{
	return frag_stolen();
}

/* On to another program, a constant: a jump then. At the end of the chain by way of the
 * execute device. */
static __always_inline int ovs_tail(struct __sk_buff *skb, struct ovs_work *w, __u32 prog)
{
	const struct ovs_config *cfg = ovs_config();

	if (++w->tails >= OVS_TAILS) {
		if (!cfg || !cfg->exec_ifindex || ++w->resumes > OVS_RESUMES)
			return ovs_drop(-CT_DROP_OVS_RECIRC);
		w->tails = 0;
		w->resume = prog + 1;
		w->mark = skb->mark;
		skb->mark = w->token = bpf_get_prandom_u32() | 1;
		return bpf_redirect(cfg->exec_ifindex, 0);
	}
	bpf_tail_call_static(skb, &ovs_prog_v2, prog);
	return ovs_drop(-CT_DROP_OVS_PROGRAM);
}

/* Up to vswitchd, for a flow. */
static __always_inline int ovs_miss(struct __sk_buff *skb)
{
	int v = ovs_upcall(skb, OVS_UPCALL_MISS, 0, 0);

	ovs_stat(OVS_STAT_MISSED);
	return v < 0 ? ovs_drop(v) : ovs_gone();
}

/* An output for which the kernel does not cut the packet here: vswitchd has it cut, and sends it.
 */
static __always_inline int ovs_leave_by_user(struct __sk_buff *skb, __u32 port)
{
	int v = ovs_upcall(skb, OVS_UPCALL_ACTION, port, OVS_USER_REST | OVS_USER_OUTPUT);

	return v < 0 ? ovs_drop(v) : ovs_gone();
}

/* The packet's flow is in this slot: into its actions. */
static __always_inline int ovs_go(struct __sk_buff *skb, struct ovs_work *w, __u32 slot)
{
	const struct ovs_action *a;
	struct ovs_flow *f;
	int v;

	f = slot != OVS_NO_FLOW ? ovs_flow_of(slot) : NULL;
	if (!f || *(volatile __u32 *)&f->live != 1)
		return ovs_miss(skb);
	ovs_stat(OVS_STAT_HIT);
	ovs_count(skb, w, f);
	w->flow = slot;
	w->pc = 0;
	w->end = f->n_actions;
	if (!w->end)
		return ovs_drop(-CT_DROP_OVS_DROP);
	a = ovs_action(w);
	if (!a || w->end > OVS_FLOW_ACTIONS)
		return ovs_drop(-CT_DROP_OVS_ACTION);
	if (a->type == OVS_ACT_OUTPUT && w->end == 1 && !w->trunc) {
		v = ovs_leave(skb, a->port);
		return v < 0 ? ovs_drop(v) : v;
	}
	if (a->type == OVS_ACT_CT)
		return ovs_tail(skb, w, OVS_PROG_CT_BULK);
	return ovs_tail(skb, w, OVS_PROG_ACTIONS);
}

/* Is the device a port of ours, here? Its number, or a drop reason. */
static __always_inline int ovs_receive(struct __sk_buff *skb, struct ovs_work *w,
				       const struct ovs_config *cfg, struct ovs_port **port)
{
	__u32 ifindex = skb->ifindex, number;
	__u64 here;

	if (!cfg || cfg->abi_version != OVS_ABI_VERSION)
		return -CT_DROP_OVS_PROGRAM;
	number = ovs_port_number(ifindex);
	*port = ovs_port_of(number);
	if (!*port || (*port)->ifindex != ifindex)
		return -CT_DROP_OVS_DEVICE;
	here = (*port)->netns ? (*port)->netns : cfg->netns;
	if (here)
		w->netns = ovs_netns(skb);
	if (here != w->netns)
		return -CT_DROP_OVS_DEVICE;
	return number;
}

/* A packet that a port's device received. */
SEC("tc")
int ovs_port(struct __sk_buff *skb)
{
	struct ovs_cpu *cpu = ovs_cpu();
	struct ovs_work *w;
	struct ovs_port *p;
	int v;

	if (!cpu)
		return ovs_drop(-CT_DROP_OVS_PROGRAM);
	w = ovs_work_at(cpu, cpu->level);
	__builtin_memset(w, 0, OVS_WORK_CLEARED);
	v = ovs_receive(skb, w, ovs_config(), &p);
	if (v < 0)
		return ovs_drop(v);
	w->key.in_port = v;
	w->key.skb_mark = skb->mark;
	w->key.skb_priority = skb->priority;
	v = 0;
	if (p->flags & OVS_PORT_TUNNEL)
		v = ovs_extract_tunnel(skb);
	if (v >= 0 && !ovs_extract_bulk(skb, w))
		v = ovs_extract(skb);
	return v < 0 ? ovs_drop(v) : ovs_go(skb, w, ovs_find_first(skb, cpu, w));
}

/* Recirculation; the key has the new recirc_id. */
static __always_inline int ovs_again(struct __sk_buff *skb, struct ovs_work *w)
{
	int v = 0;

	if (++w->recircs > OVS_RECIRC_MAX)
		return ovs_drop(-CT_DROP_OVS_RECIRC);
	ovs_stat(OVS_STAT_RECIRC);
	if (w->stale)
		v = ovs_extract(skb);
	return v < 0 ? ovs_drop(v) : ovs_go(skb, w, ovs_find_next(skb, w));
}

SEC("tc")
int ovs_lookup(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();

	return w ? ovs_again(skb, w) : ovs_drop(-CT_DROP_OVS_PROGRAM);
}

SEC("tc")
int ovs_actions(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	const struct ovs_action *a;
	__u32 i;
	int v;

	if (!w)
		return ovs_drop(-CT_DROP_OVS_PROGRAM);
	for (i = 0; i <= OVS_FLOW_ACTIONS; i++) {
		int last;

		if (w->pc >= w->end)
			return ovs_gone();
		a = ovs_action(w);
		if (!a)
			return ovs_drop(-CT_DROP_OVS_ACTION);
		last = w->pc + 1 >= w->end;
		switch (a->type) {
		case OVS_ACT_OUTPUT:
			if (last) {
				v = ovs_cut(skb);
				if (v > 0)
					return ovs_leave_by_user(skb, a->port);
				if (v >= 0)
					v = ovs_leave(skb, a->port);
				return v < 0 ? ovs_drop(v) : v;
			}
			v = ovs_output(skb, a->port);
			break;
		case OVS_ACT_USERSPACE:
			v = ovs_upcall(skb, OVS_UPCALL_ACTION, a->user.cookie, a->user.flags);
			w->trunc = 0;
			if (v < 0)
				ct_drop(-v);
			v = 0;
			break;
		case OVS_ACT_RECIRC:
			if (last) {
				w->key.recirc_id = a->id;
				return ovs_tail(skb, w, OVS_PROG_LOOKUP);
			}
			v = ovs_copy(skb, w->pc, w->pc + 1);
			if (v < 0)
				ct_drop(-v);
			v = 0;
			break;
		case OVS_ACT_CT:
			return ovs_tail(skb, w, OVS_PROG_CT_BULK);
		case OVS_ACT_DROP:
			return ovs_drop(-CT_DROP_OVS_DROP);
		case OVS_ACT_SAMPLE:
		case OVS_ACT_CLONE:
		case OVS_ACT_CHECK_LEN:
			v = ovs_nested(skb);
			if (v < 0)
				return ovs_drop(v);
			continue;
		default:
			v = ovs_simple(skb, w, a);
		}
		if (v < 0)
			return ovs_drop(v);
		w->pc++;
	}
	return ovs_drop(-CT_DROP_OVS_ACTION);
}

/* What follows a ct(). Most often that is recirculation. */
static __always_inline int ovs_after_ct(struct __sk_buff *skb, struct ovs_work *w)
{
	const struct ovs_action *a;

	w->pc++;
	if (w->pc >= w->end)
		return ovs_gone();
	a = ovs_action(w);
	if (a && a->type == OVS_ACT_RECIRC && w->pc + 1 >= w->end) {
		w->key.recirc_id = a->id;
		return ovs_tail(skb, w, OVS_PROG_LOOKUP);
	}
	return ovs_tail(skb, w, OVS_PROG_ACTIONS);
}

/* What the programs of ct() work with, and on: the action in hand. NULL cannot happen. */
static __always_inline const struct ovs_action *ovs_ct_in_hand(struct ovs_work **w,
							       struct ct_work **cw)
{
	*w = ovs_work();
	*cw = ct_work();
	return *w && *cw ? ovs_action(*w) : NULL;
}

/*
 * ct() of the bulk: a whole packet, not tracked in this zone before, of a connection that stays
 * as it is. With as few calls as can be, as each return is dear where it goes through a thunk;
 * what turns out to be anything else goes on in ovs_ct(), with the look-up's verdict if there
 * has been one.
 */
SEC("tc")
int ovs_ct_bulk(struct __sk_buff *skb)
{
	struct ovs_work *w;
	struct ct_work *cw;
	const struct ovs_action *a = ovs_ct_in_hand(&w, &cw);
	int v;

	if (!a)
		return ovs_drop(-CT_DROP_OVS_PROGRAM);
	if (ovs_ct_resumes(skb, &a->ct) ||
	    ((w->key.ct_state & CT_STATE_TRK) && w->key.ct_zone == a->ct.zone) ||
	    !ovs_ct_packet(skb, w, &cw->pkt, a->ct.zone))
		return ovs_tail(skb, w, OVS_PROG_CT);
	w->ct_valid = w->ct_done = 0;
	v = ct_lookup(skb, &cw->pkt, &w->ct);
	if (!ovs_ct_is_bulk(&a->ct, &w->ct, v)) {
		w->asked = 1;
		w->verdict = v;
		return ovs_tail(skb, w, OVS_PROG_CT);
	}
	return ovs_tail(skb, w, OVS_PROG_CT_KNOWN);
}

/* Goes on from there: on a stack of its own, as the look-up's is deep. */
SEC("tc")
int ovs_ct_known(struct __sk_buff *skb)
{
	struct ovs_work *w;
	struct ct_work *cw;
	const struct ovs_action *a = ovs_ct_in_hand(&w, &cw);
	int v;

	if (!a)
		return ovs_drop(-CT_DROP_OVS_PROGRAM);
	ovs_ct_bulk_key(w, &a->ct);
	if ((a->ct.flags & OVS_CT_NAT) && w->ct.translate) {
		v = nat_apply_here(skb, &cw->pkt, &w->ct, CT_XLATE_SRC | CT_XLATE_DST);
		if (v < 0)
			return ovs_drop(v);
		ovs_ct_patch(w, &w->ct);
		w->ct_done = 1;
	}
	if (++w->pc >= w->end)
		return ovs_gone();
	a = ovs_action(w);
	if (!a || a->type != OVS_ACT_RECIRC || w->pc + 1 < w->end)
		return ovs_tail(skb, w, OVS_PROG_ACTIONS);
	w->key.recirc_id = a->id;
	return ovs_again(skb, w);
}

/* The stages of bpf/ct_path.h; those of a deep stack are called from here. */
SEC("tc")
int ovs_ct(struct __sk_buff *skb)
{
	struct ovs_work *w;
	struct ct_work *cw;
	const struct ovs_action *a = ovs_ct_in_hand(&w, &cw);
	int v;

	if (!a)
		return ovs_drop(-CT_DROP_OVS_PROGRAM);
	if (w->asked) {
		w->asked = 0;
		cw->res = w->ct;
		v = ovs_ct_judge(w->verdict);
	} else {
		cw->pkt.flags = 0;
		v = ovs_ct_find(skb);
	}
	if (v == OVS_CT_HELD)
		return ovs_gone();
	if (v == OVS_CT_LOOKUP) {
		w->ct_valid = w->ct_done = 0;
		v = ovs_ct_judge(ct_lookup(skb, &cw->pkt, &cw->res));
	}
	w->found = v;
	if (v == OVS_CT_TRACKED && (a->ct.flags & OVS_CT_COMMIT)) {
		v = ovs_ct_args(skb);
		if (v >= 0)
			v = ct_commit(skb, &cw->pkt, &cw->res, &cw->args);
	}
	if (v >= 0)
		v = ovs_alg_key(skb);
	if (v == ALG_TAKEN)
		return ovs_gone();
	if (v >= 0 && w->found == OVS_CT_TRACKED && (a->ct.flags & OVS_CT_NAT) && !w->ct_done &&
	    cw->res.translate) {
		v = nat_apply(skb, &cw->pkt, &cw->res, CT_XLATE_SRC | CT_XLATE_DST);
		ovs_ct_patch(w, &cw->res);
		w->ct_done = 1;
	}
	if (v < 0) {
		if (cw->pkt.flags & CT_PKT_GATHERED)
			frag_discard(&cw->pkt, -v);
		return ovs_drop(v);
	}
	if (cw->pkt.flags & CT_PKT_GATHERED) {
		v = ovs_ct_release(skb);
		if (v < 0)
			return ovs_drop(v);
	}
	return ovs_after_ct(skb, w);
}

/* A copy that ovs_copy() or ovs_ct_release() made one level down. 1: it is one. */
static __always_inline int ovs_take_over(struct ovs_cpu *cpu, struct ovs_work *w)
{
	const struct ovs_work *from;

	if (!cpu->level)
		return 0;
	from = ovs_work_at(cpu, cpu->level - 1);
	if (!from->copying)
		return 0;
	__builtin_memcpy(w, from, OVS_WORK_HANDED);
	w->pc = from->copy_pc;
	w->end = from->copy_end;
	w->tails = 0;
	return 1;
}

/* A packet that vswitchd has executed: its token is the mark. 0 or a drop reason. */
static __always_inline int ovs_take_token(struct __sk_buff *skb, struct ovs_work *w)
{
	__u32 token = skb->mark, slot = token & (OVS_EXECS - 1);
	struct ovs_flow *f = ovs_flow_of(slot);

	if (!f || !token || __sync_val_compare_and_swap(&f->live, token, 0) != token)
		return -CT_DROP_OVS_EXECUTE;
	__builtin_memset(w, 0, OVS_WORK_CLEARED);
	__builtin_memcpy(&w->key, &f->key, __builtin_offsetof(struct ovs_key, eth_dst));
	w->flow = slot;
	w->mru = f->mru;
	w->end = f->n_actions;
	if (w->end > OVS_FLOW_ACTIONS)
		return -CT_DROP_OVS_ACTION;
	skb->mark = w->key.skb_mark;
	skb->priority = w->key.skb_priority;
	ovs_stat(OVS_STAT_EXECUTE);
	return ovs_extract(skb);
}

/* Egress of the execute device: copies, packets at the end of their tail calls, EXECUTE. */
SEC("tc")
int ovs_execute(struct __sk_buff *skb)
{
	const struct ovs_config *cfg = ovs_config();
	struct ovs_cpu *cpu = ovs_cpu();
	struct ovs_work *w;
	__u32 prog;
	int v;

	if (!cpu || !cfg || cfg->abi_version != OVS_ABI_VERSION)
		return ovs_drop(-CT_DROP_OVS_PROGRAM);
	if (skb->ifindex != cfg->exec_ifindex)
		return ovs_drop(-CT_DROP_OVS_EXECUTE);
	w = ovs_work_at(cpu, cpu->level);
	prog = w->resume;
	w->resume = 0; /* of a packet that was lost on its way, too */
	if (prog && skb->mark == w->token) {
		prog--;
		skb->mark = w->mark;
		bpf_tail_call(skb, &ovs_prog_v2, prog);
		return ovs_drop(-CT_DROP_OVS_PROGRAM);
	}
	if (!ovs_take_over(cpu, w)) {
		v = ovs_take_token(skb, w);
		if (v < 0)
			return ovs_drop(v);
	}
	return ovs_tail(skb, w, OVS_PROG_ACTIONS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
