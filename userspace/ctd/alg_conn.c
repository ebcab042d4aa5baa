// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Helped connections as ctd knows them: found by key and generation, pinned, ended. */
#include "alg_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <netinet/in.h>

#define KEPT_VERSION 2
#define SWEEP	     (ALG_CHAINS / 4) /* chains a turn: all in a second */

/* What is pinned: this, the session, then of each direction n_held and n_out bytes. */
struct kept {
	uint16_t version;
	uint16_t pad;
	uint32_t session;
	struct ct_alg map;
	struct {
		uint32_t next, acked, sent;
		uint16_t n_out, n_held;
		uint8_t begun, owned, fin, pad;
		struct alg_headers like;
	} dir[2];
};

static struct alg_conn **chain_of(struct alg *a, const struct ct_label_key *key)
{
	const uint8_t *b = (const uint8_t *)key;
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < sizeof(*key); i++)
		h = (h ^ b[i]) * 16777619u;
	return &a->hash[h % ALG_CHAINS];
}

static int keep_fd(const struct alg_conn *c)
{
	const struct bpfct_pins *p = &c->d->core.pins;

	return c->session->helper == ALG_SIP ? p->algbig_fd : p->algsess_fd;
}

/* The longest of all: ctd is one thread. */
static uint8_t image[ALG_BIG];

static size_t pack(const struct alg_conn *c)
{
	struct kept *k = (struct kept *)image;
	size_t at = sizeof(*k), n = alg_session_size(c->session->helper);
	int i;

	memset(k, 0, sizeof(*k));
	k->version = KEPT_VERSION;
	k->session = n;
	k->map = c->map;
	memcpy(image + at, c->session, n);
	at += n;
	for (i = 0; i < 2; i++) {
		const struct alg_stream *s = &c->dir[i];

		k->dir[i].next = s->next;
		k->dir[i].acked = s->acked;
		k->dir[i].sent = s->sent;
		k->dir[i].n_out = s->n_out;
		k->dir[i].n_held = s->n_held;
		k->dir[i].begun = s->begun;
		k->dir[i].owned = s->owned;
		k->dir[i].fin = s->fin;
		k->dir[i].like = s->like;
		memcpy(image + at, s->held, s->n_held);
		at += s->n_held;
		memcpy(image + at, s->out, s->n_out);
		at += s->n_out;
	}
	return at;
}

/* As pack(), back. False: not what this ctd has written. */
static bool unpack(struct alg_conn *c, size_t size)
{
	const struct kept *k = (const struct kept *)image;
	size_t at = sizeof(*k), n = k->session;
	int i;

	if (k->version != KEPT_VERSION || n > sizeof(*c->session) || at + n > size)
		return false;
	memcpy(c->session, image + at, n);
	if (!alg_session_valid(c->session) || alg_session_size(c->session->helper) != n)
		return false;
	at += n;
	c->map = k->map;
	for (i = 0; i < 2; i++) {
		struct alg_stream *s = &c->dir[i];

		if (k->dir[i].n_held > sizeof(s->held) || k->dir[i].n_out > sizeof(s->out) ||
		    at + k->dir[i].n_held + k->dir[i].n_out > size ||
		    k->dir[i].like.len > ALG_HEADERS)
			return false;
		s->next = k->dir[i].next;
		s->acked = k->dir[i].acked;
		s->sent = k->dir[i].sent;
		s->n_out = k->dir[i].n_out;
		s->n_held = k->dir[i].n_held;
		s->begun = k->dir[i].begun;
		s->owned = k->dir[i].owned;
		s->fin = k->dir[i].fin;
		s->like = k->dir[i].like;
		memcpy(s->held, image + at, s->n_held);
		at += s->n_held;
		memcpy(s->out, image + at, s->n_out);
		at += s->n_out;
	}
	return true;
}

_Static_assert(sizeof(struct kept) + offsetof(struct alg_session, ftp) + sizeof(struct alg_ftp) +
			       2 * (512 + ALG_OUT_SMALL) <=
		       ALG_KEEP,
	       "room for FTP");
_Static_assert(sizeof(struct kept) + offsetof(struct alg_session, pptp) + sizeof(struct alg_pptp) +
			       2 * (ALG_PPTP_HOLD + ALG_OUT_SMALL) <=
		       ALG_KEEP,
	       "room for PPTP");
_Static_assert(sizeof(struct kept) + sizeof(struct alg_session) +
			       2 * (ALG_HELD_BIG + ALG_OUT_BIG) <=
		       ALG_BIG,
	       "room for SIP");

/* Connections are few and a failure is not fatal: what is not pinned is lost only if ctd
 * dies before the listener has acknowledged it. */
void alg_conn_save(struct alg_conn *c)
{
	if (c->session->off && !c->dir[0].n_out && !c->dir[1].n_out) {
		bpf_map_delete_elem(keep_fd(c), &c->key);
	} else {
		pack(c);
		if (bpf_map_update_elem(keep_fd(c), &c->key, image, BPF_ANY))
			log_event(LOG_TRACE, "alg_keep", "error=\"%s\"", strerror(errno));
	}
	if (c->dirty && bpf_map_update_elem(c->d->core.pins.alg_fd, &c->key, &c->map, BPF_EXIST))
		log_event(LOG_TRACE, "alg_map", "error=\"%s\"", strerror(errno));
	c->dirty = false;
}

uint64_t alg_conn_word(struct alg_conn *c, struct ct_tcp *tcp)
{
	const struct bpfct_pins *p = &c->d->core.pins;
	bool six = c->key.key.pad == 6;
	union {
		struct ct_conn c;
		struct ct_conn4 c4;
		struct ct_conn6 c6;
	} conn;
	struct ct_key4 k4 = {0};
	struct ct_key6 k6 = c->key.key;
	uint32_t life;
	int i;

	k6.pad = 0;
	for (i = 0; i < 2; i++) {
		k4.addr[i] = k6.addr[i][0];
		k4.port[i] = k6.port[i];
	}
	k4.zone = k6.zone;
	k4.proto = k6.proto;
	if (bpf_map_lookup_elem(p->conn_fd[six], six ? (void *)&k6 : (void *)&k4, &conn))
		return 0;
	life = ct_w_life(conn.c.word);
	if (ct_w_gen(conn.c.word) != c->key.gen ||
	    (life != CT_LIFE_HALF_OPEN && life != CT_LIFE_CONFIRMED && life != CT_LIFE_SETUP))
		return 0;
	if (tcp)
		*tcp = conn.c.tcp;
	return conn.c.word;
}

static void invert(struct ct_tuple *out, const struct ct_tuple *t)
{
	*out = *t;
	memcpy(out->saddr, t->daddr, sizeof(out->saddr));
	memcpy(out->daddr, t->saddr, sizeof(out->daddr));
	out->sport = t->dport;
	out->dport = t->sport;
}

static void conn_free(struct alg_conn *c)
{
	int i, j;

	for (i = 0; i < 2; i++)
		for (j = 0; j < ALG_AHEAD; j++)
			free(c->ahead[i][j].bytes);
	if (c->timer)
		event_free(c->timer);
	free(c->session);
	free(c);
}

static struct alg_conn *conn_new(struct ctd *d, const struct ct_label_key *key)
{
	struct alg_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->d = d;
	c->key = *key;
	c->session = calloc(1, sizeof(*c->session));
	if (!c->session) {
		free(c);
		return NULL;
	}
	return c;
}

static void enter(struct alg_conn *c)
{
	struct alg_conn **chain = chain_of(c->d->alg, &c->key);

	c->next = *chain;
	*chain = c;
	c->d->alg->stats.conns++;
}

static void leave(struct alg_conn *c)
{
	struct alg_conn **p = chain_of(c->d->alg, &c->key);

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p)
		*p = c->next;
	c->d->alg->stats.conns--;
}

/* From one of the two maps of a former ctd, or of ours. */
static bool load(struct alg_conn *c, int fd, size_t size)
{
	if (bpf_map_lookup_elem(fd, &c->key, image) || !unpack(c, size))
		return false;
	alg_master_of(c);
	return true;
}

static bool begin(struct alg_conn *c, const struct alg_packet *p)
{
	struct ct_tuple tuple[2];

	if (bpf_map_lookup_elem(c->d->core.pins.alg_fd, &c->key, &c->map))
		return false;
	tuple[p->dir & 1] = p->from;
	invert(&tuple[!(p->dir & 1)], &p->to);
	if (alg_session_init(c->session, p->helper, tuple, c->d->alg->key)) {
		c->map.off = 1;
		c->dirty = true;
	}
	alg_master_of(c);
	return true;
}

struct alg_conn *alg_conn_get(struct ctd *d, const struct alg_packet *p)
{
	struct alg_conn *c;

	for (c = *chain_of(d->alg, &p->conn); c; c = c->next)
		if (!memcmp(&c->key, &p->conn, sizeof(c->key)))
			return c;
	if (d->alg->stats.conns >= ALG_CONNS) {
		d->alg->stats.refused++;
		return NULL;
	}
	c = conn_new(d, &p->conn);
	if (!c)
		return NULL;
	if (!alg_conn_word(c, NULL) || !begin(c, p)) {
		conn_free(c);
		return NULL;
	}
	enter(c);
	return c;
}

/* A line for the first reason met on a connection; all are counted. */
static void count(struct alg_conn *c, const struct alg_out *out)
{
	struct alg_stats *stats = &c->d->alg->stats;
	int i, first = 0;

	for (i = 1; i < ALG_R_COUNT; i++) {
		stats->reason[i] += out->count[i];
		if (out->count[i] && !first)
			first = i;
	}
	if (first && !c->logged) {
		log_event(LOG_INFO, "alg", "helper=%s reason=%s%s",
			  alg_helper_name(c->session->helper), alg_reason_name(first),
			  out->verdict == ALG_OFF ? " off=yes" : "");
		c->logged = true;
	}
}

size_t alg_conn_feed(struct alg_conn *c, int dir, uint8_t flags, const uint8_t *bytes, size_t len,
		     uint8_t *to, size_t room, size_t *n_to, bool *hold)
{
	struct alg_out *out = &c->d->alg->out;
	struct alg_in in = {.dir = dir, .flags = flags};
	struct timespec now;
	struct alg_ops ops;
	long n;

	*n_to = 0;
	*hold = false;
	clock_gettime(CLOCK_BOOTTIME, &now);
	in.bytes = bytes;
	in.len = len;
	in.now_s = now.tv_sec;
	alg_ops_of(c, &ops);
	alg_feed(c->session, &in, &ops, out);
	alg_expect_events(c, out);
	count(c, out);
	if (out->verdict == ALG_OFF) {
		c->map.off = 1;
		c->dirty = true;
	}
	*hold = out->verdict == ALG_HOLD;
	n = alg_apply(out, bytes, to, room);
	if (n < 0)
		return 0;
	*n_to = n;
	return out->consumed;
}

void alg_conn_end(struct alg_conn *c)
{
	struct alg_out *out = &c->d->alg->out;
	struct alg_ops ops;

	alg_ops_of(c, &ops);
	alg_end(c->session, &ops, out);
	alg_expect_events(c, out);
	expect_del_of(c->d, &c->key);
	bpf_map_delete_elem(keep_fd(c), &c->key);
	leave(c);
	conn_free(c);
}

/* Its record is gone; calls of PPTP end when their control connection is closed already. */
static bool over(struct alg_conn *c)
{
	uint64_t word = alg_conn_word(c, NULL);

	return !word || (c->session->helper == ALG_PPTP &&
			 ct_tcp_closed(c->key.key.proto, ct_w_state(word)));
}

void alg_conn_sweep(struct ctd *d)
{
	struct alg *a = d->alg;
	struct alg_conn *c, *next;
	unsigned int i;

	for (i = 0; i < SWEEP; i++, a->walk++)
		for (c = a->hash[a->walk % ALG_CHAINS]; c; c = next) {
			next = c->next;
			if (over(c))
				alg_conn_end(c);
		}
}

/* One pinned state: taken over, or deleted if its connection has ended meanwhile. */
static void adopt(struct ctd *d, int fd, size_t size, const struct ct_label_key *key)
{
	struct alg_conn *c = conn_new(d, key);

	if (!c)
		return;
	if (!load(c, fd, size)) {
		bpf_map_delete_elem(fd, key);
		conn_free(c);
		return;
	}
	enter(c);
	if (!alg_conn_word(c, NULL))
		alg_conn_end(c);
	else
		alg_tcp_resume(c);
}

/* Entries of the helpers' map go with their records; what a crash between two steps has left is
 * found here. */
static void drop_orphans(struct ctd *d)
{
	struct ct_label_key key, next;
	struct alg_conn c = {.d = d};
	int fd = d->core.pins.alg_fd, ret = bpf_map_get_next_key(fd, NULL, &next);

	while (!ret) {
		key = next;
		ret = bpf_map_get_next_key(fd, &key, &next);
		c.key = key;
		if (!alg_conn_word(&c, NULL))
			bpf_map_delete_elem(fd, &key);
	}
}

void alg_conn_adopt(struct ctd *d)
{
	const struct bpfct_pins *p = &d->core.pins;
	const int fd[2] = {p->algsess_fd, p->algbig_fd};
	const size_t size[2] = {ALG_KEEP, ALG_BIG};
	struct ct_label_key key, next;
	int i, ret;

	drop_orphans(d);
	for (i = 0; i < 2; i++) {
		ret = bpf_map_get_next_key(fd[i], NULL, &next);
		while (!ret) {
			key = next;
			ret = bpf_map_get_next_key(fd[i], &key, &next);
			adopt(d, fd[i], size[i], &key);
		}
	}
}

void alg_conn_free_all(struct ctd *d)
{
	struct alg *a = d->alg;
	struct alg_conn *c;
	unsigned int i;

	for (i = 0; i < ALG_CHAINS; i++)
		while ((c = a->hash[i])) {
			a->hash[i] = c->next;
			conn_free(c);
		}
}
