/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_CT_H
#define BPFCT_OVS_DP_CT_H

#include "../../bpf/ct/ct_alg_take.h"
#include "../../bpf/ct_path.h"
#include "../../bpf/frag/frag_hold.h"
#include "dp_ct_again.h"
#include "dp_extract.h"

/*
 * ct(): the stages of bpf/ct_path.h. The packet is tracked once in a zone: what the first
 * ct() found is kept in ovs_work.ct for the next, and after a way through user space, which
 * keeps ct_state and ct_zone alone, the record is looked up without being changed.
 */

static __always_inline void ovs_ct_forget(struct ovs_work *w)
{
	w->ct_valid = w->ct_done = 0;
	w->key.ct_state = w->key.ct_proto = 0;
	w->key.ct_zone = 0;
	w->key.ct_mark = 0;
	w->key.ct_sport = w->key.ct_dport = 0;
	__builtin_memset(w->key.ct_label, 0, sizeof(w->key.ct_label));
	__builtin_memset(w->key.ct_src, 0, sizeof(w->key.ct_src));
	__builtin_memset(w->key.ct_dst, 0, sizeof(w->key.ct_dst));
}

/* Fragments of one datagram came by one port, and one tunnel. */
static __always_inline __u32 ovs_frag_side(const struct ovs_work *w)
{
	__u64 h = (w->key.tun.id ^ (__u64)w->key.tun.src[0] << 32) * 0x9fb21c651e98df25ULL;

	return w->key.in_port ^ (__u32)(h >> 32);
}

/* The label of the record in res. */
static __always_inline void ovs_ct_read_label(const struct ct_result *res, __u32 *label)
{
	union ct_key key = res->key;
	struct ct_label_key lk;
	struct ct_label *l;

	label[0] = label[1] = label[2] = label[3] = 0;
	if (!(res->word & CT_W_STATUS(CT_S_LABEL)))
		return;
	ct_label_key(&lk, &key, ct_w_gen(res->word), res->family);
	l = bpf_map_lookup_elem(&ct_label_v1, &lk);
	if (l)
		__builtin_memcpy(label, l->bits, 16);
}

/* What ct_lookup() or ct_parse() said: OVS_CT_TRACKED or INVALID, or a drop reason. */
static __always_inline int ovs_ct_judge(int v)
{
	if (v > 0)
		return OVS_CT_TRACKED;
	if (v < 0 && !ct_drop_is_invalid(v))
		return v;
	if (v < 0)
		ct_drop(-v); /* the reason of its being invalid */
	ct_stat(CT_STAT_INVALID);
	return OVS_CT_INVALID;
}

/* dp_alg.h */
int ovs_alg_resume(struct __sk_buff *skb);

/* Is the packet its helper's reader's, on its way back to this very ct()? */
static __always_inline int ovs_ct_resumes(struct __sk_buff *skb, const struct ovs_ct *ct)
{
	__u32 token = skb->mark;
	const struct alg_exec *e;

	if (ct->flags & OVS_CT_RESUME)
		return 1;
	if (!token)
		return 0;
	e = bpf_map_lookup_elem(&ct_algexec_v1, &token);
	return e && e->ifindex == skb->ifindex && e->conn.key.zone == ct->zone;
}

/* A fragment: as frag_admit() and frag_hold(). Of what a helper's reader sends the whole was
 * admitted, and its mark, which no other datagram has, is its side. */
static __always_inline int ovs_ct_gather(struct __sk_buff *skb, const struct ovs_work *w,
					 struct ct_pkt *pkt, int resume)
{
	__u32 side;
	int v;

	if (resume) {
		if (!alg_is_ours(skb))
			return -CT_DROP_ALG_LOST;
		side = skb->mark;
	} else {
		v = frag_admit(pkt);
		if (v != FRAG_HOLD)
			return v;
		side = ovs_frag_side(w);
	}
	return frag_hold(skb, pkt, side);
}

/* Parse, fragments, what is known already. OVS_CT_*, or a drop reason. */
__noinline int ovs_ct_find(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	int v, resume;

	if (!a || !cw)
		return -CT_DROP_OVS_ACTION;
	resume = ovs_ct_resumes(skb, &a->ct);
	v = ct_parse(skb, &cw->pkt, a->ct.zone, 1);
	if (v == CT_PARSE_OTHER)
		return OVS_CT_INVALID;
	if (v == -CT_DROP_FRAG_TINY)
		frag_stat(cw->pkt.tuple.family, FRAG_STAT_TOO_SMALL, 1);
	if (v >= 0 && (cw->pkt.flags & CT_PKT_FRAGMENT)) {
		v = ovs_ct_gather(skb, w, &cw->pkt, resume);
		if (v == FRAG_PASS)
			return OVS_CT_INVALID;
		if (v < 0)
			return v;
		if (v != FRAG_WHOLE)
			return OVS_CT_HELD;
	}
	if (resume)
		return v < 0 ? v : ovs_alg_resume(skb);
	return v < 0 ? ovs_ct_judge(v) : ovs_ct_again(skb);
}

/* ct(force,commit): a connection that the other side has begun ends, this packet opens one. */
static __always_inline void ovs_ct_force(struct ovs_work *w, struct ct_work *cw)
{
	union ct_key key = cw->res.key;

	if (!cw->res.word || cw->res.dir != CT_REPLY || cw->res.related)
		return;
	if (cw->res.family == 4) {
		struct ct_conn4 *c = bpf_map_lookup_elem(&ct_conn4_v1, &key.k4);

		if (c)
			ct_kill4(c, &cw->res.key, cw->res.word, CT_STAT_DELETED);
	} else {
		struct ct_conn6 *c = bpf_map_lookup_elem(&ct_conn6_v1, &key.k6);

		if (c)
			ct_kill6(c, &cw->res.key, cw->res.word, CT_STAT_DELETED);
	}
	w->ct_valid = 0;
	cw->res.word = 0;
	cw->res.mark = 0;
	cw->res.dir = CT_ORIG;
	cw->res.to = cw->pkt.tuple;
	cw->res.translate = 0;
	cw->res.state = CT_STATE_TRK | CT_STATE_NEW;
}

static __always_inline void ovs_ct_range(struct ct_nat_range *r, const struct ovs_ct *ct)
{
	__builtin_memcpy(r->addr_min, ct->addr_min, 16);
	__builtin_memcpy(r->addr_max, ct->addr_max, 16);
	r->port_min = ct->port_min;
	r->port_max = ct->port_max;
}

static __always_inline void ovs_ct_nat_args(struct ct_nat_args *nat, const struct ovs_ct *ct)
{
	if (ct->flags & OVS_CT_NAT_SRC) {
		nat->flags = CT_NAT_SRC;
		ovs_ct_range(&nat->src, ct);
	} else if (ct->flags & OVS_CT_NAT_DST) {
		nat->flags = CT_NAT_DST;
		ovs_ct_range(&nat->dst, ct);
	}
	nat->flags |= (ct->flags & OVS_CT_RANDOM ? CT_NAT_RANDOM : 0) |
		      (ct->flags & OVS_CT_HASH ? CT_NAT_HASH : 0) |
		      (ct->flags & OVS_CT_PERSISTENT ? CT_NAT_PERSISTENT : 0);
}

/* A port of SIP's, as the user has it? OpenFlow's alg= has no word for SIP. */
static __always_inline int ovs_is_sip(__be16 port)
{
	const struct ovs_config *cfg = ovs_config();
	__u32 i;

	if (!cfg || !port)
		return 0;
#pragma unroll
	for (i = 0; i < OVS_SIP_PORTS; i++)
		if (cfg->sip_port[i] == port)
			return 1;
	return 0;
}

/* OpenFlow sees no ports of fragments, of IPv6 no protocol either: a flow for them cannot say that
 * they are SIP's. The user may say so of all that his flows let in. */
static __always_inline int ovs_is_cut_sip(const struct ct_pkt *pkt)
{
	const struct ovs_config *cfg = ovs_config();

	return cfg && cfg->sip_fragments && (pkt->flags & CT_PKT_GATHERED) &&
	       pkt->tuple.proto == IPPROTO_UDP && ovs_is_sip(pkt->tuple.dport);
}

/* Which helper a new connection gets: what does not speak its transport has none. */
static __always_inline __u8 ovs_ct_helper(const struct ovs_ct *ct, const struct ct_pkt *pkt)
{
	const struct ct_tuple *t = &pkt->tuple;

	if (!ct->alg)
		return ovs_is_cut_sip(pkt) ? OVS_ALG_SIP : OVS_ALG_NONE;
	if (t->proto != IPPROTO_TCP && t->proto != IPPROTO_UDP)
		return OVS_ALG_NONE;
	if (ovs_is_sip(t->dport))
		return OVS_ALG_SIP;
	if (t->proto == IPPROTO_TCP)
		return ct->alg == OVS_ALG_TFTP ? OVS_ALG_NONE : ct->alg;
	return ct->alg == OVS_ALG_FTP ? OVS_ALG_NONE : ct->alg;
}

/* The label that the action's mask is put upon: the connection's; of what is expected, its
 * master's. */
static __always_inline void ovs_ct_label(struct ct_work *cw, __u32 *label)
{
	struct ct_expect_work *x = ct_expect_work();
	const struct ct_label *l;

	ovs_ct_read_label(&cw->res, label);
	if (cw->res.word || !cw->res.expected || !x || !(x->status & CT_S_LABEL))
		return;
	l = bpf_map_lookup_elem(&ct_label_v1, &x->x.master);
	if (l)
		__builtin_memcpy(label, l->bits, 16);
}

/* What ct_commit() is asked for: mark and label are those of now, but for the mask. */
__noinline int ovs_ct_args(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	struct ct_commit_args *args;
	const struct ovs_ct *ct;
	__u32 label[4], i;

	if (!a || !cw || !skb)
		return -CT_DROP_OVS_ACTION;
	ct = &a->ct;
	args = &cw->args;
	__builtin_memset(args, 0, sizeof(*args));
	if (ct->flags & OVS_CT_FORCE)
		ovs_ct_force(w, cw);
	args->policy = ct->timeout;
	if (!cw->res.word) {
		ovs_ct_nat_args(&args->nat, ct);
		args->helper = ovs_ct_helper(ct, &cw->pkt);
	}
	if (ct->flags & OVS_CT_MARK) {
		args->mark = (cw->res.mark & ~ct->mark_mask) | (ct->mark & ct->mark_mask);
		args->set_mark = !cw->res.word || args->mark != cw->res.mark;
	}
	if (ct->flags & OVS_CT_LABEL) {
		ovs_ct_label(cw, label);
#pragma unroll
		for (i = 0; i < 4; i++) {
			args->label[i] = (label[i] & ~ct->label_mask[i]) |
					 (ct->label[i] & ct->label_mask[i]);
			if (args->label[i] != label[i])
				args->set_label = 1;
		}
	}
	return 0;
}

static __always_inline void ovs_ct_orig_is(struct ovs_work *w, const struct ct_tuple *t)
{
	__builtin_memcpy(w->key.ct_src, t->saddr, 16);
	__builtin_memcpy(w->key.ct_dst, t->daddr, 16);
	w->key.ct_proto = t->proto;
	w->key.ct_sport = ovs_ct_sport(t);
	w->key.ct_dport = ovs_ct_dport(t);
}

static __always_inline void ovs_ct_orig(struct ovs_work *w, const struct ct_work *cw)
{
	struct ct_tuple t;

	ovs_ct_first(&t, cw);
	ovs_ct_orig_is(w, &t);
}

/* The key's ct fields after a ct(); v is OVS_CT_TRACKED or OVS_CT_INVALID. */
__noinline int ovs_ct_key(struct __sk_buff *skb, int v)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__u32 label[4];

	if (!a || !cw || !skb)
		return -CT_DROP_OVS_ACTION;
	if (v == OVS_CT_INVALID) {
		ovs_ct_forget(w);
		w->key.ct_zone = a->ct.zone;
		w->key.ct_state = CT_STATE_TRK | CT_STATE_INV;
		return 0;
	}
	if (cw->args.set_label && (a->ct.flags & OVS_CT_COMMIT)) {
		__builtin_memcpy(w->key.ct_label, cw->args.label, 16);
	} else {
		ovs_ct_label(cw, label);
		__builtin_memcpy(w->key.ct_label, label, 16);
	}
	/* Committed by this packet it stays +new: only the other side's answer makes +est. */
	w->key.ct_state = cw->res.state;
	w->key.ct_zone = a->ct.zone;
	w->key.ct_mark = cw->res.mark; /* of what is expected: its master's */
	if (!w->ct_valid)
		ovs_ct_orig(w, cw);
	w->ct = cw->res;
	w->ct_valid = 1;
	return 0;
}

/* The key after nat_apply(): what that wrote is entered, so that the packet need not be read
 * again. Of ICMP and of protocols whose ports the key has not it is taken anew. */
static __always_inline void ovs_ct_patch(struct ovs_work *w, const struct ct_result *res)
{
	__u8 proto = w->key.proto;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP) {
		w->stale = 1;
		return;
	}
	if (res->translate & CT_XLATE_SRC) {
		__builtin_memcpy(w->key.src, res->to.saddr, 16);
		w->key.sport = res->to.sport;
	}
	if (res->translate & CT_XLATE_DST) {
		__builtin_memcpy(w->key.dst, res->to.daddr, 16);
		w->key.dport = res->to.dport;
	}
}

/* Would ct_commit() leave this connection as it is? */
static __always_inline int ovs_ct_settled(const struct ovs_ct *ct, const struct ct_result *res)
{
	if (!(ct->flags & OVS_CT_COMMIT))
		return 1;
	if (ct->flags & OVS_CT_LABEL)
		return 0;
	if ((ct->flags & OVS_CT_FORCE) && res->dir == CT_REPLY)
		return 0;
	return !(ct->flags & OVS_CT_MARK) || !((res->mark ^ ct->mark) & ct->mark_mask);
}

/* What ct_lookup() found is all there is to do: neither commit nor label, helper, master. */
static __always_inline int ovs_ct_is_bulk(const struct ovs_ct *ct, const struct ct_result *res,
					  int v)
{
	return v > CT_NEW && v != CT_RELATED && ovs_ct_settled(ct, res) &&
	       !(res->word & CT_W_STATUS(CT_S_LABEL | CT_S_HELPER | CT_S_EXPECTED));
}

/* As ovs_ct_key(), of the bulk. */
static __always_inline void ovs_ct_bulk_key(struct ovs_work *w, const struct ovs_ct *ct)
{
	struct ct_tuple t;

	w->key.ct_state = w->ct.state;
	w->key.ct_zone = ct->zone;
	w->key.ct_mark = w->ct.mark;
	__builtin_memset(w->key.ct_label, 0, sizeof(w->key.ct_label));
	ct_tuple_orig(&t, &w->ct.key, w->ct.word, w->ct.family);
	ovs_ct_orig_is(w, &t);
	w->ct_valid = 1;
}

/* The descriptor of TCP and UDP, from the key: as ct_parse() would make it, but of what the key
 * has already nothing is read again. 0: it is for ovs_ct_find(). */
static __always_inline int ovs_ct_packet(struct __sk_buff *skb, const struct ovs_work *w,
					 struct ct_pkt *pkt, __u16 zone)
{
	const struct ovs_key *key = &w->key;

	if (w->stale || key->frag != OVS_FRAG_NONE || w->l4_len < 8 || skb->len > 0xffff)
		return 0;
	pkt->tuple.zone = zone;
	pkt->tuple.proto = key->proto;
	pkt->tuple.family = key->eth_type == bpf_htons(ETH_P_IP) ? 4 : 6;
	__builtin_memcpy(pkt->tuple.saddr, key->src, 16);
	__builtin_memcpy(pkt->tuple.daddr, key->dst, 16);
	pkt->l3_off = w->l3_off;
	pkt->l4_off = w->l4_off;
	pkt->l4_len = w->l4_len;
	pkt->len = w->l4_len + w->l4_off - w->l3_off;
	pkt->ttl = key->ttl;
	pkt->tos = key->tos;
	pkt->flags = 0;
	pkt->tcp_flags = 0;
	if (key->proto == IPPROTO_UDP)
		return !ct_parse_udp(skb, pkt);
	return key->proto == IPPROTO_TCP && !ct_parse_tcp(skb, pkt);
}

/* A datagram's fragments go on from here each by itself: all but the last through the execute
 * device, with what is known of this one; the last is the packet in hand. */
__noinline int ovs_ct_release(struct __sk_buff *skb)
{
	const struct ovs_config *cfg = ovs_config();
	struct ovs_cpu *cpu = ovs_cpu();
	struct ct_work *cw = ct_work();
	struct ovs_work *w;
	__u32 level;
	int v;

	if (!cfg || !cpu || !cw)
		return -CT_DROP_OVS_PROGRAM;
	level = cpu->level;
	if (level >= OVS_LEVEL_MAX || !cfg->exec_ifindex) {
		v = cfg->exec_ifindex ? CT_DROP_OVS_DEPTH : CT_DROP_OVS_COPY;
		frag_discard(&cw->pkt, v);
		return -v;
	}
	w = ovs_work_at(cpu, level);
	w->mru = cw->pkt.frag_max;
	w->stale = 1;
	w->copy_pc = w->pc + 1;
	w->copy_end = w->end;
	w->copying = 1;
	cpu->level = level + 1;
	v = frag_release(skb, &cw->pkt, cfg->exec_ifindex, 0);
	cpu->level = level;
	w->copying = 0;
	return v;
}

#endif
