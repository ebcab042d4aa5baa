// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

/* Then the other duties get their turn: a storm of events must not starve expiry. */
#define BATCH 4096

struct events {
	struct ring_buffer *ring;
	struct event *ready;
	unsigned int batch;
	struct event_stats stats;
};

static int on_sample(void *arg, void *data, size_t len)
{
	struct ctd *d = arg;
	struct events *e = d->events;

	e->stats.read++;
	if (len >= sizeof(struct ct_flow))
		control_broadcast(d, data);
	/* Non-zero ends this turn; the sample counts as read. */
	return ++e->batch >= BATCH ? -ECANCELED : 0;
}

void events_drain(struct ctd *d)
{
	int ret;

	d->events->batch = 0;
	ret = ring_buffer__consume(d->events->ring);
	if (ret < 0 && ret != -ECANCELED)
		log_event(LOG_FAULT, "events", "error=\"%s\"", strerror(-ret));
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	events_drain(arg);
}

void events_want(struct ctd *d, uint32_t mask)
{
	__atomic_store_n(&d->core.pins.settings->event_mask, mask, __ATOMIC_RELAXED);
}

int events_start(struct ctd *d)
{
	struct events *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return -ENOMEM;
	d->events = e;
	events_want(d, 0); /* a killed ctd's subscribers are gone */
	e->ring = ring_buffer__new(d->core.pins.event_fd, on_sample, d, NULL);
	if (!e->ring) {
		ret = -errno;
		log_fail("cannot read the event ring: %s", strerror(-ret));
		return ret;
	}
	e->ready = event_new(d->base, ring_buffer__epoll_fd(e->ring), EV_READ | EV_PERSIST,
			     on_ready, d);
	if (!e->ready || event_add(e->ready, NULL))
		return -ENOMEM;
	return 0;
}

void events_stop(struct ctd *d)
{
	struct events *e = d->events;

	if (!e)
		return;
	events_want(d, 0);
	if (e->ready)
		event_free(e->ready);
	ring_buffer__free(e->ring);
	free(e);
	d->events = NULL;
}

const struct event_stats *events_stats(const struct ctd *d)
{
	return &d->events->stats;
}
