// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The maintenance side: sweep and dump iterators, and the control program.
 * Loaded by ctd; what is pinned of it lets ctctl work with ctd dead. */
#include "lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "ct/ct_alg_take.h"
#include "ct/ct_control.h"
#include "ct/ct_dump.h"
#include "ct/ct_sweep.h"
#include "nat/nat_sweep.h"
#include "frag/frag_sweep.h"

/* Contexts of iter/bpf_map_elem programs; the kernel's types, by their names. */
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __attribute__((preserve_access_index));

struct bpf_map;
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} __attribute__((preserve_access_index));

/* A byte of output ends ctd's read(), so that a walk over a million entries does
 * not keep ctd from its other duties; the next read() goes on from here. */
static __always_inline void sweep_yield(struct bpf_iter_meta *meta)
{
	__u8 byte = 0;

	if ((meta->seq_num & 4095) == 4095)
		bpf_seq_write(meta->seq, &byte, 1);
}

/* The entry's key on the stack. 0: the walk is over. */
static __always_inline int iter_key(const void *at, union ct_key *key, __u8 family)
{
	if (!at)
		return 0;
	__builtin_memset(key, 0, sizeof(*key));
	if (family == 4)
		key->k4 = *(const struct ct_key4 *)at;
	else
		key->k6 = *(const struct ct_key6 *)at;
	return 1;
}

static __always_inline int sweep_conn(struct bpf_iter__bpf_map_elem *ctx, struct ct_conn *conn,
				      __u8 family)
{
	const struct ct_settings *set = ct_settings();
	const void *at = ctx->key;
	union ct_key key;
	__u32 now;

	if (!conn || !set)
		return 0;
	sweep_yield(ctx->meta);
	ct_stat(CT_STAT_SWEEP_SEEN);
	now = ct_now(set);
	if (ct_alive(conn, ct_word(conn), now))
		return 0;
	if (iter_key(at, &key, family))
		ct_visit_entry(conn, &key, now, family);
	return 0;
}

SEC("iter/bpf_map_elem")
int ct_sweep4(struct bpf_iter__bpf_map_elem *ctx)
{
	return sweep_conn(ctx, ctx->value, 4);
}

SEC("iter/bpf_map_elem")
int ct_sweep6(struct bpf_iter__bpf_map_elem *ctx)
{
	return sweep_conn(ctx, ctx->value, 6);
}

/* Stubs go with their records; these passes find what a lost race left behind:
 * a stub whose record is gone, or lives another life, for longer than a commit
 * could take. 1: it has to go. */
static __always_inline int sweep_stub(struct bpf_iter__bpf_map_elem *ctx, const union ct_key *to,
				      const struct ct_stub *stub, __u32 gen, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_conn *conn;

	if (!set)
		return 0;
	sweep_yield(ctx->meta);
	conn = ct_conn_at(to, family);
	if (conn && ct_w_gen(ct_word(conn)) == gen)
		return 0;
	return !ct_before(ct_now(set), stub->born + ct_ticks(set, 3 * NAT_STUB_GRACE_SECS));
}

SEC("iter/bpf_map_elem")
int ct_stub_sweep4(struct bpf_iter__bpf_map_elem *ctx)
{
	const struct ct_stub4 *stub = ctx->value;
	union ct_key to = {}, skey;
	__u32 gen;

	if (!stub || !iter_key(ctx->key, &skey, 4))
		return 0;
	to.k4 = stub->conn;
	gen = stub->s.gen;
	if (sweep_stub(ctx, &to, &stub->s, gen, 4) && ct_stub_drop(&skey, &to, gen, 4))
		ct_stat(CT_STAT_STUB_REPAIRED);
	return 0;
}

SEC("iter/bpf_map_elem")
int ct_stub_sweep6(struct bpf_iter__bpf_map_elem *ctx)
{
	const struct ct_stub6 *stub = ctx->value;
	const __u64 *at = ctx->key;
	union ct_key to = {};
	__u32 gen, nat[2] = {};
	__u64 hash;

	if (!stub || !at)
		return 0;
	hash = *at;
	to.k6 = stub->conn;
	gen = stub->s.gen;
	if (sweep_stub(ctx, &to, &stub->s, gen, 6) && ct_stub_out6(hash, &to.k6, gen, nat)) {
		ct_stub_gone(nat, to.k6.zone, 6);
		ct_stat(CT_STAT_STUB_REPAIRED);
	}
	return 0;
}

SEC("iter/bpf_map_elem")
int nat_sweep_bound(struct bpf_iter__bpf_map_elem *ctx)
{
	const struct ct_settings *set = ct_settings();
	const struct nat_bound *bound = ctx->value;
	struct nat_bound_key *at = ctx->key, key;

	if (!at || !bound || !set)
		return 0;
	sweep_yield(ctx->meta);
	key = *at;
	nat_visit_bound(set, &key, bound);
	return 0;
}

SEC("iter/bpf_map_elem")
int nat_sweep_sub(struct bpf_iter__bpf_map_elem *ctx)
{
	const struct ct_settings *set = ct_settings();
	struct nat_sub_key *at = ctx->key, key;
	struct nat_sub *sub = ctx->value;

	if (!at || !sub || !set)
		return 0;
	sweep_yield(ctx->meta);
	key = *at;
	nat_visit_sub(set, &key, sub);
	return 0;
}

/* Writes struct frag_expired for each datagram whose sender is to be told. */
SEC("iter/bpf_map_elem")
int frag_sweep(struct bpf_iter__bpf_map_elem *ctx)
{
	struct frag_expired_head head = {};
	struct frag_chunk *c;
	__u32 *at = ctx->key, slot;

	if (!at)
		return 0;
	slot = *at;
	c = frag_visit(slot, &head);
	if (!c)
		return 0;
	bpf_seq_write(ctx->meta->seq, &head, sizeof(head));
	bpf_seq_write(ctx->meta->seq, c->data, FRAG_QUOTE);
	frag_finish(slot, FRAG_HOLDING, CT_DROP_FRAG_TIMEOUT);
	return 0;
}

static __always_inline int dump_conn(struct bpf_iter__bpf_map_elem *ctx, const struct ct_conn *conn,
				     __u8 family)
{
	const struct ct_settings *set = ct_settings();
	const void *at = ctx->key;
	struct ct_flow flow;
	union ct_key key;
	__u64 word;

	if (!conn || !set || !iter_key(at, &key, family))
		return 0;
	word = ct_word(conn);
	ct_flow_fill(&flow, conn, &key, word, family);
	if (!ct_dump_whole(at, &key, conn, word, family))
		return 0;
	flow.type = 0;
	flow.tick = ct_now(set);
	bpf_seq_write(ctx->meta->seq, &flow, sizeof(flow));
	return 0;
}

SEC("iter/bpf_map_elem")
int ct_dump4(struct bpf_iter__bpf_map_elem *ctx)
{
	return dump_conn(ctx, ctx->value, 4);
}

SEC("iter/bpf_map_elem")
int ct_dump6(struct bpf_iter__bpf_map_elem *ctx)
{
	return dump_conn(ctx, ctx->value, 6);
}

SEC("syscall")
int ct_sweep_listed(struct ct_sweep_req *req)
{
	return req->family == 4 ? ct_sweep_listed_body(req, 4) : ct_sweep_listed_body(req, 6);
}

SEC("syscall")
int ct_control(struct ct_control *req)
{
	const struct ct_settings *set = ct_settings();
	union ct_key key = {};

	req->jiffies = bpf_jiffies64();
	req->ktime_ns = bpf_ktime_get_ns();
	req->result = -EINVAL;
	if (!set)
		return 0;
	if (req->op == CT_CONTROL_CLOCK) {
		req->result = 0;
		return 0;
	}
	if (req->flow.family == 4) {
		key.k4 = req->flow.key4;
		if (req->op == CT_CONTROL_CREATE)
			req->result = ct_control_create(set, req, &key, 4);
		else if (req->op == CT_CONTROL_DELETE || req->op == CT_CONTROL_UPDATE)
			req->result = ct_control_on(set, req, &key, 4);
	} else if (req->flow.family == 6) {
		key.k6 = req->flow.key6;
		if (req->op == CT_CONTROL_CREATE)
			req->result = ct_control_create(set, req, &key, 6);
		else if (req->op == CT_CONTROL_DELETE || req->op == CT_CONTROL_UPDATE)
			req->result = ct_control_on(set, req, &key, 6);
	}
	return 0;
}

/* What a helped connection needs after a restart of ctd, who alone reads and writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CT_ALG_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_label_key);
	__type(value, struct alg_keep);
} ct_algsess_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ALG_KEEPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_label_key);
	__type(value, struct alg_big);
} ct_algbig_v1 SEC(".maps");

/* Ingress of the execute device. */
SEC("tc")
int ct_execute(struct __sk_buff *skb)
{
	int v = alg_execute(skb);

	if (v >= 0)
		return v;
	ct_drop(-v);
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
