/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_EVENT_H
#define BPFCT_CT_EVENT_H

#include "../lib/ct_clock.h"
#include "../lib/ct_stats.h"
#include "ct_entry.h"
#include "ct_key.h"

static __always_inline void ct_label_key(struct ct_label_key *lk, const union ct_key *key,
					 __u32 gen, __u8 family)
{
	__builtin_memset(lk, 0, sizeof(*lk));
	if (family == 4) {
		lk->key.addr[0][0] = key->k4.addr[0];
		lk->key.addr[1][0] = key->k4.addr[1];
		lk->key.port[0] = key->k4.port[0];
		lk->key.port[1] = key->k4.port[1];
		lk->key.zone = key->k4.zone;
		lk->key.proto = key->k4.proto;
	} else {
		lk->key = key->k6;
	}
	lk->key.pad = family;
	lk->gen = gen;
}

/* Copies a record into a flow as user space sees it. conn is ct_conn4 or 6. */
static __always_inline void ct_flow_fill(struct ct_flow *flow, const struct ct_conn *conn,
					 const union ct_key *key, __u64 word, __u8 family)
{
	flow->family = family;
	flow->pad = 0;
	if (family == 4) {
		__builtin_memset(&flow->key6, 0, sizeof(flow->key6));
		flow->key4 = key->k4;
		__builtin_memset(&flow->conn6, 0, sizeof(flow->conn6));
		__builtin_memcpy(&flow->conn4, conn, sizeof(flow->conn4));
	} else {
		flow->key6 = key->k6;
		__builtin_memcpy(&flow->conn6, conn, sizeof(flow->conn6));
	}
	flow->c.word = word;
	__builtin_memset(&flow->label, 0, sizeof(flow->label));
	if (word & CT_W_STATUS(CT_S_LABEL)) {
		struct ct_label_key lk;
		struct ct_label *label;

		ct_label_key(&lk, key, ct_w_gen(word), family);
		label = bpf_map_lookup_elem(&ct_label_v1, &lk);
		if (label)
			flow->label = *label;
	}
}

static __always_inline int ct_emit_body(const struct ct_conn *conn, const union ct_key *key,
					__u64 word, __u32 type, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_flow *flow;

	if (!key || !set)
		return 0;
	flow = bpf_ringbuf_reserve(&ct_event_v1, sizeof(*flow), 0);
	if (!flow)
		return ct_drop(CT_DROP_EVENT_LOST);
	ct_flow_fill(flow, conn, key, word, family);
	flow->type = type;
	flow->tick = ct_now(set);
	bpf_ringbuf_submit(flow, 0);
	return 0;
}

__noinline int ct_emit4(const struct ct_conn4 *conn, const union ct_key *key, __u64 word,
			__u32 type)
{
	return conn ? ct_emit_body(&conn->c, key, word, type, 4) : 0;
}

__noinline int ct_emit6(const struct ct_conn6 *conn, const union ct_key *key, __u64 word,
			__u32 type)
{
	return conn ? ct_emit_body(&conn->c, key, word, type, 6) : 0;
}

/* No reader of a type costs one load and one test. A full ring loses the event
 * and says so; nothing that is owned depends on an event (DESIGN 2). */
static __always_inline void ct_event(const struct ct_settings *set, const struct ct_conn *conn,
				     const union ct_key *key, __u64 word, __u8 family, __u32 type)
{
	if (!(set->event_mask & (1u << type)))
		return;
	if (family == 4)
		ct_emit4((const struct ct_conn4 *)conn, key, word, type);
	else
		ct_emit6((const struct ct_conn6 *)conn, key, word, type);
}

#endif
