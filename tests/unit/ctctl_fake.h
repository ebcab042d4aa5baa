/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_CTCTL_FAKE_H
#define BPFCT_TESTS_CTCTL_FAKE_H

/*
 * An instance without BPF: what userspace/lib/pins.c does, over an array of
 * flows. The linker takes these functions and leaves pins.o in its archive.
 * Include once, in a test program that runs ctctl.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "userspace/ctctl/ct_cmd.h"
#include "userspace/lib/nat_maps.h"

#define FAKE_FLOWS	 64
#define FAKE_TICK	 1000000u
#define FAKE_HZ		 250u
#define FAKE_TICKS(secs) (((uint64_t)(secs)*FAKE_HZ + 31) / 32) /* up, as ct_ticks() */

static struct fake {
	struct ct_flow flow[FAKE_FLOWS];
	int flows;
	bool missing; /* no such instance */
	int controls; /* requests seen */
	int busy;     /* answer the next so many with -EAGAIN */
	int gone;     /* and then so many with -ENOENT */
	struct ct_control last;
	struct ct_settings settings;
	struct ct_timeouts timeouts[256];
	struct ct_table table[2];
	struct frag_table frag;
	struct ct_expect_state expect;
	struct ct_zone zone[65536];
	/* NAT: pools 1 to 4, one external address; a test fills in what it wants */
	struct nat_config nat_config;
	struct nat_pool nat_pool[1 + NAT_CLASSES];
	struct nat_head nat_head[2 * (1 + NAT_CLASSES)];
	uint32_t nat_ring[16 * (1 + NAT_CLASSES)];
	uint32_t nat_use[NAT_AREA];
	struct nat_reserved nat_reserved[2 * NAT_CLASSES];
} fake;

static inline void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.settings.hz = FAKE_HZ;
}

int bpfct_pins_open(struct bpfct_pins *p, const char *instance, bool writable, char *err,
		    size_t errlen)
{
	(void)writable;
	memset(p, 0, sizeof(*p));
	if (fake.missing) {
		snprintf(err, errlen, "no instance '%s'", instance);
		return -ENOENT;
	}
	p->settings = &fake.settings;
	p->timeouts = fake.timeouts;
	p->table = fake.table;
	p->frag = &fake.frag;
	p->expect = &fake.expect;
	p->zone = fake.zone;
	p->stat_fd = p->drop_fd = p->frag_stat_fd = p->expect_fd = -1; /* empty */
	return 0;
}

void bpfct_pins_close(struct bpfct_pins *p)
{
	(void)p;
}

int nat_maps_open(struct nat_maps *m, const struct bpfct_pins *p, bool writable)
{
	(void)p, (void)writable;
	*m = (struct nat_maps){.config = &fake.nat_config,
			       .pool = fake.nat_pool,
			       .head = fake.nat_head,
			       .ring = fake.nat_ring,
			       .use = fake.nat_use,
			       .reserved = fake.nat_reserved,
			       .pools = 1 + NAT_CLASSES,
			       .areas = 1,
			       .ring_room = 16,
			       .heads = 2};
	return 0;
}

void nat_maps_close(struct nat_maps *m)
{
	(void)m;
}

uint64_t nat_maps_tuples(const struct nat_maps *m, uint32_t index)
{
	const struct nat_head *h = &m->head[m->pool[index].head_base];

	return h[0].claimed + h[1].claimed - h[0].released - h[1].released;
}

int bpfct_dump(struct bpfct_pins *p, int family, bpfct_flow_fn fn, void *arg)
{
	int ret = 0;

	(void)p;
	for (int i = 0; i < fake.flows && !ret; i++) {
		struct ct_flow copy = fake.flow[i];

		copy.tick = FAKE_TICK;
		if (copy.family == family)
			ret = fn(&copy, arg);
	}
	return ret;
}

static inline struct ct_flow *fake_find(const struct ct_flow *want)
{
	for (int i = 0; i < fake.flows; i++)
		if (fake.flow[i].family == want->family &&
		    !memcmp(&fake.flow[i].key6, &want->key6, sizeof(want->key6)))
			return &fake.flow[i];
	return NULL;
}

/* ct_control as ct_event.h describes it. */
static inline int fake_create(const struct ct_flow *flow)
{
	struct ct_flow *f;

	if (fake_find(flow))
		return -EEXIST;
	assert_true(fake.flows < FAKE_FLOWS);
	f = &fake.flow[fake.flows++];
	*f = *flow;
	f->c.word |= CT_W_LIFE(CT_LIFE_CONFIRMED) | CT_W_GEN(fake.flows);
	f->c.expires = FAKE_TICK + FAKE_TICKS(flow->c.expires);
	f->c.start = FAKE_TICK;
	return 0;
}

static inline void fake_update(struct ct_flow *f, const struct ct_control *req)
{
	if (req->set & CT_SET_MARK)
		f->c.mark = req->flow.c.mark;
	if (req->set & CT_SET_TIMEOUT)
		f->c.expires = FAKE_TICK + FAKE_TICKS(req->flow.c.expires);
	if (req->set & CT_SET_STATUS)
		f->c.word |= CT_W_STATUS(ct_w_status(req->flow.c.word));
	if (req->set & CT_SET_LABEL)
		f->label = req->flow.label;
}

int bpfct_control(struct bpfct_pins *p, struct ct_control *req)
{
	struct ct_flow *f = fake_find(&req->flow);

	(void)p;
	fake.controls++;
	fake.last = *req;
	req->result = 0;
	if (fake.busy > 0) {
		fake.busy--;
		req->result = -EAGAIN;
	} else if (fake.gone > 0) {
		fake.gone--;
		req->result = -ENOENT;
	} else if (req->op == CT_CONTROL_CREATE) {
		req->result = fake_create(&req->flow);
	} else if (!f || (req->gen && ct_w_gen(f->c.word) != req->gen)) {
		req->result = -ENOENT;
	} else if (req->op == CT_CONTROL_DELETE) {
		f->c.word = (f->c.word & ~CT_W_LIFE_MASK) | CT_W_LIFE(CT_LIFE_DYING);
		f->family = 0; /* its node is gone for everyone */
	} else if (req->op == CT_CONTROL_UPDATE) {
		fake_update(f, req);
	}
	return 0;
}

int bpfct_counters(int fd, uint64_t *sum, unsigned int n)
{
	(void)fd;
	for (unsigned int i = 0; i < n; i++)
		sum[i] = i;
	return 0;
}

uint32_t bpfct_now(struct bpfct_pins *p)
{
	(void)p;
	return FAKE_TICK;
}

double bpfct_ticks_to_s(const struct bpfct_pins *p, int32_t ticks)
{
	(void)p;
	return ticks * 32.0 / FAKE_HZ;
}

const char *bpfct_drop_text(unsigned int reason)
{
	return reason < CT_DROP_MAX ? "drop" : NULL;
}

const char *bpfct_stat_text(unsigned int stat)
{
	return stat < CT_STAT_MAX ? "stat" : NULL;
}

/* One run of ctctl; the texts are replaced at the next. */
static struct run {
	int ret;
	char *out;
	char *err;
} run;

static inline int run_ctctl(const char *line)
{
	char *argv[64], *copy = strdup(line), *save = NULL;
	struct ctctl c = {0};
	size_t n;
	int argc = 0;

	for (char *w = strtok_r(copy, " ", &save); w && argc < 63; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	free(run.out);
	free(run.err);
	c.out = open_memstream(&run.out, &n);
	c.err = open_memstream(&run.err, &n);
	run.ret = ctctl_main(&c, argc, argv);
	fclose(c.out);
	fclose(c.err);
	free(copy);
	return run.ret;
}

#endif
