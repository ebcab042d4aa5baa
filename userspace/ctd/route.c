// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "attach.h"
#include "guard.h"
#include "rules.h"
#include "watch.h"

struct route {
	struct mnl_socket *nl;
	struct event *readable;
	struct event *refresh; /* a little later: changes come in groups */
	bool epoch;	 /* this batch calls for a new epoch: once more, the watch has begun one */
	bool interfaces; /* ... and for a look at the interfaces */
	bool gone;	 /* one went: another may come with its index */
};

static int on_message(const struct nlmsghdr *nlh, void *arg)
{
	struct ctd *d = arg;
	struct route *r = d->route;
	const struct ifinfomsg *link;

	switch (nlh->nlmsg_type) {
	case RTM_DELLINK: /* of family AF_BRIDGE: is a port no more */
		link = mnl_nlmsg_get_payload(nlh);
		if (link->ifi_family == AF_UNSPEC)
			attach_forget(d, link->ifi_index);
		r->gone = true;
		r->interfaces = true;
		r->epoch = true;
		break;
	case RTM_DELQDISC:
	case RTM_DELTFILTER:
		r->interfaces |= attach_lost(d, nlh);
		break;
	case RTM_NEWLINK:
	case RTM_NEWADDR:
	case RTM_DELADDR:
		r->interfaces = true;
		r->epoch = true;
		break;
		/* Of routes, rules and neighbours the watch has said all that there is to say. */
	}
	return MNL_CB_OK;
}

void route_new_epoch(struct ctd *d)
{
	__atomic_add_fetch(&d->core.pins.settings->route_epoch, 1, __ATOMIC_SEQ_CST);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct timeval soon = {.tv_usec = 20 * 1000};
	struct ctd *d = arg;
	struct route *r = d->route;
	char buf[32768];
	ssize_t n;
	int turn;

	(void)fd;
	(void)what;
	r->epoch = r->interfaces = r->gone = false;
	for (turn = 0; turn < 64; turn++) {
		n = mnl_socket_recvfrom(r->nl, buf, sizeof(buf));
		if (n < 0 && errno == ENOBUFS) { /* some were lost: assume the worst */
			r->epoch = r->interfaces = true;
			attach_doubt(d);
		} else if (n < 0) {
			break;
		} else {
			mnl_cb_run(buf, n, 0, 0, on_message, d);
		}
	}
	if (r->gone)
		guard_sync(d);
	if (r->epoch)
		route_new_epoch(d);
	if (r->interfaces && !evtimer_pending(r->refresh, NULL))
		evtimer_add(r->refresh, &soon);
}

static void on_refresh(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	rules_refresh(arg);
}

static int subscribe(struct mnl_socket *nl)
{
	static const int group[] = {RTNLGRP_LINK,	 RTNLGRP_NEIGH,	     RTNLGRP_IPV4_IFADDR,
				    RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
				    RTNLGRP_IPV4_RULE,	 RTNLGRP_IPV6_RULE,  RTNLGRP_TC};
	int size = 4 << 20;
	unsigned int i;

	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	/* ENOBUFS is dealt with: a smaller buffer costs a look at everything. */
	(void)setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	for (i = 0; i < sizeof(group) / sizeof(group[0]); i++) {
		int g = group[i];

		if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &g, sizeof(g)) < 0)
			return -errno;
	}
	return 0;
}

int route_start(struct ctd *d)
{
	struct route *r = calloc(1, sizeof(*r));
	int ret = -ENOMEM;

	if (!r)
		return ret;
	d->route = r;
	r->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (!r->nl)
		ret = -errno;
	else
		/* The filter before the first message. */
		ret = watch_on(d, mnl_socket_get_fd(r->nl), WATCH_ROUTE);
	if (!ret)
		ret = subscribe(r->nl);
	if (!ret)
		ret = watch_fill(d);
	if (ret) {
		log_fail("cannot listen to rtnetlink: %s", strerror(-ret));
		return ret;
	}
	/* What changed while there was no ctd. */
	route_new_epoch(d);
	r->refresh = evtimer_new(d->base, on_refresh, d);
	r->readable =
		event_new(d->base, mnl_socket_get_fd(r->nl), EV_READ | EV_PERSIST, on_readable, d);
	if (!r->refresh || !r->readable || event_add(r->readable, NULL))
		return -ENOMEM;
	return 0;
}

void route_stop(struct ctd *d)
{
	struct route *r = d->route;

	if (!r)
		return;
	if (r->readable)
		event_free(r->readable);
	if (r->refresh)
		event_free(r->refresh);
	if (r->nl)
		mnl_socket_close(r->nl);
	free(r);
	d->route = NULL;
}
