/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_CONTROL_H
#define BPFCT_CT_CONTROL_H

#include <linux/errno.h>

#include "../nat/nat_claim.h"
#include "ct_touch.h"

/*
 * What user space may do to records, through SEC("syscall") ct_control only, so
 * that it follows the same steps as packets do (I4). Runs in process context: a
 * packet may interrupt it between any two instructions, so it uses nothing per
 * CPU and no building place.
 */

/* Status bits that a request may set. */
#define CT_CONTROL_STATUS (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_FIXED_TIMEOUT)

static __always_inline int ct_control_live(const struct ct_control *req, __u64 word)
{
	__u32 life = ct_w_life(word);

	if (req->gen && req->gen != ct_w_gen(word))
		return 0;
	return life == CT_LIFE_HALF_OPEN || life == CT_LIFE_CONFIRMED;
}

static __always_inline int ct_control_label(const union ct_key *key, const struct ct_control *req,
					    __u32 gen, __u8 family)
{
	struct ct_label_key lk;
	struct ct_label label = req->flow.label;

	ct_label_key(&lk, key, gen, family);
	return bpf_map_update_elem(&ct_label_v1, &lk, &label, BPF_ANY) ? -ENOSPC : 0;
}

static __always_inline int ct_control_update(const struct ct_settings *set, struct ct_conn *conn,
					     const union ct_key *key, const struct ct_control *req,
					     __u64 word, __u8 family)
{
	__u64 add = 0;

	if (req->set & CT_SET_STATUS)
		add |= CT_W_STATUS(ct_w_status(req->flow.c.word) & CT_CONTROL_STATUS);
	if (req->set & CT_SET_LABEL) {
		if (ct_control_label(key, req, ct_w_gen(word), family))
			return -ENOSPC;
		add |= CT_W_STATUS(CT_S_LABEL);
	}
	if (add && !ct_cas(conn, word, word | add))
		return -EAGAIN;
	if (req->set & CT_SET_MARK)
		*(volatile __u32 *)&conn->mark = req->flow.c.mark;
	if (req->set & CT_SET_TIMEOUT)
		ct_set_timer(conn, word | add, ct_now(set) + ct_ticks(set, req->flow.c.expires));
	ct_event(set, conn, key, word | add, family, CT_EVENT_UPDATE);
	return 0;
}

/* DELETE and UPDATE on one family. */
static __always_inline int ct_control_on(const struct ct_settings *set,
					 const struct ct_control *req, const union ct_key *key,
					 __u8 family)
{
	struct ct_conn *conn;
	__u64 word;

	if (family == 4) {
		struct ct_conn4 *c4 = bpf_map_lookup_elem(&ct_conn4_v1, &key->k4);

		if (!c4)
			return -ENOENT;
		conn = &c4->c;
		word = ct_word(conn);
		if (!ct_control_live(req, word))
			return -ENOENT;
		if (req->op == CT_CONTROL_UPDATE)
			return ct_control_update(set, conn, key, req, word, 4);
		return ct_kill(conn, key, word, 4, CT_STAT_DELETED) ? 0 : -EAGAIN;
	} else {
		struct ct_conn6 *c6 = bpf_map_lookup_elem(&ct_conn6_v1, &key->k6);

		if (!c6)
			return -ENOENT;
		conn = &c6->c;
		word = ct_word(conn);
		if (!ct_control_live(req, word))
			return -ENOENT;
		if (req->op == CT_CONTROL_UPDATE)
			return ct_control_update(set, conn, key, req, word, 6);
		return ct_kill(conn, key, word, 6, CT_STAT_DELETED) ? 0 : -EAGAIN;
	}
}

/* Inserts the stub of a translated record. 0, -EEXIST or -ENOSPC. */
static __always_inline int ct_control_stub(struct ct_table *tab, const struct ct_conn *conn,
					   const union ct_key *key, __u32 gen, __u32 now,
					   __u8 family)
{
	union ct_key skey = {};
	int v;

	if (ct_add(&tab->stubs, 1) > tab->stub_limit) {
		ct_add(&tab->stubs, -1);
		return -ENOSPC;
	}
	ct_reply_key(&skey, conn, key, family);
	if (family == 4) {
		struct ct_stub4 stub = {.conn = key->k4, .gen = gen, .born = now};

		v = bpf_map_update_elem(&ct_stub4_v1, &skey.k4, &stub, BPF_NOEXIST);
	} else {
		struct ct_stub6 stub = {.conn = key->k6, .gen = gen, .born = now};

		v = bpf_map_update_elem(&ct_stub6_v1, &skey.k6, &stub, BPF_NOEXIST);
	}
	if (!v)
		return 0;
	ct_add(&tab->stubs, -1);
	return -EEXIST;
}

/* Room and counts of a record that user space enters. It counts as confirmed
 * whatever its status: who may enter records is no flood. It takes no slot of
 * the clock; ctd's sweep ends it. */
static __always_inline int ct_control_book(struct ct_table *tab, __u32 zone)
{
	struct ct_zone *z = bpf_map_lookup_elem(&ct_zone_v1, &zone);

	if (!z || tab->confirmed >= tab->confirmed_limit)
		return -ENOSPC;
	if (ct_add(&tab->nodes, 1) > tab->nodes_limit) {
		ct_add(&tab->nodes, -1);
		return -ENOSPC;
	}
	ct_high(&tab->nodes_high, tab->nodes);
	ct_high(&tab->confirmed_high, ct_add(&tab->confirmed, 1));
	ct_high(&z->high, ct_add(&z->count, 1));
	return 0;
}

/* Gives back what ct_control_book() took, when the key turns out to be used. */
static __always_inline void ct_control_unbook(struct ct_table *tab, __u32 zone)
{
	struct ct_zone *z = bpf_map_lookup_elem(&ct_zone_v1, &zone);

	ct_add(&tab->nodes, -1);
	ct_add(&tab->confirmed, -1);
	if (z)
		ct_add(&z->count, -1);
}

/* ctctl -I: flow's key and record, expires in seconds from now. The word says
 * status, state and ORIG_HI; generation and life are ours. */
static __always_inline int ct_control_create(const struct ct_settings *set,
					     const struct ct_control *req, const union ct_key *key,
					     __u8 family)
{
	struct ct_table *tab = ct_table(family);
	__u32 now = ct_now(set), gen = bpf_get_prandom_u32() | 1;
	__u16 status = ct_w_status(req->flow.c.word);
	__u32 zone = family == 4 ? key->k4.zone : key->k6.zone;
	struct ct_conn6 conn = req->flow.conn6;
	__u64 word;
	int v, nat;

	if (!tab)
		return -ENOSPC;
	status = (status & (CT_CONTROL_STATUS | CT_S_NAT)) | CT_S_CONFIRMED | CT_S_INSIDE;
	nat = status & CT_S_NAT;
	word = CT_W_GEN(gen) | CT_W_STATUS(status) |
	       (req->flow.c.word & (CT_W_STATE_MASK | CT_W_ORIG_HI)) | CT_W_LIFE(CT_LIFE_CONFIRMED);
	conn.c.word = word;
	conn.c.start = conn.c.last = now;
	conn.c.expires = now + ct_ticks(set, req->flow.c.expires);
	conn.c.route[0] = conn.c.route[1] = 0;
	if (family == 4 ? nat_stub_live4(&key->k4, now) : nat_stub_live6(&key->k6, now))
		return -EEXIST;
	v = ct_control_book(tab, zone);
	if (v)
		return v;
	if (nat) {
		v = ct_control_stub(tab, &conn.c, key, gen, now, family);
		if (v)
			goto undo;
	}
	if (family == 4)
		v = bpf_map_update_elem(&ct_conn4_v1, &key->k4, &conn, BPF_NOEXIST);
	else
		v = bpf_map_update_elem(&ct_conn6_v1, &key->k6, &conn, BPF_NOEXIST);
	if (!v) {
		ct_stat(CT_STAT_INSERT);
		ct_event(set, &conn.c, key, word, family, CT_EVENT_NEW);
		return 0;
	}
	v = -EEXIST;
	if (nat) {
		union ct_key skey = {};

		ct_reply_key(&skey, &conn.c, key, family);
		ct_stub_drop(&skey, key, gen, family);
	}
undo:
	ct_control_unbook(tab, zone);
	return v;
}

#endif
