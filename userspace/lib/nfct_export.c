// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nfct_export.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <netinet/in.h>

#include "flow_make.h"
#include "nfct_flow.h"

struct export
{
	struct bpfct_pins *pins;
	struct nfct_exported *out;
	struct mnl_socket *nl;
	struct ct_view_clock clock;
	unsigned int seq;
	unsigned int what; /* NFCT_*: what this kernel takes */
	bool asked;	   /* the kernel has answered one */
};

/* 0 or the kernel's -errno. */
static int request(struct export *e, struct nlmsghdr *nlh)
{
	char buf[MNL_SOCKET_BUFFER_SIZE] __attribute__((aligned(8)));
	ssize_t n;

	if (!nlh)
		return -ENOMEM;
	nlh->nlmsg_seq = ++e->seq;
	if (mnl_socket_sendto(e->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(e->nl, buf, sizeof(buf));
	if (n < 0)
		return -errno;
	if (mnl_cb_run(buf, n, e->seq, mnl_socket_get_portid(e->nl), NULL, NULL) < 0)
		return -errno;
	return 0;
}

/* A kernel may be built without marks or labels, and says so to the first that has one. */
static int create(struct export *e, const struct ct_flow *flow)
{
	char buf[MNL_SOCKET_BUFFER_SIZE] __attribute__((aligned(8)));
	int ret = request(e, nfct_from_flow(buf, flow, &e->clock, e->what));

	if (ret == -EOPNOTSUPP && e->what) {
		e->what = 0;
		ret = request(e, nfct_from_flow(buf, flow, &e->clock, e->what));
	}
	return ret;
}

static int replace(struct export *e, const struct ct_flow *flow)
{
	char buf[MNL_SOCKET_BUFFER_SIZE] __attribute__((aligned(8)));
	int ret = request(e, nfct_delete_flow(buf, flow, &e->clock));

	if (!ret)
		ret = create(e, flow);
	if (!ret)
		e->out->replaced++;
	return ret;
}

/* From now on nf_conntrack translates it just so: with rules that track it must not go by
 * the stack and be translated twice. One that ends meanwhile needs nothing. */
static void note(struct export *e, const struct ct_flow *flow)
{
	struct ct_control req = {.op = CT_CONTROL_UPDATE, .set = CT_SET_STATUS, .flow = *flow};

	req.gen = ct_w_gen(flow->c.word);
	req.flow.c.word = CT_W_STATUS(CT_S_TAKEN);
	do {
		if (bpfct_control(e->pins, &req))
			return;
	} while (req.result == -EAGAIN);
}

static bool is_loopback(const struct ct_view *v)
{
	const uint8_t *a = v->side[CT_ORIG].src;

	if (v->family == 4)
		return a[0] == 127;
	return IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)(const void *)a);
}

static int on_flow(const struct ct_flow *flow, void *arg)
{
	struct export *e = arg;
	struct ct_view v;
	int ret;

	ct_view_fill(&v, flow, &e->clock);
	if (!ct_view_listed(&v) || is_loopback(&v))
		return 0;
	ret = create(e, flow);
	if (ret == -EEXIST)
		ret = replace(e, flow);
	if (ret == -EPERM && !e->asked)
		return ret;
	e->asked = true;
	if (!ret) {
		note(e, flow);
		e->out->flows++;
		return 0;
	}
	e->out->failed++;
	if (!e->out->first)
		e->out->first = ret;
	return 0;
}

int nfct_export(struct bpfct_pins *p, struct nfct_exported *out)
{
	struct export e = {.pins = p, .out = out, .what = NFCT_MARK | NFCT_LABEL};
	struct timespec now;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	clock_gettime(CLOCK_REALTIME, &now);
	e.clock.hz = p->settings->hz ? p->settings->hz : 250;
	e.clock.now_tick = bpfct_now(p);
	e.clock.now_ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	e.nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!e.nl)
		return -errno;
	if (mnl_socket_bind(e.nl, 0, MNL_SOCKET_AUTOPID) < 0)
		ret = -errno;
	if (!ret)
		ret = bpfct_dump(p, 4, on_flow, &e);
	if (!ret)
		ret = bpfct_dump(p, 6, on_flow, &e);
	mnl_socket_close(e.nl);
	return ret;
}
