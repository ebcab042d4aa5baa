// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A copy of one family's tables, by batch look-ups. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "check.h"

/* A batch is a number of whole hash buckets; those of a map with a seeded hash
 * and twice as many buckets as entries hold few. */
#define BATCH 4096

typedef int (*entry_fn)(struct check_tables *t, const void *key, const void *value);

static int grow(void **v, size_t n, size_t size)
{
	void *bigger;

	if (n & (n - 1) || (n && n < 1024)) /* full only at 0, 1024, 2048, 4096 ... */
		return 0;
	bigger = realloc(*v, (n ? 2 * n : 1024) * size);
	if (!bigger)
		return -ENOMEM;
	*v = bigger;
	return 0;
}

/* The record under a key, in the form of a flow, as check_*_key() read it. */
static int add_record(struct check_tables *t, const void *key, const void *value)
{
	struct ct_flow flow = {.family = t->family};
	struct check_record *r;
	int ret = grow((void **)&t->rec, t->recs, sizeof(*t->rec));

	if (ret)
		return ret;
	if (t->family == 6) {
		memcpy(&flow.key6, key, sizeof(flow.key6));
		memcpy(&flow.conn6, value, sizeof(flow.conn6));
	} else {
		memcpy(&flow.key4, key, sizeof(flow.key4));
		memcpy(&flow.conn4, value, sizeof(flow.conn4));
	}
	r = &t->rec[t->recs++];
	check_flow_key(&flow, &r->key);
	r->reply_src = check_reply_key(&flow, &r->reply);
	r->word = flow.c.word;
	r->expires = flow.c.expires;
	return 0;
}

static int add_stub(struct check_tables *t, const void *key, const void *value)
{
	const struct ct_stub4 *s4 = value;
	const struct ct_stub6 *s6 = value;
	struct ct_flow flow = {.family = t->family}, conn = flow;
	struct check_stub *s;
	int ret = grow((void **)&t->stub, t->stubs, sizeof(*t->stub));

	if (ret)
		return ret;
	s = &t->stub[t->stubs++];
	if (t->family == 6) {
		memcpy(flow.key6.addr[0], key, sizeof(__u64));
		conn.key6 = s6->conn;
	} else {
		memcpy(&flow.key4, key, sizeof(flow.key4));
		conn.key4 = s4->conn;
	}
	check_flow_key(&flow, &s->key);
	check_flow_key(&conn, &s->conn);
	s->gen = t->family == 6 ? s6->s.gen : s4->s.gen;
	s->born = t->family == 6 ? s6->s.born : s4->s.born;
	return 0;
}

static int read_map(struct check_tables *t, int fd, size_t ksize, size_t vsize, entry_fn fn)
{
	char *keys = malloc(BATCH * ksize), *values = malloc(BATCH * vsize);
	__u32 at[16] = {0}, n; /* room for a key: some maps keep one there */
	bool first = true, last = false;
	int ret = keys && values ? 0 : -ENOMEM;

	while (!ret && !last) {
		n = BATCH;
		if (bpf_map_lookup_batch(fd, first ? NULL : at, at, keys, values, &n, NULL)) {
			last = errno == ENOENT;
			if (!last)
				ret = -errno;
		}
		first = false;
		for (__u32 i = 0; !ret && i < n; i++)
			ret = fn(t, keys + i * ksize, values + i * vsize);
	}
	free(keys);
	free(values);
	return ret;
}

static struct check_counts read_counts(const struct bpfct_pins *p, int family)
{
	volatile struct ct_table *t = &p->table[family == 6];

	return (struct check_counts){t->confirmed, t->half_open, t->nodes, t->stubs};
}

/* Everything that makes any of the counts move. */
static uint64_t read_churn(struct bpfct_pins *p)
{
	static const enum ct_stat moving[] = {CT_STAT_INSERT,	     CT_STAT_INSERT_FAILED,
					      CT_STAT_PROMOTED,	     CT_STAT_DESTROYED,
					      CT_STAT_DELETED,	     CT_STAT_REOPENED,
					      CT_STAT_STUB_REPAIRED, CT_STAT_CLASH_RESOLVE};
	uint64_t sum[CT_STAT_SLOTS] = {0}, n = 0;

	if (bpfct_counters(p->stat_fd, sum, CT_STAT_MAX))
		return 0;
	for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]); i++)
		n += sum[moving[i]];
	return n;
}

int check_read(struct bpfct_pins *p, int family, struct check_tables *t)
{
	int six = family == 6, ret;
	uint64_t churn = read_churn(p);

	*t = (struct check_tables){.family = family, .before = read_counts(p, family)};
	t->grace = 2 * p->settings->hz / 32 + 1;
	memcpy(t->secret, p->settings->secret, sizeof(t->secret));
	ret = read_map(t, p->stub_fd[six], six ? sizeof(__u64) : sizeof(struct ct_key4),
		       six ? sizeof(struct ct_stub6) : sizeof(struct ct_stub4), add_stub);
	if (!ret)
		ret = read_map(t, p->conn_fd[six],
			       six ? sizeof(struct ct_key6) : sizeof(struct ct_key4),
			       six ? sizeof(struct ct_conn6) : sizeof(struct ct_conn4), add_record);
	t->now = bpfct_now(p);
	t->after = read_counts(p, family);
	t->churn = read_churn(p) - churn;
	return ret;
}

void check_free(struct check_tables *t)
{
	free(t->rec);
	free(t->stub);
	t->rec = NULL;
	t->stub = NULL;
}
