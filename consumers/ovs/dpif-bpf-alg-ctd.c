// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * ctd for the helpers of the datapath: a struct ctd that has those of ctd's duties that they
 * need (the reading of payload, expectations, the ports set aside for them, the heartbeat), and
 * what their code asks of the others.
 */
#include "dpif-bpf-alg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/ctd/alg_way.h"
#include "userspace/ctd/control.h"
#include "userspace/ctd/ctd.h"
#include "userspace/ctd/expect.h"
#include "userspace/ctd/expect_port.h"
#include "userspace/ctd/nat_reserve.h"

#define SWEEP_SECS 5

struct helper {
	struct ctd d; /* first: what ctd's code has is a pointer to it */
	struct nat nat;
	struct dp_bpf *dp;
	struct event *stop, *beat;
	unsigned int beats;
};

static struct helper *helper_of(struct ctd *d)
{
	return (struct helper *)d;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	char text[1024], line[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "%s %s", event, text);
	dp_alg_log(level, line);
}

void log_fail(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dp_alg_log(LOG_FAULT, text);
}

/* Nobody listens: there is no control socket. */
void control_broadcast_expect(struct ctd *d, const struct ct_expect_event *ev)
{
	(void)d;
	(void)ev;
}

/* Addresses of a bridge's nat() are not the host's. */
bool nat_is_local(const struct ctd *d, int family, const __be32 addr[4])
{
	(void)d;
	(void)family;
	(void)addr;
	return false;
}

/* The ports that are set aside for expectations are nobody else's; there are no other reasons
 * to reserve any here. */
void nat_reserve_again(struct ctd *d)
{
	static const uint32_t class[] = {NAT_TCP, NAT_UDP};
	struct nat_reserved *reserved = d->nat->m.reserved;
	__u64 word[1024];
	unsigned int i, k;

	for (i = 0; i < sizeof(class) / sizeof(class[0]); i++) {
		memset(word, 0, sizeof(word));
		expect_port_bits(d, class[i], word);
		for (k = 0; k < 1024; k++)
			__atomic_store_n(&reserved[class[i]].word[k], word[k], __ATOMIC_RELEASE);
	}
}

/* The ring is there from the start: a flow may name a helper at any time. */
bool alg_way_wanted(const struct ctd *d)
{
	(void)d;
	return true;
}

/* Who writes flows with ct(alg=ftp) may have servers that connect before they say 200 (pyftpdlib
 * of OVS's own tests): OVS's other datapaths let them. */
bool alg_way_port_at_once(const struct ctd *d)
{
	(void)d;
	return true;
}

int alg_way_open(struct ctd *d)
{
	(void)d;
	return 0;
}

void alg_way_close(struct ctd *d)
{
	(void)d;
}

int alg_way_enter(struct ctd *d, uint32_t mark, struct alg_exec *e)
{
	return dp_alg_enter(helper_of(d)->dp, d->core.pins.algexec_fd, mark, e);
}

int alg_way_send(struct ctd *d, uint32_t mark, uint8_t *frame, size_t len)
{
	return dp_alg_send(helper_of(d)->dp, mark, frame, len);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;

	(void)fd;
	(void)what;
	event_base_loopbreak(h->d.base);
}

/* Payload waits only for a reader whose heart beats. */
static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;
	struct ct_control req = {.op = CT_CONTROL_CLOCK};
	struct bpfct_pins *p = &h->d.core.pins;

	(void)fd;
	(void)what;
	if (!bpfct_control(p, &req))
		__atomic_store_n(&p->settings->heartbeat, req.jiffies, __ATOMIC_RELAXED);
	if (++h->beats % SWEEP_SECS == 0)
		dp_alg_sweep(h->dp, p->alg_fd);
}

/* No pools: only the place where they would be. */
static int open_nat(struct helper *h)
{
	int ret = nat_maps_open(&h->nat.m, &h->d.core.pins, true);

	h->d.nat = &h->nat;
	if (ret)
		return ret;
	h->nat.own = calloc(h->nat.m.pools, sizeof(*h->nat.own));
	return h->nat.own ? 0 : -ENOMEM;
}

static int start(struct helper *h, int stop)
{
	struct timeval second = {.tv_sec = 1};
	struct ctd *d = &h->d;
	int ret;

	d->base = event_base_new();
	if (!d->base)
		return -ENOMEM;
	h->stop = event_new(d->base, stop, EV_READ, on_stop, h);
	h->beat = event_new(d->base, -1, EV_PERSIST, on_beat, h);
	if (!h->stop || !h->beat || event_add(h->stop, NULL) || event_add(h->beat, &second))
		return -ENOMEM;
	ret = open_nat(h);
	if (!ret)
		ret = expect_start(d);
	if (!ret)
		ret = expect_run(d);
	if (ret)
		return ret;
	nat_reserve_again(d);
	on_beat(-1, 0, h);
	return alg_io_start(d);
}

static void finish(struct helper *h)
{
	struct ctd *d = &h->d;

	alg_io_stop(d);
	expect_stop(d);
	if (d->nat) {
		free(h->nat.own);
		nat_maps_close(&h->nat.m);
	}
	if (h->beat)
		event_free(h->beat);
	if (h->stop)
		event_free(h->stop);
	if (d->base)
		event_base_free(d->base);
}

int dp_alg_run(struct dp_bpf *dp, const struct bpfct_core *core, int stop)
{
	struct helper *h = calloc(1, sizeof(*h));
	int ret;

	if (!h)
		return -ENOMEM;
	h->dp = dp;
	h->d.core = *core;
	ret = start(h, stop);
	if (!ret && event_base_dispatch(h->d.base) < 0)
		ret = -EIO;
	finish(h);
	free(h);
	return ret;
}
