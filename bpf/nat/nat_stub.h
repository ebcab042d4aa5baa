/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_STUB_H
#define BPFCT_NAT_STUB_H

#include "../ct/ct_entry.h"
#include "../ct/ct_word.h"
#include "nat_use.h"

/*
 * The second key of a translated connection: how it is made from the record, and how the
 * stub under it goes. nat_claim.h says how it comes.
 */

/* The key of the reply tuple, canonical. */
static __always_inline int ct_reply_key4_body(union ct_key *out, const struct ct_conn4 *conn,
					      const union ct_key *key)
{
	struct ct_tuple t = {};

	t.family = 4;
	t.sport = conn->c.reply_sport;
	t.dport = conn->c.reply_dport;
	t.saddr[0] = conn->reply_saddr;
	t.daddr[0] = conn->reply_daddr;
	t.zone = key->k4.zone;
	t.proto = key->k4.proto;
	return ct_key4_make(&out->k4, &t, 1);
}

__noinline int ct_reply_key4(union ct_key *out, const struct ct_conn4 *conn,
			     const union ct_key *key)
{
	return out && conn && key ? ct_reply_key4_body(out, conn, key) : 0;
}

/* As ct_key6_make() of the reply tuple, without the tuple: the deepest stacks of all
 * end here. */
__noinline int ct_reply_key6(union ct_key *out, const struct ct_conn6 *conn,
			     const union ct_key *key)
{
	__be16 sport, dport;
	struct ct_key6 *k;
	int c, icmp, src;

	if (!out || !conn || !key)
		return 0;
	k = &out->k6;
	sport = conn->c.reply_sport;
	dport = conn->c.reply_dport;
	icmp = key->k6.proto == IPPROTO_ICMPV6;
	c = ct_addr6_cmp(conn->reply_saddr, conn->reply_daddr);
	src = icmp || c > 0 || (c == 0 && sport > dport);
	k->zone = key->k6.zone;
	k->proto = key->k6.proto;
	k->pad = 0;
	k->port[0] = src && !icmp ? dport : sport;
	k->port[1] = src && !icmp ? sport : dport;
	if (src) {
		__builtin_memcpy(k->addr[0], conn->reply_daddr, 16);
		__builtin_memcpy(k->addr[1], conn->reply_saddr, 16);
	} else {
		__builtin_memcpy(k->addr[0], conn->reply_saddr, 16);
		__builtin_memcpy(k->addr[1], conn->reply_daddr, 16);
	}
	return src;
}

static __always_inline void ct_reply_key(union ct_key *out, const struct ct_conn *conn,
					 const union ct_key *key, __u8 family)
{
	if (family == 4)
		ct_reply_key4(out, (const struct ct_conn4 *)conn, key);
	else
		ct_reply_key6(out, (const struct ct_conn6 *)conn, key);
}

/* Ends a stub: 1 to who cleared its generation and has to delete it now, with what it held. */
static __always_inline int ct_stub_end(struct ct_stub *s, __u32 gen, __u32 *nat)
{
	const struct ct_settings *set = ct_settings();

	if (!set || *(volatile __u32 *)&s->gen != gen)
		return 0;
	*(volatile __u32 *)&s->born = ct_now(set);
	if (__sync_val_compare_and_swap(&s->gen, gen, 0) != gen)
		return 0;
	nat[0] = s->nat;
	nat[1] = s->nat_in;
	return 1;
}

/* Takes the stub out of its map. 1 to who did it, with what it held in nat[]. */
static __always_inline int ct_stub_out4(const struct ct_key4 *tuple, const struct ct_key4 *key,
					__u32 gen, __u32 *nat)
{
	struct ct_key4 at = *tuple;
	struct ct_stub4 *s = bpf_map_lookup_elem(&ct_stub4_v1, &at);

	if (!s || s->conn.addr[0] != key->addr[0] || s->conn.addr[1] != key->addr[1])
		return 0;
	return ct_stub_end(&s->s, gen, nat) && !bpf_map_delete_elem(&ct_stub4_v1, &at);
}

static __always_inline int ct_stub_out6(__u64 at, const struct ct_key6 *key, __u32 gen, __u32 *nat)
{
	struct ct_stub6 *s = bpf_map_lookup_elem(&ct_stub6_v1, &at);

	if (!s || ct_addr6_cmp(s->conn.addr[0], key->addr[0]))
		return 0;
	return ct_stub_end(&s->s, gen, nat) && !bpf_map_delete_elem(&ct_stub6_v1, &at);
}

/* It is out: not counted any more, and what it held goes back. */
static __always_inline void ct_stub_gone(const __u32 *nat, __u16 zone, __u8 family)
{
	struct ct_table *tab = ct_table(family);

	if (tab)
		ct_add(&tab->stubs, -1);
	/* In place: the deepest stacks of all end here. */
	if (nat[0])
		nat_give_ref(nat[0], zone);
	if (nat[1])
		nat_give_ref(nat[1], zone);
}

/* Removes the stub under skey if it leads to this life of this connection, and gives
 * back what it held. Its generation goes first, so that nobody takes over what is
 * about to go; born says since when: who meets it leaves it alone as long as we may be
 * on our way (nat_stub_left). */
__noinline int ct_stub_drop(const union ct_key *skey, const union ct_key *key, __u32 gen,
			    __u8 family)
{
	__u32 nat[2] = {}; /* or clang keeps what no verifier lets it read */
	int out;

	if (!skey || !key)
		return 0;
	if (family == 4)
		out = ct_stub_out4(&skey->k4, &key->k4, gen, nat);
	else
		out = ct_stub_out6(ct_stub6_hash(&skey->k6), &key->k6, gen, nat);
	if (out)
		ct_stub_gone(nat, family == 4 ? key->k4.zone : key->k6.zone, family);
	return out;
}

#endif
