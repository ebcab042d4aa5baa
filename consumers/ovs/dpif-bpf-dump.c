// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Flows and their statistics, as Open vSwitch reads them. */
#include "dpif-bpf.h"

#include <errno.h>

#include "odp-util.h"
#include "timeval.h"

#define BATCH	   50	/* dpif's FLOW_DUMP_MAX_BATCH */
#define FLOW_BYTES 4096 /* of attributes of one flow; more is made if need be */

struct dump {
	struct dpif_flow_dump up;
	struct ovs_mutex lock;
	uint32_t next; /* slot */
};

struct dump_thread {
	struct dpif_flow_dump_thread up;
	struct dump *dump;
	struct ofpbuf buf[BATCH];
};

/* The datapath has jiffies, dpif wants CLOCK_MONOTONIC in ms; both clocks are read at most once
 * in a second, as they go alike. */
static long long int used_ms(struct dp_bpf *dp, uint64_t jiffies)
{
	static thread_local struct {
		long long int read, ms;
		uint64_t jiffies;
	} both;
	struct ct_control req = {.op = CT_CONTROL_CLOCK};
	uint32_t hz = dp->core.pins.settings->hz;

	if (!jiffies)
		return 0;
	if (!both.jiffies || time_msec() - both.read > 1000 || jiffies > both.jiffies + 10 * hz) {
		if (bpfct_control(&dp->core.pins, &req))
			return 0;
		both.read = time_msec();
		both.ms = req.ktime_ns / 1000000;
		both.jiffies = req.jiffies;
	}
	return both.ms - (long long int)(both.jiffies - jiffies) * 1000 / hz;
}

void dp_bpf_flow_stats(struct dp_bpf *dp, const struct ovs_flow *f, struct dpif_flow_stats *s)
{
	memset(s, 0, sizeof(*s));
	s->n_packets = __atomic_load_n(&f->packets, __ATOMIC_RELAXED);
	s->n_bytes = __atomic_load_n(&f->bytes, __ATOMIC_RELAXED);
	s->used = used_ms(dp, f->used);
	s->tcp_flags = f->tcp_flags;
}

static const struct ovs_cookie *cookie_get(void *arg, uint32_t index)
{
	return dp_store_get(arg, index);
}

/* With flow_lock: the cookies are in the store. */
static void put_actions(struct dp_bpf *dp, const struct ovs_flow *f, struct ofpbuf *buf)
{
	const struct dp_cookies cookies = {.get = cookie_get, .arg = &dp->cookies};
	const struct ovs_action *a[OVS_FLOW_ACTIONS];
	uint32_t n = MIN(f->n_actions, OVS_FLOW_ACTIONS);

	for (uint32_t i = 0; i < n; i++)
		a[i] = &dp->action[f->action[i] < dp->n_actions ? f->action[i] : 0];
	dp_actions_to_nlattrs(a, n, &cookies, buf);
}

void dp_bpf_flow_fill(struct dp_bpf *dp, const struct ovs_flow *f, struct ofpbuf *buf,
		      struct dpif_flow *out)
{
	struct ofpbuf mask;
	size_t key_at, mask_at, actions_at;

	memset(out, 0, sizeof(*out));
	ofpbuf_init(&mask, FLOW_BYTES);
	key_at = buf->size;
	dp_key_to_nlattrs(&f->key, &dp->mask[f->mask], buf, &mask);
	out->key_len = buf->size - key_at;
	mask_at = buf->size;
	out->mask_len = mask.size;
	ofpbuf_put(buf, mask.data, mask.size);
	ofpbuf_uninit(&mask);
	actions_at = buf->size;
	put_actions(dp, f, buf);
	out->actions_len = buf->size - actions_at;
	out->key = ofpbuf_at(buf, key_at, 0);
	out->mask = ofpbuf_at(buf, mask_at, 0);
	out->actions = ofpbuf_at(buf, actions_at, 0);
	memcpy(&out->ufid, f->ufid, sizeof(out->ufid));
	out->ufid_present = true;
	out->pmd_id = PMD_ID_NULL;
	out->attrs.dp_layer = "ovs"; /* what `dump-flows type=ovs` asks for */
	dp_bpf_flow_stats(dp, f, &out->stats);
}

struct dpif_flow_dump *dp_bpf_dump_create(const struct dpif *dpif, bool terse,
					  struct dpif_flow_dump_types *types)
{
	struct dump *d = xzalloc(sizeof(*d));

	dpif_flow_dump_init(&d->up, dpif);
	d->up.terse = terse;
	ovs_mutex_init(&d->lock);
	/* Who asks for what a network card has taken over gets nothing. */
	d->next = types && !types->ovs_flows ? UINT32_MAX : OVS_EXECS;
	return &d->up;
}

int dp_bpf_dump_destroy(struct dpif_flow_dump *dump)
{
	struct dump *d = CONTAINER_OF(dump, struct dump, up);

	ovs_mutex_destroy(&d->lock);
	free(d);
	return 0;
}

struct dpif_flow_dump_thread *dp_bpf_dump_thread_create(struct dpif_flow_dump *dump)
{
	struct dump_thread *t = xzalloc(sizeof(*t));

	dpif_flow_dump_thread_init(&t->up, dump);
	t->dump = CONTAINER_OF(dump, struct dump, up);
	for (int i = 0; i < BATCH; i++)
		ofpbuf_init(&t->buf[i], 0);
	return &t->up;
}

void dp_bpf_dump_thread_destroy(struct dpif_flow_dump_thread *thread)
{
	struct dump_thread *t = CONTAINER_OF(thread, struct dump_thread, up);

	for (int i = 0; i < BATCH; i++)
		ofpbuf_uninit(&t->buf[i]);
	free(t);
}

/* Slots of live flows that no other thread of the dump has. */
static int take_slots(struct dp_bpf *dp, struct dump *d, uint32_t *slot, int max)
{
	int n = 0;

	ovs_mutex_lock(&d->lock);
	for (; n < max && d->next < dp->n_flows; d->next++)
		if (__atomic_load_n(&dp->flow[d->next].live, __ATOMIC_ACQUIRE))
			slot[n++] = d->next;
	ovs_mutex_unlock(&d->lock);
	return n;
}

int dp_bpf_dump_next(struct dpif_flow_dump_thread *thread, struct dpif_flow *flows, int max)
{
	struct dump_thread *t = CONTAINER_OF(thread, struct dump_thread, up);
	struct dp_bpf *dp = dp_bpf_of(thread->dpif);
	uint32_t slot[BATCH];
	int n = take_slots(dp, t->dump, slot, MIN(max, BATCH)), i, out = 0;

	ovs_mutex_lock(&dp->flow_lock);
	for (i = 0; i < n; i++) {
		const struct ovs_flow *f = &dp->flow[slot[i]];

		if (!__atomic_load_n(&f->live, __ATOMIC_ACQUIRE))
			continue;
		ofpbuf_clear(&t->buf[out]);
		dp_bpf_flow_fill(dp, f, &t->buf[out], &flows[out]);
		out++;
	}
	ovs_mutex_unlock(&dp->flow_lock);
	/* 0 ends the dump: not before the end of the table. */
	return out || !n ? out : dp_bpf_dump_next(thread, flows, max);
}
