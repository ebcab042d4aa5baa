// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nat_flush.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "nat_reserve.h"

#define ADDRESSES  16  /* at a time; the others with the next turn */
#define WAIT_MSECS 100 /* longer than any program that has seen the old address runs */

struct nat_flush {
	struct event *timer;
	struct {
		uint8_t family;
		__be32 addr[4];
	} gone[ADDRESSES];
	uint32_t gones;
	uint64_t killed;
};

/* Source NAT: what replies are sent to. */
static const __be32 *external(const struct ct_flow *flow)
{
	return flow->family == 4 ? &flow->conn4.reply_daddr : flow->conn6.reply_daddr;
}

static int flush_one(const struct ct_flow *flow, void *arg)
{
	struct ctd *d = arg;
	struct nat_flush *f = d->nat->flush;
	struct ct_control req = {.op = CT_CONTROL_DELETE};
	uint32_t i;

	if (!(flow->c.word & CT_W_STATUS(CT_S_SRC_NAT)))
		return 0;
	for (i = 0; i < f->gones; i++) {
		if (f->gone[i].family != flow->family ||
		    memcmp(f->gone[i].addr, external(flow), flow->family == 4 ? 4 : 16))
			continue;
		req.flow = *flow;
		req.gen = ct_w_gen(flow->c.word);
		if (!bpfct_control(&d->core.pins, &req) && !req.result)
			f->killed++;
		break;
	}
	return 0;
}

/* Retired pools of an address that was the host's own and is no more. */
static void collect(struct ctd *d)
{
	struct nat *n = d->nat;
	struct nat_flush *f = n->flush;
	uint32_t i, k;

	f->gones = 0;
	for (i = 1; i < n->m.pools; i++) {
		struct nat_pool *p = &n->m.pool[i];

		if (!p->family || n->own[i].live || !(p->flags & NAT_POOL_LOCAL))
			continue;
		if (nat_is_local(d, p->family, p->addr))
			continue;
		for (k = 0; k < f->gones; k++)
			if (!memcmp(f->gone[k].addr, p->addr, sizeof(p->addr)))
				break;
		if (k == ADDRESSES)
			continue;
		if (k == f->gones) {
			f->gone[f->gones].family = p->family;
			memcpy(f->gone[f->gones++].addr, p->addr, sizeof(p->addr));
		}
		/* Once is enough: no program makes connections through it any more. */
		p->flags &= ~NAT_POOL_LOCAL;
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct nat_flush *f = d->nat->flush;
	char text[INET6_ADDRSTRLEN];
	uint32_t i;
	int ret;

	(void)fd;
	(void)what;
	collect(d);
	if (!f->gones)
		return;
	f->killed = 0;
	ret = bpfct_dump(&d->core.pins, 4, flush_one, d);
	if (!ret)
		ret = bpfct_dump(&d->core.pins, 6, flush_one, d);
	for (i = 0; i < f->gones; i++)
		log_event(LOG_INFO, "nat_address_gone", "address=%s",
			  inet_ntop(f->gone[i].family == 4 ? AF_INET : AF_INET6, f->gone[i].addr,
				    text, sizeof(text)));
	log_event(ret ? LOG_FAULT : LOG_INFO, "nat_flush", "connections=%llu%s%s",
		  (unsigned long long)f->killed, ret ? " error=" : "", ret ? strerror(-ret) : "");
}

void nat_flush_gone(struct ctd *d)
{
	struct timeval tv = {.tv_usec = WAIT_MSECS * 1000};

	if (d->nat->flush)
		evtimer_add(d->nat->flush->timer, &tv);
}

int nat_flush_run(struct ctd *d)
{
	struct nat_flush *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	d->nat->flush = f;
	f->timer = evtimer_new(d->base, on_timer, d);
	if (!f->timer)
		return -ENOMEM;
	nat_flush_gone(d);
	return 0;
}

void nat_flush_stop(struct ctd *d)
{
	struct nat_flush *f = d->nat->flush;

	if (!f)
		return;
	if (f->timer)
		event_free(f->timer);
	free(f);
	d->nat->flush = NULL;
}
