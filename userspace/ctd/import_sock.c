// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The host's own connections that nobody has tracked. Who began one is not kept by the
 * kernel: if a socket listens on the local port, the other side did.
 */
#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "../lib/flow_make.h"
#include "import.h"
#include "sock_dump.h"

/* Those that exchange data, or are closing and may have some on the way. */
#define TCP_LIVE                                                                                   \
	(1 << TCP_ESTABLISHED | 1 << TCP_FIN_WAIT1 | 1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSE_WAIT |    \
	 1 << TCP_LAST_ACK | 1 << TCP_CLOSING)

struct walk {
	struct ctd *d;
	import_fn enter;
	void *arg;
	int proto;
	uint8_t listens[65536 / 8]; /* local TCP ports */
};

static void on_listener(const struct inet_diag_msg *m, void *arg)
{
	struct walk *w = arg;
	uint16_t port = ntohs(m->id.idiag_sport);

	w->listens[port / 8] |= 1 << port % 8;
}

static uint8_t tcp_state(uint8_t state)
{
	switch (state) {
	case TCP_ESTABLISHED:
		return CT_TCP_ESTABLISHED;
	case TCP_FIN_WAIT1:
		return CT_TCP_FIN_WAIT;
	case TCP_FIN_WAIT2:
	case TCP_CLOSE_WAIT:
		return CT_TCP_CLOSE_WAIT;
	}
	return CT_TCP_LAST_ACK;
}

/* 4 or 6 with both addresses; IPv4 in an IPv6 socket is IPv4. */
static int read_side(const struct inet_diag_msg *m, struct ct_side *s)
{
	const struct in6_addr *src = (const void *)m->id.idiag_src;
	const struct in6_addr *dst = (const void *)m->id.idiag_dst;
	bool mapped = m->idiag_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(src);

	s->sport = ntohs(m->id.idiag_sport);
	s->dport = ntohs(m->id.idiag_dport);
	if (m->idiag_family == AF_INET6 && !mapped) {
		memcpy(s->src, src, 16);
		memcpy(s->dst, dst, 16);
		return 6;
	}
	memcpy(s->src, &src->s6_addr32[mapped ? 3 : 0], 4);
	memcpy(s->dst, &dst->s6_addr32[mapped ? 3 : 0], 4);
	return 4;
}

static void set_tcp(const struct walk *w, uint8_t state, struct ct_flow *flow)
{
	const struct ct_timeouts *t = w->d->core.pins.timeouts;

	flow->c.word |= CT_W_STATE(state) | CT_W_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	flow->c.tcp.flags[0] = flow->c.tcp.flags[1] = CT_TCP_F_LIBERAL | CT_TCP_F_SACK_PERM;
	flow->c.expires = t->secs[CT_TIMEOUT_tcp_none + state];
}

static void on_live(const struct inet_diag_msg *m, void *arg)
{
	static const uint8_t nobody[16];
	struct walk *w = arg;
	struct ct_flow flow = {0};
	struct ct_side local = {0}, remote;
	int family = read_side(m, &local);

	if (!local.dport || !memcmp(local.dst, nobody, 16) || !memcmp(local.src, local.dst, 16))
		return;
	ct_side_invert(&remote, &local, w->proto);
	if (w->proto == IPPROTO_TCP && w->listens[local.sport / 8] >> local.sport % 8 & 1)
		ct_flow_tuples(&flow, family, 0, w->proto, &remote, &local);
	else
		ct_flow_tuples(&flow, family, 0, w->proto, &local, &remote);
	if (w->proto == IPPROTO_TCP)
		set_tcp(w, tcp_state(m->idiag_state), &flow);
	else
		flow.c.expires = w->d->core.pins.timeouts->secs[CT_TIMEOUT_udp_stream];
	w->enter(w->d, &flow, w->arg);
}

int import_sockets(struct ctd *d, import_fn enter, void *arg)
{
	static const int family[] = {AF_INET, AF_INET6};
	static const struct {
		int proto;
		uint32_t states;
		sock_fn fn;
	} round[] = {
		{IPPROTO_TCP, 1 << TCP_LISTEN, on_listener},
		{IPPROTO_TCP, TCP_LIVE, on_live},
		{IPPROTO_UDP, 1 << TCP_ESTABLISHED, on_live}, /* connected ones */
	};
	struct walk w = {.d = d, .enter = enter, .arg = arg};
	struct mnl_socket *nl = sock_open();
	unsigned int i, f;
	int ret = 0;

	if (!nl)
		return -errno;
	for (i = 0; i < sizeof(round) / sizeof(round[0]); i++)
		for (f = 0; f < 2 && !ret; f++) {
			w.proto = round[i].proto;
			ret = sock_dump(nl, family[f], w.proto, round[i].states, round[i].fn, &w);
		}
	mnl_socket_close(nl);
	return ret;
}
