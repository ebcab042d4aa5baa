// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Word to a sender whose packet found no port: ICMP 3/13 for ICMP queries (RFC 5508
 * REQ-8), 3/1 otherwise (RFC 6888 REQ-11), ICMPv6 1/1. And to one that `block return`
 * turns away: TCP RST, or 3/13, 1/1. Only to inside sources (blocked: any)
 * whose route leads back to where the packet came from, never about ICMP errors,
 * multicast or broadcast, at most 10 a second to a source and 100 in all.
 */
#include "nat_icmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

#include "../lib/nat_told.h"
#include "../lib/tcp_reset.h"

#define LOG_SECS  10 /* between two lines about a pool */
#define LOG_LINES 10 /* in these seconds, about all pools */

struct nat_icmp {
	int fd[2];    /* raw sockets, IPv4 and IPv6 */
	int reset[2]; /* the same, for packets with their IP header */
	struct mnl_socket *route;
	struct nat_told told;
	struct nat_told told_blocked;
	uint64_t sent, withheld;
	double window; /* when the lines below were begun to be counted */
	unsigned int lines;
	double *logged; /* by pool; 0 is for rules without one */
	uint64_t refused_0;
};

static double monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static bool may_log(struct nat_icmp *m, uint32_t pool)
{
	double now = monotonic();

	if (m->logged[pool] && now - m->logged[pool] < LOG_SECS)
		return false;
	if (now - m->window >= LOG_SECS) {
		m->window = now;
		m->lines = 0;
	}
	if (m->lines >= LOG_LINES)
		return false;
	m->lines++;
	m->logged[pool] = now;
	return true;
}

void nat_icmp_look(struct ctd *d, uint32_t index)
{
	static const char *const class[NAT_CLASSES] = {"tcp", "udp", "icmp", "sctp"};
	struct nat *n = d->nat;
	const struct nat_pool *p = &n->m.pool[index];
	struct nat_own *own = &n->own[index];
	char addr[INET6_ADDRSTRLEN];
	uint64_t refused = 0;
	uint32_t i;

	for (i = 0; i < n->m.heads; i++)
		refused += n->m.head[p->head_base + i].refused;
	if (refused == own->refused || !may_log(n->icmp, index))
		return;
	inet_ntop(p->family == 4 ? AF_INET : AF_INET6, p->addr, addr, sizeof(addr));
	log_event(LOG_WARN, "nat_exhausted",
		  "address=%s class=%s ports=%u-%u used=%u held=%u refused=%llu", addr,
		  class[p->class], p -> port_min, p -> port_max, own -> alloc.lives[NAT_USED],
		  own->alloc.lives[NAT_HELD], (unsigned long long)(refused - own->refused));
	own->refused = refused;
}

/* Rules without a pool have no counter of their own. */
static void log_poolless(struct nat_icmp *m)
{
	m->refused_0++;
	if (!may_log(m, 0))
		return;
	log_event(LOG_WARN, "nat_exhausted", "address=- told=%llu",
		  (unsigned long long)m->refused_0);
	m->refused_0 = 0;
}

struct answer {
	uint8_t type; /* RTN_* */
	uint32_t ifindex;
};

static int route_attr(const struct nlattr *attr, void *arg)
{
	struct answer *a = arg;

	if (mnl_attr_get_type(attr) == RTA_OIF)
		a->ifindex = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(nlh);
	struct answer *a = arg;

	if (nlh->nlmsg_type == RTM_NEWROUTE) {
		a->type = rt->rtm_type;
		mnl_attr_parse(nlh, sizeof(*rt), route_attr, arg);
	}
	return MNL_CB_STOP;
}

/* How this host would send to an address. */
static struct answer route_to(struct nat_icmp *m, int family, const void *addr)
{
	struct answer a = {RTN_UNSPEC, 0};
	char buf[4096];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	static unsigned int seq;
	struct rtmsg *rt;
	ssize_t n;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = ++seq;
	rt = mnl_nlmsg_put_extra_header(nlh, sizeof(*rt));
	rt->rtm_family = family;
	rt->rtm_dst_len = family == AF_INET ? 32 : 128;
	mnl_attr_put(nlh, RTA_DST, rt->rtm_dst_len / 8, addr);
	if (mnl_socket_sendto(m->route, nlh, nlh->nlmsg_len) < 0)
		return a;
	n = mnl_socket_recvfrom(m->route, buf, sizeof(buf));
	if (n > 0)
		mnl_cb_run(buf, n, seq, mnl_socket_get_portid(m->route), on_route, &a);
	return a;
}

/* The reverse-path check; and what was sent to a network's broadcast address is
 * answered by nobody. */
static bool comes_from_there(struct nat_icmp *m, const struct nat_need *need, const __be32 *source)
{
	const struct iphdr *ip = (const void *)need->head;
	struct answer a = route_to(m, need->family == 4 ? AF_INET : AF_INET6, source);

	if (a.type != RTN_UNICAST || a.ifindex != need->ifindex)
		return false;
	return need->family == 6 || route_to(m, AF_INET, &ip->daddr).type != RTN_BROADCAST;
}

static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += p[i] << 8 | p[i + 1];
	if (len & 1)
		sum += p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* Out of the interface that the packet came from; the kernel picks our address. */
static int send_from(int fd, const struct sockaddr *to, socklen_t tolen, int level, int type,
		     const void *info, size_t infolen, const void *msg, size_t len)
{
	union {
		char buf[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)msg, len};
	struct msghdr m = {.msg_name = (void *)to,
			   .msg_namelen = tolen,
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.buf,
			   .msg_controllen = CMSG_SPACE(infolen)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(infolen);
	memcpy(CMSG_DATA(c), info, infolen);
	return sendmsg(fd, &m, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int send4(struct nat_icmp *m, const struct nat_need *need)
{
	const struct iphdr *ip = (const void *)need->head;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = ip->saddr};
	struct in_pktinfo info = {.ipi_ifindex = need->ifindex};
	uint8_t msg[sizeof(struct icmphdr) + NAT_NEED_HEAD] = {0};
	struct icmphdr *icmp = (void *)msg;

	icmp->type = ICMP_DEST_UNREACH;
	icmp->code = need->kind == NAT_NEED_BLOCKED || ip->protocol == IPPROTO_ICMP
			     ? ICMP_PKT_FILTERED
			     : ICMP_HOST_UNREACH;
	memcpy(icmp + 1, need->head, need->len);
	icmp->checksum = checksum(msg, sizeof(*icmp) + need->len);
	return send_from(m->fd[0], (void *)&to, sizeof(to), IPPROTO_IP, IP_PKTINFO, &info,
			 sizeof(info), msg, sizeof(*icmp) + need->len);
}

static int send6(struct nat_icmp *m, const struct nat_need *need)
{
	const struct ip6_hdr *ip = (const void *)need->head;
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = ip->ip6_src};
	struct in6_pktinfo info = {.ipi6_ifindex = need->ifindex};
	uint8_t msg[sizeof(struct icmp6_hdr) + NAT_NEED_HEAD] = {0};
	struct icmp6_hdr *icmp = (void *)msg;

	if (IN6_IS_ADDR_LINKLOCAL(&ip->ip6_src))
		to.sin6_scope_id = need->ifindex;
	icmp->icmp6_type = ICMP6_DST_UNREACH;
	icmp->icmp6_code = ICMP6_DST_UNREACH_ADMIN;
	memcpy(icmp + 1, need->head, need->len);
	return send_from(m->fd[1], (void *)&to, sizeof(to), IPPROTO_IPV6, IPV6_PKTINFO, &info,
			 sizeof(info), msg, sizeof(*icmp) + need->len);
}

/* A TCP reset from the address that was asked for, which need not be ours. -EPROTO:
 * no TCP, or nothing that is answered with one. */
static int send_reset(struct nat_icmp *m, const struct nat_need *need)
{
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
	struct in_pktinfo info4 = {.ipi_ifindex = need->ifindex};
	struct in6_pktinfo info6 = {.ipi6_ifindex = need->ifindex};
	uint8_t msg[TCP_RESET_MAX];
	size_t len = tcp_reset(need->head, need->len, msg);

	if (!len)
		return -EPROTO;
	if (need->family == 4) {
		to4.sin_addr.s_addr = ((const struct iphdr *)msg)->daddr;
		return send_from(m->reset[0], (void *)&to4, sizeof(to4), IPPROTO_IP, IP_PKTINFO,
				 &info4, sizeof(info4), msg, len);
	}
	to6.sin6_addr = ((const struct ip6_hdr *)msg)->ip6_dst;
	return send_from(m->reset[1], (void *)&to6, sizeof(to6), IPPROTO_IPV6, IPV6_PKTINFO, &info6,
			 sizeof(info6), msg, len);
}

static bool is_tcp(const struct nat_need *need)
{
	const struct iphdr *ip = (const void *)need->head;
	const struct ip6_hdr *ip6 = (const void *)need->head;

	return (need->family == 4 ? ip->protocol : ip6->ip6_nxt) == IPPROTO_TCP;
}

static void tell_sender(struct ctd *d, const struct nat_need *need, struct nat_told *told)
{
	struct nat_icmp *m = d->nat->icmp;
	__be32 source[4] = {0};
	int ret;

	if (!nat_told_askable(need, source))
		return;
	/* The rates last: forged sources must not use them up. BPF tells us of few
	 * enough (NAT_TOLD_A_TICK) for a look at the routes each time. */
	if (!comes_from_there(m, need, source) || !nat_told_may(told, source, monotonic() * 1000)) {
		m->withheld++;
		return;
	}
	if (need->kind == NAT_NEED_BLOCKED && is_tcp(need))
		ret = send_reset(m, need);
	else
		ret = need->family == 4 ? send4(m, need) : send6(m, need);
	if (!ret)
		m->sent++;
	else
		log_event(LOG_TRACE, "nat_icmp", "error=\"%s\"", strerror(-ret));
}

void nat_icmp_blocked(struct ctd *d, const struct nat_need *need)
{
	tell_sender(d, need, &d->nat->icmp->told_blocked);
}

void nat_icmp_exhausted(struct ctd *d, const struct nat_need *need)
{
	if (!need->pool)
		log_poolless(d->nat->icmp);
	if (need->flags & NAT_NEED_ICMP)
		tell_sender(d, need, &d->nat->icmp->told);
}

int nat_icmp_run(struct ctd *d)
{
	struct nat_icmp *m = calloc(1, sizeof(*m));
	const int family[2] = {AF_INET, AF_INET6}, proto[2] = {IPPROTO_ICMP, IPPROTO_ICMPV6};
	int i;

	if (!m)
		return -ENOMEM;
	m->fd[0] = m->fd[1] = m->reset[0] = m->reset[1] = -1;
	d->nat->icmp = m;
	m->logged = calloc(d->nat->m.pools, sizeof(*m->logged));
	if (!m->logged)
		return -ENOMEM;
	for (i = 0; i < 2; i++) {
		m->fd[i] = socket(family[i], SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, proto[i]);
		/* A host without IPv6 has no IPv6 senders. */
		if (m->fd[i] < 0 && errno != EAFNOSUPPORT)
			return -errno;
		m->reset[i] =
			socket(family[i], SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
		if (m->reset[i] < 0 && errno != EAFNOSUPPORT)
			return -errno;
	}
	m->route = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!m->route || mnl_socket_bind(m->route, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

void nat_icmp_stop(struct ctd *d)
{
	struct nat_icmp *m = d->nat->icmp;
	int i;

	if (!m)
		return;
	for (i = 0; i < 2; i++) {
		if (m->fd[i] >= 0)
			close(m->fd[i]);
		if (m->reset[i] >= 0)
			close(m->reset[i]);
	}
	if (m->route)
		mnl_socket_close(m->route);
	free(m->logged);
	free(m);
	d->nat->icmp = NULL;
}
