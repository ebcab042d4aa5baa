// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter/nfnetlink.h>

#include "attach.h"
#include "guard_nft.h"
#include "links.h"
#include "rules.h"

struct guard {
	char table[GUARD_NAME_MAX];
	struct mnl_socket *nl;	   /* our transactions; the kernel calls them by its port */
	struct mnl_socket *events; /* what anybody does to nft's tables */
	struct event *readable;
	struct ifset open;
	bool on;   /* the table is there, as far as we know */
	bool made; /* ... and was not before we started */
};

static struct mnl_socket *open_socket(int *ret)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

	*ret = 0;
	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) >= 0)
		return nl;
	*ret = -errno;
	if (nl)
		mnl_socket_close(nl);
	return NULL;
}

static bool wanted(const struct ctd *d)
{
	return !d->opt.no_guard && !rules_settings(d)->default_pass;
}

static bool same(const struct ifset *a, const struct ifset *b)
{
	unsigned int i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!ifset_has(b, a->v[i]))
			return false;
	return true;
}

/* Loopback, what `set skip on` names, and what has our programs: before attach_start()
 * that is what a former ctd has left. 0 or -ENOMEM, then *out is freed. */
static int find_open(const struct ctd *d, struct ifset *out)
{
	const struct fw_ifs *ifs = rules_ifs(d);
	const uint32_t *attached;
	unsigned int i, n = attach_list(d, &attached);
	int ret = 0;

	*out = (struct ifset){0};
	for (i = 0; i < ifs->n && !ret; i++)
		if (ifs->v[i].loopback || rules_skips(d, ifs->v[i].name) ||
		    (!attached && attach_present(d->opt.instance, ifs->v[i].ifindex)))
			ret = ifset_add(out, ifs->v[i].ifindex);
	for (i = 0; i < n && !ret; i++)
		ret = ifset_add(out, attached[i]);
	if (ret)
		ifset_free(out);
	return ret;
}

/* The whole table anew if it is not there, or `anew` says so. */
static int write_table(struct guard *g, struct ifset *open, bool anew)
{
	int ret = -ENOENT;

	if (g->on && !anew)
		ret = guard_nft_open(g->nl, g->table, open->v, open->n);
	if (ret == -ENOENT)
		ret = guard_nft_replace(g->nl, g->table, open->v, open->n);
	if (ret) {
		ifset_free(open);
		return ret;
	}
	ifset_free(&g->open);
	g->open = *open;
	g->on = true;
	return 0;
}

static int update(struct ctd *d, bool anew)
{
	struct guard *g = d->guard;
	struct ifset open;
	int ret;

	if (!g->nl)
		return wanted(d) ? -EPROTONOSUPPORT : 0;
	if (!wanted(d)) {
		ret = g->on || anew ? guard_nft_delete(g->nl, g->table) : 0;
		g->on = g->on && ret;
		return ret;
	}
	ret = find_open(d, &open);
	if (ret)
		return ret;
	if (g->on && !anew && same(&g->open, &open)) {
		ifset_free(&open);
		return 0;
	}
	return write_table(g, &open, anew);
}

int guard_sync(struct ctd *d)
{
	int ret = d->guard ? update(d, false) : 0;

	if (ret)
		log_event(LOG_FAULT, "guard", "error=\"%s\"", strerror(-ret));
	return ret;
}

bool guard_is_on(const struct ctd *d)
{
	return d->guard && d->guard->on;
}

int guard_start(struct ctd *d)
{
	struct guard *g = calloc(1, sizeof(*g));
	int ret, before = 0;

	if (!g)
		return -ENOMEM;
	d->guard = g;
	guard_table_name(g->table, d->opt.instance);
	g->nl = open_socket(&ret);
	if (g->nl)
		ret = before = guard_nft_exists(g->nl, g->table);
	if (ret >= 0 && (before || wanted(d)))
		ret = update(d, true);
	g->made = !ret && !before && g->on;
	if (ret >= 0 || !wanted(d)) /* without nf_tables there is no table to remove either */
		return 0;
	log_fail("cannot close interfaces without our programs by nftables: %s (--no-guard leaves "
		 "them open)",
		 strerror(-ret));
	return ret;
}

static int on_message(const struct nlmsghdr *nlh, void *arg)
{
	struct ctd *d = arg;
	struct guard *g = d->guard;

	if (nlh->nlmsg_pid == mnl_socket_get_portid(g->nl) || !guard_nft_concerns(nlh, g->table))
		return MNL_CB_OK;
	return MNL_CB_STOP;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct guard *g = d->guard;
	bool touched = false;
	char buf[32768];
	ssize_t n;
	int ret;

	(void)what;
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0 || (n < 0 && errno == ENOBUFS))
		touched |= n < 0 || mnl_cb_run(buf, n, 0, 0, on_message, d) == MNL_CB_STOP;
	if (!touched || !wanted(d))
		return;
	log_event(LOG_WARN, "guard_changed", "table=%s", g->table);
	ret = update(d, true);
	if (ret)
		log_event(LOG_FAULT, "guard", "error=\"%s\"", strerror(-ret));
}

int guard_watch(struct ctd *d)
{
	struct guard *g = d->guard;
	int group = NFNLGRP_NFTABLES, ret;

	if (d->opt.no_guard || !g->nl)
		return 0;
	g->events = open_socket(&ret);
	if (g->events &&
	    mnl_socket_setsockopt(g->events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		ret = -errno;
	if (ret && !wanted(d))
		return 0;
	if (ret) {
		log_fail("cannot listen to nftables: %s", strerror(-ret));
		return ret;
	}
	g->readable = event_new(d->base, mnl_socket_get_fd(g->events), EV_READ | EV_PERSIST,
				on_readable, d);
	return g->readable && !event_add(g->readable, NULL) ? 0 : -ENOMEM;
}

void guard_stop(struct ctd *d, bool undo)
{
	struct guard *g = d->guard;

	if (!g)
		return;
	if (undo && g->made)
		guard_nft_delete(g->nl, g->table);
	if (g->readable)
		event_free(g->readable);
	if (g->events)
		mnl_socket_close(g->events);
	if (g->nl)
		mnl_socket_close(g->nl);
	ifset_free(&g->open);
	free(g);
	d->guard = NULL;
}

int guard_remove(const char *instance)
{
	char table[GUARD_NAME_MAX];
	struct mnl_socket *nl;
	int ret;

	guard_table_name(table, instance);
	nl = open_socket(&ret);
	/* A kernel without nf_tables has no table of ours. */
	if (!nl)
		return ret == -EPROTONOSUPPORT ? 0 : ret;
	ret = guard_nft_exists(nl, table);
	if (ret == 1)
		ret = guard_nft_delete(nl, table);
	mnl_socket_close(nl);
	return ret == -EOPNOTSUPP || ret == -EINVAL ? 0 : ret;
}
