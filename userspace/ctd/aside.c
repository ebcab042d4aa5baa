// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "aside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>
#include <linux/xfrm.h>

#include "aside_find.h"
#include "consumers/firewall/fw_watch.h"
#include "route.h"
#include "watch.h"

#define BUSES	 3
#define SOON_US	 10000
#define BY_STACK (CT_ASIDE_STACK | CT_ASIDE_CHAIN)

/* What tells of changes. */
static const struct bus {
	int bus;
	int group[2];
	uint8_t flag;	       /* what the worst of news there would mean */
	enum watch_prog watch; /* holds packets back before we are awake */
} listen_to[BUSES] = {
	{NETLINK_XFRM, {XFRMNLGRP_POLICY}, CT_ASIDE_STACK, WATCH_STACK},
	{NETLINK_NETFILTER, {NFNLGRP_NFTABLES}, CT_ASIDE_CHAIN, WATCH_NFT},
	{NETLINK_ROUTE, {RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE}, CT_ASIDE_STACK, WATCH_STACK},
};

struct aside {
	struct mnl_socket *nl[BUSES];
	struct event *readable[BUSES];
	struct event *soon;  /* changes come in groups: one look at all of them */
	struct event *timer; /* for iptables-legacy */
	struct aside_found found;
	struct aside_found legacy; /* its part as it was at the last look */
};

/* What CT_ASIDE_ASKED says is also in a message that we have not read. */
static bool asked(const struct ct_settings *set)
{
	return (set->route_aside[0] | set->route_aside[1]) & CT_ASIDE_ASKED;
}

/*
 * Changes the flags of both families: keeps what is in *keep and adds what is in *add. Between our
 * reading and writing the socket filters may write: then anew, or not at all, if
 * that is what unless_asked says. Returns whether *add is in.
 */
static bool change(struct ctd *d, const uint8_t keep[2], const uint8_t add[2], bool unless_asked)
{
	struct ct_settings *set = d->core.pins.settings, was, now;

	was.aside_word = __atomic_load_n(&set->aside_word, __ATOMIC_SEQ_CST);
	do {
		if (unless_asked && asked(&was))
			return false;
		now.aside_word = was.aside_word;
		now.route_aside[0] = (was.route_aside[0] & keep[0]) | add[0];
		now.route_aside[1] = (was.route_aside[1] & keep[1]) | add[1];
		if (now.aside_word == was.aside_word)
			return true;
	} while (!__atomic_compare_exchange_n(&set->aside_word, &was.aside_word, now.aside_word,
					      false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	/* Afterwards: what is remembered from now on was looked up under the new flags. */
	route_new_epoch(d);
	return true;
}

static void hold_back(struct ctd *d, uint8_t flag)
{
	const uint8_t all[2] = {0xff, 0xff}, add[2] = {flag, flag};

	change(d, all, add, false);
}

void aside_unknown(struct ctd *d)
{
	hold_back(d, CT_ASIDE_STACK);
}

/* What cannot be read is taken to be there. */
static void find(const char *what, int (*look)(struct aside_found *), struct aside_found *f)
{
	int ret = look(f);

	if (!ret)
		return;
	log_event(LOG_FAULT, "beside", "of=%s error=\"%s\"", what, strerror(-ret));
	aside_note(f, ASIDE_BOTH, CT_ASIDE_STACK | CT_ASIDE_LATE, "%s: cannot be read (%s)", what,
		   strerror(-ret));
}

static bool same(const struct aside_found *a, const struct aside_found *b)
{
	unsigned int i;

	if (a->n != b->n || memcmp(a->flags, b->flags, sizeof(a->flags)))
		return false;
	for (i = 0; i < a->n && i < ASIDE_LINES; i++)
		if (strcmp(a->line[i], b->line[i]))
			return false;
	return true;
}

static void look(struct ctd *d)
{
	const uint8_t none[2] = {0}, held[2] = {(uint8_t)~CT_ASIDE_ASKED, (uint8_t)~CT_ASIDE_ASKED};
	struct timeval soon = {.tv_usec = SOON_US};
	struct aside *a = d->aside;
	struct aside_found *f = calloc(1, sizeof(*f));
	unsigned int i;

	if (!f) {
		hold_back(d, CT_ASIDE_STACK);
		return;
	}
	/* Before we look: what is told of from here on is for the next time. */
	change(d, held, none, false);
	find("iptables-legacy", aside_find_legacy, f);
	a->legacy = *f;
	find("nftables", aside_find_nft, f);
	find("xfrm", aside_find_xfrm, f);
	find("ip rules", aside_find_rules, f);
	if (!same(f, &a->found)) {
		log_event(LOG_INFO, "beside", "found=%u ipv4=%s ipv6=%s", f->n,
			  f->flags[0] & BY_STACK ? "stack" : "redirect",
			  f->flags[1] & BY_STACK ? "stack" : "redirect");
		for (i = 0; i < f->n && i < ASIDE_LINES; i++)
			log_event(LOG_TRACE, "beside", "found=\"%s\"", f->line[i]);
	}
	a->found = *f;
	free(f);
	if (!change(d, none, a->found.flags, true))
		evtimer_add(a->soon, &soon);
}

static int table_attr(const struct nlattr *attr, void *arg)
{
	const char **table = arg;

	if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME)
		*table = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static bool nft_matters(const struct nlmsghdr *nlh)
{
	const char *table = NULL;

	if (!watch_nft_type(nlh->nlmsg_type))
		return false;
	/* The name of the table is the first attribute of each of them. */
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), table_attr, &table);
	return !table || strncmp(table, WATCH_OURS, strlen(WATCH_OURS));
}

static int on_message(const struct nlmsghdr *nlh, void *arg)
{
	bool *changed = arg;

	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES || nft_matters(nlh))
		*changed = true;
	return MNL_CB_OK;
}

/* Nothing is redirected from the first message until a look has shown what has changed. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct timeval soon = {.tv_usec = SOON_US};
	struct ctd *d = arg;
	struct aside *a = d->aside;
	char buf[32768];
	bool changed = false;
	unsigned int i;
	ssize_t n;

	(void)what;
	for (i = 0; i < BUSES && (!a->nl[i] || mnl_socket_get_fd(a->nl[i]) != fd); i++)
		;
	while (i < BUSES) {
		n = mnl_socket_recvfrom(a->nl[i], buf, sizeof(buf));
		if (n >= 0)
			mnl_cb_run(buf, n, 0, 0, on_message, &changed);
		else if (errno == ENOBUFS)
			changed = true;
		else
			break;
	}
	if (!changed && !asked(d->core.pins.settings))
		return;
	hold_back(d, listen_to[i].flag);
	if (!evtimer_pending(a->soon, NULL))
		evtimer_add(a->soon, &soon);
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct aside_found *f = calloc(1, sizeof(*f));

	(void)fd;
	(void)what;
	if (!f)
		return;
	find("iptables-legacy", aside_find_legacy, f);
	if (!same(f, &d->aside->legacy))
		look(d);
	free(f);
}

/* -EPROTONOSUPPORT: the kernel has nothing of the kind, so nothing will change. */
static int subscribe(struct ctd *d, const struct bus *b, struct mnl_socket **out)
{
	struct mnl_socket *nl = mnl_socket_open2(b->bus, SOCK_NONBLOCK | SOCK_CLOEXEC);
	unsigned int i;
	int group;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		goto fail;
	if (watch_on(d, mnl_socket_get_fd(nl), b->watch))
		goto fail;
	for (i = 0; i < 2 && b->group[i]; i++) {
		group = b->group[i];
		if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
			goto fail;
	}
	*out = nl;
	return 0;
fail:
	i = errno;
	mnl_socket_close(nl);
	return -(int)i;
}

int aside_start(struct ctd *d)
{
	struct timeval second = {.tv_sec = 1};
	struct aside *a = calloc(1, sizeof(*a));
	unsigned int i;
	int ret;

	if (!a)
		return -ENOMEM;
	d->aside = a;
	for (i = 0; i < BUSES; i++) {
		ret = subscribe(d, &listen_to[i], &a->nl[i]);
		if (ret == -EPROTONOSUPPORT)
			continue;
		if (ret) {
			log_fail("cannot listen to netlink bus %d: %s", listen_to[i].bus,
				 strerror(-ret));
			return ret;
		}
		a->readable[i] = event_new(d->base, mnl_socket_get_fd(a->nl[i]),
					   EV_READ | EV_PERSIST, on_readable, d);
		if (!a->readable[i] || event_add(a->readable[i], NULL))
			return -ENOMEM;
	}
	a->soon = evtimer_new(d->base, on_soon, d);
	a->timer = event_new(d->base, -1, EV_PERSIST, on_timer, d);
	if (!a->soon || !a->timer || event_add(a->timer, &second))
		return -ENOMEM;
	look(d);
	return 0;
}

void aside_stop(struct ctd *d)
{
	struct aside *a = d->aside;
	unsigned int i;

	if (!a)
		return;
	for (i = 0; i < BUSES; i++) {
		if (a->readable[i])
			event_free(a->readable[i]);
		if (a->nl[i])
			mnl_socket_close(a->nl[i]);
	}
	if (a->soon)
		event_free(a->soon);
	if (a->timer)
		event_free(a->timer);
	free(a);
	d->aside = NULL;
}

void aside_print(const struct ctd *d, const char *prefix, FILE *out)
{
	const struct aside_found *f;
	unsigned int i;

	if (!d->aside)
		return;
	f = &d->aside->found;
	for (i = 0; i < f->n && i < ASIDE_LINES; i++)
		fprintf(out, "%s%s: forwarded packets go by the stack\n", prefix, f->line[i]);
	if (f->n > ASIDE_LINES)
		fprintf(out, "%sand %u more\n", prefix, f->n - ASIDE_LINES);
}
