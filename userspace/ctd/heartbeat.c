// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heartbeat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/futex.h>

#include "attach.h"
#include "events.h"
#include "notify.h"
#include "rules.h"

struct heartbeat {
	struct event *timer;
	bool failing; /* logged once, not every second */
};

/* A robust futex (set_robust_list(2)) without a lock; the kernel reads this when ctd ends. */
static struct robust_list_head robust = {.list = {&robust.list}};
static struct robust_list will;
_Static_assert(CT_CTD_DIED == FUTEX_OWNER_DIED, "what the kernel sets");

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

/*
 * However ctd ends, the kernel marks it in settings->ctd, and before it closes ctd's sockets: no
 * packet goes by a route that nobody watches any more. In place of glibc's own list, as ctd
 * has no robust mutexes.
 */
static int will_make(struct ct_settings *set)
{
	robust.futex_offset = (char *)&set->ctd - (char *)&will;
	will.next = &robust.list;
	robust.list.next = &will;
	__atomic_store_n(&set->ctd, (uint32_t)gettid(), __ATOMIC_SEQ_CST);
	return syscall(SYS_set_robust_list, &robust, sizeof(robust)) ? -errno : 0;
}

static void will_execute(struct ct_settings *set)
{
	robust.list.next = &robust.list;
	__atomic_store_n(&set->ctd, CT_CTD_DIED, __ATOMIC_SEQ_CST);
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
	ret = will_make(d->core.pins.settings);
	if (ret) {
		log_fail("set_robust_list: %s", strerror(-ret));
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
	will_execute(d->core.pins.settings);
	free(d->heart);
	d->heart = NULL;
}
