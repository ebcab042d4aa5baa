// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "alg_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>

#include "alg_conn.h"
#include "rules.h"

#define DEVICE	    "ctalg"
#define TCX_INGRESS 46
#define BATCH	    256 /* packets; then the other duties get their turn */

bool alg_is_device(const char *name)
{
	return !strncmp(name, DEVICE, strlen(DEVICE));
}

/* No addresses, so no neighbour discovery of the kernel's on it. */
static void no_ipv6(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		log_event(LOG_TRACE, "alg_device", "error=\"%s: %s\"", path, strerror(errno));
	close(fd);
}

static int bring_up(const char *name)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		ret = -errno;
	ifr.ifr_flags |= IFF_UP | IFF_NOARP;
	if (!ret && ioctl(fd, SIOCSIFFLAGS, &ifr))
		ret = -errno;
	close(fd);
	return ret;
}

/* The program that lets packets in again: by TCX, or the qdisc, which dies with the device. */
static int attach_execute(struct ctd *d, struct alg *a)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(d->core.obj, "ct_execute");
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = a->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	int ret;

	if (!prog)
		return -ENOENT;
	a->link = d->opt.clsact
			  ? -1
			  : bpf_link_create(bpf_program__fd(prog), a->ifindex, TCX_INGRESS, NULL);
	if (a->link >= 0)
		return 0;
	ret = bpf_tc_hook_create(&hook);
	if (ret && ret != -EEXIST)
		return ret;
	opts.prog_fd = bpf_program__fd(prog);
	return bpf_tc_attach(&hook, &opts);
}

static void close_device(struct alg *a)
{
	if (a->link >= 0)
		close(a->link);
	if (a->tap >= 0)
		close(a->tap); /* and the device is gone */
	a->link = a->tap = -1;
}

static int open_device(struct ctd *d, struct alg *a)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int ret;

	a->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (a->tap < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), DEVICE "%%d");
	if (ioctl(a->tap, TUNSETIFF, &ifr)) {
		ret = -errno;
		close_device(a);
		return ret;
	}
	no_ipv6(ifr.ifr_name);
	a->ifindex = if_nametoindex(ifr.ifr_name);
	/* Nothing is sent out by it. Closed until the program is there. */
	ret = a->ifindex ? attach_execute(d, a) : -errno;
	if (!ret)
		ret = bring_up(ifr.ifr_name);
	if (ret)
		close_device(a);
	else
		log_event(LOG_INFO, "alg_device", "interface=%s ifindex=%u", ifr.ifr_name,
			  a->ifindex);
	return ret;
}

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

/* A frame to the execute device: the mark where the link header's addresses stand. */
static bool write_frame(const struct alg *a, uint32_t mark, uint8_t *frame, size_t len)
{
	memset(frame, 0, 2 * ETH_ALEN);
	memcpy(frame, &mark, sizeof(mark));
	if (write(a->tap, frame, len) == (ssize_t)len)
		return true;
	log_event(LOG_TRACE, "alg_send", "error=\"%s\"", strerror(errno));
	return false;
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
		.hash = h->hash,
		.dir = dir,
		.adjusted = c->map.fixes[0] || c->map.fixes[1],
	};
	uint8_t copy[ALG_DATA + 64];
	uint32_t mark = next_mark(d, a), id;
	size_t off = 0;
	long n;

	if (len > sizeof(copy) || a->tap < 0)
		return;
	memcpy(e.mac, frame, sizeof(e.mac));
	if (bpf_map_update_elem(d->core.pins.algexec_fd, &mark, &e, BPF_ANY)) {
		log_event(LOG_TRACE, "alg_send", "error=\"%s\"", strerror(errno));
		return;
	}
	a->stats.sent++;
	if (!h->cut || len - h->l3_off <= h->cut) {
		memcpy(copy, frame, len);
		write_frame(a, mark, copy, len);
		return;
	}
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return;
	do {
		n = alg_packet_fragment(h, frame, len, id, &off, copy, sizeof(copy));
	} while (n > 0 && write_frame(a, mark, copy, n));
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

/* Listens from now on, for as long as ctd lives. */
static int begin(struct ctd *d, struct alg *a)
{
	struct timeval quarter = {.tv_usec = 250000};
	int ret = open_device(d, a);

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

	if (!a || a->ring || (!rules_compiled(d)->n_algs && !any_helped(d)))
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
	close_device(a);
	free(a);
	d->alg = NULL;
}

const struct alg_stats *alg_io_stats(const struct ctd *d)
{
	return &d->alg->stats;
}
