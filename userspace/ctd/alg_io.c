// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "alg_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "alg_conn.h"
#include "alg_way.h"

#define BATCH 256 /* packets; then the other duties get their turn */

/* A new mark for a packet on its way back. Those of long ago were used, or are lost: more
 * than a backlog holds are never under way. */
static uint32_t next_mark(struct ctd *d, struct alg *a)
{
	uint32_t slots = sizeof(a->mark) / sizeof(a->mark[0]),
		 *slot = &a->mark[a->mark_at++ % slots];

	if (*slot)
		bpf_map_delete_elem(d->core.pins.algexec_fd, slot);
	do {
		if (getrandom(slot, sizeof(*slot), 0) != sizeof(*slot))
			*slot = 0;
	} while (!*slot);
	return *slot;
}

static bool send_frame(struct ctd *d, uint32_t mark, uint8_t *frame, size_t len)
{
	int ret = alg_way_send(d, mark, frame, len);

	if (ret)
		log_event(LOG_TRACE, "alg_send", "error=\"%s\"", strerror(-ret));
	return !ret;
}

void alg_io_send(struct alg_conn *c, int dir, const struct alg_headers *h, const uint8_t *frame,
		 size_t len)
{
	struct ctd *d = c->d;
	struct alg *a = d->alg;
	struct alg_exec e = {
		.conn = c->key,
		.ifindex = h->ifindex,
		.mark = h->mark,
		.priority = h->priority,
		.hash = h->hash,
		.dir = dir,
		.out = h->out,
		.adjusted = c->map.fixes[0] || c->map.fixes[1],
	};
	uint8_t copy[ALG_DATA + 64];
	uint32_t mark = next_mark(d, a), id;
	size_t off = 0;
	long n;
	int ret;

	if (len > sizeof(copy))
		return;
	memcpy(e.mac, frame, sizeof(e.mac));
	ret = alg_way_enter(d, mark, &e);
	if (ret) {
		log_event(LOG_TRACE, "alg_send", "error=\"%s\"", strerror(-ret));
		return;
	}
	a->stats.sent++;
	if (!h->cut || len - h->l3_off <= h->cut) {
		memcpy(copy, frame, len);
		send_frame(d, mark, copy, len);
		return;
	}
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return;
	do {
		n = alg_packet_fragment(h, frame, len, id, &off, copy, sizeof(copy));
	} while (n > 0 && send_frame(d, mark, copy, n));
}

static int on_sample(void *arg, void *data, size_t size)
{
	struct ctd *d = arg;
	struct alg *a = d->alg;
	struct alg_taken t;
	struct alg_conn *c;

	a->stats.taken++;
	if (alg_packet_read(data, size, &t)) {
		a->stats.bad++;
	} else {
		c = alg_conn_get(d, t.p);
		if (c && t.p->from.proto == IPPROTO_TCP)
			alg_tcp_take(c, &t);
		else if (c)
			alg_udp_take(c, &t);
	}
	return ++a->batch >= BATCH ? -ECANCELED : 0;
}

static void drain(struct ctd *d)
{
	struct alg *a = d->alg;
	int ret;

	a->batch = 0;
	ret = ring_buffer__consume(a->ring);
	if (ret < 0 && ret != -ECANCELED)
		log_event(LOG_FAULT, "alg_ring", "error=\"%s\"", strerror(-ret));
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	drain(arg);
}

/* Connections that have ended; and a wake-up of the ring that was lost. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	alg_conn_sweep(arg);
	drain(arg);
}

static bool any_helped(const struct ctd *d)
{
	struct ct_label_key key;

	return !bpf_map_get_next_key(d->core.pins.alg_fd, NULL, &key);
}

/* Listens from now on, for as long as this process lives. */
static int begin(struct ctd *d, struct alg *a)
{
	struct timeval quarter = {.tv_usec = 250000};
	int ret = alg_way_open(d);

	if (ret) {
		log_event(LOG_FAULT, "alg_device", "error=\"%s\"", strerror(-ret));
		return ret;
	}
	a->ring = ring_buffer__new(d->core.pins.algring_fd, on_sample, d, NULL);
	if (!a->ring)
		return -errno;
	a->ready = event_new(d->base, ring_buffer__epoll_fd(a->ring), EV_READ | EV_PERSIST,
			     on_ready, d);
	a->timer = event_new(d->base, -1, EV_PERSIST, on_timer, d);
	if (!a->ready || !a->timer || event_add(a->ready, NULL) || event_add(a->timer, &quarter))
		return -ENOMEM;
	alg_conn_adopt(d);
	return 0;
}

int alg_io_rules(struct ctd *d)
{
	struct alg *a = d->alg;

	if (!a || a->ring || (!alg_way_wanted(d) && !any_helped(d)))
		return 0;
	return begin(d, a);
}

int alg_io_start(struct ctd *d)
{
	struct alg *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	d->alg = a;
	a->tap = a->link = -1;
	a->hash = calloc(ALG_CHAINS, sizeof(*a->hash));
	if (!a->hash || getrandom(&a->key, sizeof(a->key), 0) != sizeof(a->key))
		return -ENOMEM;
	return alg_io_rules(d);
}

void alg_io_stop(struct ctd *d)
{
	struct alg *a = d->alg;

	if (!a)
		return;
	if (a->ready)
		event_free(a->ready);
	if (a->timer)
		event_free(a->timer);
	ring_buffer__free(a->ring);
	if (a->hash)
		alg_conn_free_all(d);
	free(a->hash);
	alg_way_close(d);
	free(a);
	d->alg = NULL;
}

const struct alg_stats *alg_io_stats(const struct ctd *d)
{
	return &d->alg->stats;
}
