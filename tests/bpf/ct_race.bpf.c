// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Two CPUs meet at every step and then do each its own thing to one tuple. The
 * packets are descriptors made here: no bytes are read. */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct_path.h"
#include "../../bpf/ct/ct_control.h"
#include "ct_race.h"

CT_MAP(race_conf_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct race_conf);
CT_MAP(race_cpu_v1, BPF_MAP_TYPE_ARRAY, 2, __u32, struct race_cpu);

CT_MAP(race_out_v1, BPF_MAP_TYPE_ARRAY, 2 * RACE_TUPLES, __u32, struct race_out);

struct race_sync {
	__u64 at[2][8]; /* a cache line each: the step that the CPU has come to */
};
CT_MAP(race_sync_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct race_sync);

/* The request of one CPU's ct_control; nothing else runs on that CPU meanwhile. */
CT_MAP(race_req_v1, BPF_MAP_TYPE_PERCPU_ARRAY, 1, __u32, struct ct_control);

#define RACE_SPINS 20000
#define RACE_ALONE 64
#define RACE_TRIES 4 /* of a deletion that a packet comes between */

struct race_wait {
	__u64 step;
	__u32 other;
	__u32 met;
};

static long race_spin(__u32 i, struct race_wait *w)
{
	__u32 zero = 0;
	struct race_sync *s = bpf_map_lookup_elem(&race_sync_v1, &zero);

	if (!s)
		return 1;
	w->met = *(volatile __u64 *)&s->at[w->other & 1][0] >= w->step;
	return w->met;
}

static long race_idle(__u32 i, void *unused)
{
	return 0;
}

/* Waits until the other CPU is at this step too, but not for long: it may have
 * been given to someone else. */
__noinline int race_meet(struct race_cpu *c, __u32 cpu, __u32 jitter)
{
	struct race_wait w = {.other = !cpu};
	__u32 zero = 0;
	struct race_sync *s = bpf_map_lookup_elem(&race_sync_v1, &zero);

	if (!s || !c)
		return 0;
	w.step = c->step;
	*(volatile __u64 *)&s->at[cpu & 1][0] = c->step;
	if (c->alone) {
		c->alone--;
		return 0;
	}
	bpf_loop(RACE_SPINS, race_spin, &w, 0);
	if (w.met)
		c->together++;
	else
		c->alone = RACE_ALONE;
	bpf_loop(bpf_get_prandom_u32() & ((1u << (jitter & 15)) - 1), race_idle, NULL, 0);
	return w.met;
}

static __always_inline void race_addr(__be32 *a, __u32 family, __u32 host)
{
	if (family == 4) {
		a[0] = bpf_htonl(host);
		return;
	}
	a[0] = bpf_htonl(0x20010db8);
	a[1] = bpf_htonl(host >> 24);
	a[2] = 0;
	a[3] = bpf_htonl(host);
}

static __always_inline void race_tuple(struct ct_tuple *t, const struct race_conf *conf, __u32 way,
				       __u32 index)
{
	__u32 from = 0x0a000001 + index, to = RACE_SERVER;
	__be16 sport = bpf_htons(RACE_PORT + index), dport = bpf_htons(443);

	__builtin_memset(t, 0, sizeof(*t));
	t->family = conf->family;
	t->proto = conf->proto;
	if (way == RACE_E_S || way == RACE_S_E)
		from = RACE_EXTERNAL;
	if (way == RACE_S_C || way == RACE_S_E) {
		race_addr(t->saddr, conf->family, to);
		race_addr(t->daddr, conf->family, from);
		t->sport = dport;
		t->dport = sport;
	} else {
		race_addr(t->saddr, conf->family, from);
		race_addr(t->daddr, conf->family, to);
		t->sport = sport;
		t->dport = dport;
	}
}

/* Fills the work area with the packet of one operation. */
__noinline int race_build(const struct race_op *op, __u32 index)
{
	struct ct_work *w = ct_work();
	struct race_conf *conf;
	__u32 zero = 0;

	conf = bpf_map_lookup_elem(&race_conf_v1, &zero);
	if (!w || !conf || !op)
		return 0;
	__builtin_memset(&w->pkt, 0, sizeof(w->pkt));
	__builtin_memset(&w->args, 0, sizeof(w->args));
	race_tuple(&w->pkt.tuple, conf, op->way, index);
	w->pkt.len = 60;
	w->pkt.l3_off = 14;
	w->pkt.l4_off = 34;
	w->pkt.l4_len = 40;
	w->pkt.ttl = 64;
	w->pkt.tcp_flags = op->tcp_flags;
	w->pkt.tcp_seq = op->seq;
	w->pkt.tcp_ack = op->ack;
	w->pkt.tcp_win = 64000;
	w->args.set_label = op->label;
	w->args.label[0] = op->label;
	w->args.inside = op->way == RACE_C_S || op->way == RACE_E_S;
	if (op->nat) {
		w->args.nat.flags = CT_NAT_SRC;
		race_addr(w->args.nat.src.addr_min, conf->family, RACE_EXTERNAL);
		race_addr(w->args.nat.src.addr_max, conf->family, RACE_EXTERNAL);
	}
	return 0;
}

static __always_inline void race_key(union ct_key *key, const struct ct_tuple *t)
{
	if (t->family == 4)
		ct_key4_make(&key->k4, t, 0);
	else
		ct_key6_make(&key->k6, t, 0);
}

/* ctctl -D of the work area's tuple. */
__noinline int race_delete(void)
{
	const struct ct_settings *set = ct_settings();
	struct ct_work *w = ct_work();
	union ct_key key = {};
	struct ct_control *req;
	__u32 zero = 0;
	int v, i;

	req = bpf_map_lookup_elem(&race_req_v1, &zero);
	if (!w || !set || !req)
		return 0;
	race_key(&key, &w->pkt.tuple);
	req->op = CT_CONTROL_DELETE;
	req->gen = 0;
	for (i = 0; i < RACE_TRIES; i++) {
		if (w->pkt.tuple.family == 4)
			v = ct_control_on(set, req, &key, 4);
		else
			v = ct_control_on(set, req, &key, 6);
		/* A loop must not begin where a call returns: "back-edge" (Linux 6.1). */
		asm volatile("%0 += 0" : "+r"(v));
		if (v != -EAGAIN)
			break;
	}
	return 0;
}

/* ctctl -I of the work area's tuple, untranslated. Its key is in the work area too: on the
 * stack it would not fit Linux 6.1's. */
__noinline int race_create(void)
{
	const struct ct_settings *set = ct_settings();
	struct ct_work *w = ct_work();
	struct ct_control *req;
	__u32 zero = 0, hi;
	struct ct_tuple *t;
	union ct_key *key;
	int v;

	req = bpf_map_lookup_elem(&race_req_v1, &zero);
	if (!w || !set || !req)
		return 0;
	t = &w->pkt.tuple;
	key = &w->res.key;
	__builtin_memset(key, 0, sizeof(*key));
	hi = t->family == 4 ? ct_key4_make(&key->k4, t, 0) : ct_key6_make(&key->k6, t, 0);
	__builtin_memset(&req->flow, 0, sizeof(req->flow));
	req->op = CT_CONTROL_CREATE;
	req->flow.c.word = hi ? CT_W_ORIG_HI : 0;
	req->flow.c.expires = 30;
	req->flow.c.reply_sport = t->dport;
	req->flow.c.reply_dport = t->sport;
	if (t->family == 4) {
		req->flow.conn4.reply_saddr = t->daddr[0];
		req->flow.conn4.reply_daddr = t->saddr[0];
		v = ct_control_create(set, req, key, 4);
	} else {
		__builtin_memcpy(req->flow.conn6.reply_saddr, t->daddr, 16);
		__builtin_memcpy(req->flow.conn6.reply_daddr, t->saddr, 16);
		v = ct_control_create(set, req, key, 6);
	}
	return v;
}

/* The sweep on the work area's tuple. */
__noinline int race_visit(void)
{
	const struct ct_settings *set = ct_settings();
	struct ct_work *w = ct_work();
	union ct_key key = {};

	if (!w || !set)
		return 0;
	race_key(&key, &w->pkt.tuple);
	if (w->pkt.tuple.family == 4) {
		struct ct_conn4 *c4 = bpf_map_lookup_elem(&ct_conn4_v1, &key.k4);

		return c4 ? ct_visit_entry(&c4->c, &key, ct_now(set), 4) : 0;
	} else {
		struct ct_conn6 *c6 = bpf_map_lookup_elem(&ct_conn6_v1, &key.k6);

		return c6 ? ct_visit_entry(&c6->c, &key, ct_now(set), 6) : 0;
	}
}

__noinline int race_age(__u32 jiffies)
{
	__u32 zero = 0;
	struct ct_settings *set = bpf_map_lookup_elem(&ct_settings_v1, &zero);

	if (set)
		__sync_fetch_and_add(&set->clock_offset, jiffies);
	return 0;
}

/* Notes that this step of the round happened in step, and that its packet passed. */
__noinline int race_note(__u32 cpu, __u32 index, __u32 step, int met, int passed)
{
	__u32 at = (cpu & 1) * RACE_TUPLES + index;
	struct race_out *out = bpf_map_lookup_elem(&race_out_v1, &at);

	if (!out)
		return 0;
	if (!step)
		out->met = out->passed = 0;
	out->met |= !!met << (step & 7);
	out->passed |= !!passed << (step & 7);
	return 0;
}

SEC("tc")
int race(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0, index, kind;
	struct ct_work *w = ct_work();
	struct race_conf *conf;
	struct race_cpu *c;
	struct race_op *op;
	__u32 step;
	int v, met;

	c = bpf_map_lookup_elem(&race_cpu_v1, &cpu);
	conf = bpf_map_lookup_elem(&race_conf_v1, &zero);
	if (!c || !conf || !w || !c->steps || !conf->tuples)
		return TC_ACT_OK;
	met = race_meet(c, cpu, conf->jitter);
	index = c->step / c->steps % conf->tuples;
	step = c->step % c->steps & (RACE_STEPS - 1);
	op = &c->op[step];
	c->step++;
	kind = op->kind;
	race_note(cpu, index, step, met, kind == RACE_NONE);
	if (kind == RACE_NONE)
		return TC_ACT_OK;
	race_build(op, index);
	/* A second does not pass within a run of a program that began before it:
	 * so the clock is only moved when the other CPU is where we are. */
	if ((kind == RACE_AGE || kind == RACE_AGE_VISIT) && !met)
		return TC_ACT_OK;
	if (kind == RACE_AGE || kind == RACE_AGE_VISIT)
		race_age(op->age);
	if (kind == RACE_DELETE || kind == RACE_REPLACE)
		race_delete();
	if (kind == RACE_VISIT || kind == RACE_AGE_VISIT)
		race_visit();
	if (kind == RACE_CREATE)
		race_create();
	if (kind != RACE_PACKET && kind != RACE_REPLACE)
		return TC_ACT_OK;
	c->packets++;
	v = ct_lookup(skb, &w->pkt, &w->res);
	if (v == CT_NEW && !op->commit)
		return TC_ACT_OK;
	race_note(cpu, index, step, met, op->commit ? v == CT_NEW : v > 0);
	if (v == CT_NEW || (v > 0 && op->label))
		v = ct_commit(skb, &w->pkt, &w->res, &w->args);
	if (v < 0) {
		ct_drop(-v);
		c->refused++;
	} else {
		c->passed++;
	}
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
