// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heartbeat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "events.h"
#include "notify.h"
#include "rules.h"

struct heartbeat {
	struct event *timer;
	bool failing; /* logged once, not every second */
};

static int beat(struct ctd *d)
{
	struct ct_control req = {.op = CT_CONTROL_CLOCK};
	int ret = bpfct_control(&d->core.pins, &req);

	if (!ret)
		__atomic_store_n(&d->core.pins.settings->heartbeat, req.jiffies, __ATOMIC_RELAXED);
	return ret;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	int ret = beat(d);

	(void)fd;
	(void)what;
	if (ret && !d->heart->failing)
		log_event(LOG_FAULT, "heartbeat", "error=\"%s\"", strerror(-ret));
	d->heart->failing = ret != 0;
	notify_alive();
	/* The ring wakes us by itself; this is for a wake-up that was lost. */
	events_drain(d);
	if (attach_check(d))
		rules_refresh(d);
}

int heartbeat_start(struct ctd *d)
{
	struct timeval second = {.tv_sec = 1};
	int ret;

	d->heart = calloc(1, sizeof(*d->heart));
	if (!d->heart)
		return -ENOMEM;
	ret = beat(d);
	if (ret) {
		log_fail("ct_control does not run: %s", strerror(-ret));
		return ret;
	}
	d->heart->timer = event_new(d->base, -1, EV_PERSIST, on_timer, d);
	if (!d->heart->timer || event_add(d->heart->timer, &second))
		return -ENOMEM;
	return 0;
}

void heartbeat_stop(struct ctd *d)
{
	if (!d->heart)
		return;
	if (d->heart->timer)
		event_free(d->heart->timer);
	free(d->heart);
	d->heart = NULL;
}
