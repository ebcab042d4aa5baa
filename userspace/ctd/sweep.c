// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sweep {
	struct bpfct_sweep *rounds;
	struct event *timer;
};

static void fault(void *arg, unsigned int walk, int err)
{
	(void)arg;
	log_event(LOG_FAULT, "sweep", "walk=%u error=\"%s\"", walk, strerror(err));
}

static void wait_for(struct sweep *s, double secs)
{
	struct timeval tv = {.tv_sec = (time_t)secs};

	tv.tv_usec = (secs - tv.tv_sec) * 1e6;
	evtimer_add(s->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sweep *s = arg;

	(void)fd;
	(void)what;
	wait_for(s, bpfct_sweep_run(s->rounds));
}

int sweep_start(struct ctd *d)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	d->sweep = s;
	s->rounds = bpfct_sweep_new(&d->core, fault, NULL);
	s->timer = evtimer_new(d->base, on_timer, s);
	if (!s->rounds || !s->timer)
		return -ENOMEM;
	wait_for(s, 0);
	return 0;
}

void sweep_stop(struct ctd *d)
{
	struct sweep *s = d->sweep;

	if (!s)
		return;
	if (s->timer)
		event_free(s->timer);
	bpfct_sweep_free(s->rounds);
	free(s);
	d->sweep = NULL;
}

const struct bpfct_sweep_stats *sweep_stats(const struct ctd *d)
{
	return bpfct_sweep_pass(d->sweep->rounds);
}

const struct bpfct_sweep_stats *sweep_whole_stats(const struct ctd *d)
{
	return bpfct_sweep_whole(d->sweep->rounds);
}
