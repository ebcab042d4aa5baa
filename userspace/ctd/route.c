// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "attach.h"
#include "guard.h"
#include "rules.h"

#define NEIGHBOURS 4096 /* slots of the memory of neighbours, 2^n */
#define VALID_NUD  (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

struct route {
	struct mnl_socket *nl;
	struct event *readable;
	struct event *refresh; /* a little later: changes come in groups */
	/*
	 * Neighbours go REACHABLE - STALE - DELAY - REACHABLE all day, each step is a
	 * message, and none of them moves a packet. So remember a hash of what
	 * does matter, by a hash of the neighbour; a collision costs one look-up more.
	 */
	uint64_t neighbour[NEIGHBOURS];
	bool epoch;	 /* this batch calls for a new epoch */
	bool interfaces; /* ... and for a look at the interfaces */
	bool gone;	 /* one went: another may come with its index */
};

static uint64_t fnv(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len--)
		h = (h ^ *p++) * 1099511628211ull;
	return h;
}

static int neighbour_attr(const struct nlattr *attr, void *data)
{
	const struct nlattr **at = data;

	if (mnl_attr_get_type(attr) <= NDA_LLADDR)
		at[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static bool neighbour_moved(struct route *r, const struct nlmsghdr *nlh)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *at[NDA_LLADDR + 1] = {0};
	uint64_t key = 14695981039346656037ull, what;
	uint64_t *slot;
	bool valid = nlh->nlmsg_type == RTM_NEWNEIGH && (nd->ndm_state & VALID_NUD);

	if (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6)
		return false; /* a bridge's forwarding table */
	mnl_attr_parse(nlh, sizeof(*nd), neighbour_attr, at);
	key = fnv(key, &nd->ndm_ifindex, sizeof(nd->ndm_ifindex));
	if (at[NDA_DST])
		key = fnv(key, mnl_attr_get_payload(at[NDA_DST]),
			  mnl_attr_get_payload_len(at[NDA_DST]));
	what = fnv(key, &valid, sizeof(valid));
	if (valid && at[NDA_LLADDR])
		what = fnv(what, mnl_attr_get_payload(at[NDA_LLADDR]),
			   mnl_attr_get_payload_len(at[NDA_LLADDR]));
	slot = &r->neighbour[key % NEIGHBOURS];
	if (*slot == what)
		return false;
	*slot = what;
	return true;
}

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
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWRULE:
	case RTM_DELRULE:
		r->epoch = true;
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		r->epoch |= neighbour_moved(r, nlh);
		break;
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
	ret = r->nl ? subscribe(r->nl) : -errno;
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
