// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * nf_conntrack is read by a netlink dump. With more of them than we may hold, those
 * that are ASSURED come first: so the dump is read twice. The kernel's module is not
 * loaded for it: who has none in use has nothing to import.
 */
#include "import.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <libnetfilter_conntrack/linux_nfnetlink_conntrack.h>

#include "../lib/flow_make.h"
#include "../lib/nfct_flow.h"
#include "expect_gre.h"
#include "nat_pool.h"
#include "rules.h"

#define COUNT_FILE "/proc/sys/net/netfilter/nf_conntrack_count"
#define TRIES	   100 /* of a create that loses against packets */

struct pass {
	struct ctd *d;
	struct import_stats *stats;
	bool assured; /* which ones this time */
	bool opening; /* handshakes too */
	uint64_t now_ns;
};

static bool is_loopback(const struct ct_flow *flow)
{
	static const uint8_t one[16] = {[15] = 1};

	if (flow->family == 6)
		return !memcmp(flow->key6.addr[0], one, 16) || !memcmp(flow->key6.addr[1], one, 16);
	return (ntohl(flow->key4.addr[0]) >> 24) == 127 || (ntohl(flow->key4.addr[1]) >> 24) == 127;
}

static bool is_opening(const struct ct_flow *flow)
{
	uint8_t proto = flow->family == 6 ? flow->key6.proto : flow->key4.proto;

	switch (ct_w_state(flow->c.word)) {
	case CT_TCP_SYN_SENT:
	case CT_TCP_SYN_RECV:
	case CT_TCP_SYN_SENT2:
		return proto == IPPROTO_TCP;
	}
	return false;
}

/* pool_base of the rule that a pool belongs to; 0: of none that binds. */
static uint32_t pool_base(struct ctd *d, uint32_t pool)
{
	const struct fw_rules *rules = rules_compiled(d);
	uint32_t i;

	if (!(d->nat->m.pool[pool].flags & NAT_POOL_EIM))
		return 0;
	for (i = 0; i < rules->n_nats; i++) {
		const struct fw_nat_rule *r = &rules->nat[i];

		if (r->pool_base && pool >= r->pool_base &&
		    pool - r->pool_base < r->addrs * NAT_CLASSES)
			return r->pool_base;
	}
	return 0;
}

static int control(struct ctd *d, struct ct_control *req)
{
	int ret, i;

	for (i = 0; i < TRIES; i++) {
		ret = bpfct_control(&d->core.pins, req);
		if (!ret)
			ret = req->result;
		if (ret != -EAGAIN)
			break;
	}
	return ret;
}

/* 0, or what CT_CONTROL_CREATE says. */
static int create(struct ctd *d, const struct ct_flow *flow)
{
	static const struct ct_label none;
	struct ct_control req = {.op = CT_CONTROL_CREATE, .flow = *flow};
	uint32_t ref = ct_flow_nat_ref(flow, &d->nat->m);
	int ret;

	if (flow->c.start)
		req.set = CT_SET_START;
	if (!req.flow.c.expires)
		req.flow.c.expires = 1;
	req.flow.c.route[0] = ref;
	req.flow.c.route[1] = ref ? pool_base(d, nat_ref_pool(ref)) : 0;
	ret = control(d, &req);
	if (!ret)
		ret = expect_gre_adopt(d, flow);
	if (ret || !memcmp(&flow->label, &none, sizeof(none)))
		return ret;
	req.op = CT_CONTROL_UPDATE;
	req.set = CT_SET_LABEL;
	return control(d, &req);
}

static void count(struct import_stats *s, uint32_t *made, int ret)
{
	if (!ret)
		++*made;
	else if (ret == -EEXIST)
		s->known++;
	else if (ret == -ENOSPC)
		s->refused++;
	else
		s->failed++;
}

static int on_entry(const struct nlmsghdr *nlh, void *arg)
{
	struct pass *p = arg;
	struct ct_flow flow;
	int ret = nfct_to_flow(nlh, p->now_ns, &flow);

	if (ret == -ENOENT)
		return MNL_CB_OK;
	if (ret) {
		p->stats->foreign += p->assured; /* each is seen twice */
		return MNL_CB_OK;
	}
	if (!(flow.c.word & CT_W_STATUS(CT_S_ASSURED)) == p->assured || is_loopback(&flow) ||
	    (!p->opening && is_opening(&flow)))
		return MNL_CB_OK;
	count(p->stats, &p->stats->flows, create(p->d, &flow));
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *nl, unsigned int seq)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	return mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ? -errno : 0;
}

static int dump(struct mnl_socket *nl, struct pass *p)
{
	char buf[32768] __attribute__((aligned(8)));
	unsigned int seq = p->assured ? 1 : 2;
	ssize_t n;
	int ret = ask(nl, seq);

	while (!ret) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(buf, n, seq, mnl_socket_get_portid(nl), on_entry, p);
		if (ret < 0)
			return -errno;
		if (ret == MNL_CB_STOP)
			return 0;
		ret = 0;
	}
	return ret;
}

/* Entries of our namespace; 0 also when the kernel has no nf_conntrack. */
static unsigned long tracked(void)
{
	FILE *f = fopen(COUNT_FILE, "re");
	unsigned long n = 0;

	if (f) {
		if (fscanf(f, "%lu", &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

static int import_conntrack(struct ctd *d, bool opening, struct import_stats *stats)
{
	struct pass p = {.d = d, .stats = stats, .opening = opening};
	struct mnl_socket *nl;
	struct timespec now;
	int ret = 0, turn;

	if (!tracked())
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	p.now_ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		ret = -errno;
	for (turn = 0; turn < 2 && !ret; turn++) {
		p.assured = !turn;
		ret = dump(nl, &p);
	}
	mnl_socket_close(nl);
	return ret;
}

static void enter_socket(struct ctd *d, const struct ct_flow *flow, void *arg)
{
	struct import_stats *s = arg;

	if (!is_loopback(flow))
		count(s, &s->sockets, create(d, flow));
}

static int import_all(struct ctd *d, bool opening, struct import_stats *stats)
{
	int ret = import_conntrack(d, opening, stats);

	return ret ? ret : import_sockets(d, enter_socket, stats);
}

static void log_stats(const struct import_stats *s)
{
	log_event(LOG_INFO, "import", "connections=%u sockets=%u no_room=%u foreign=%u failed=%u",
		  s->flows, s->sockets, s->refused, s->foreign, s->failed);
	if (s->refused)
		log_event(LOG_WARN, "import",
			  "no_room=%u reason=\"more live connections than set limit confirmed\"",
			  s->refused);
}

static bool due(const struct ctd *d)
{
	return !d->core.pins.settings->imported && rules_settings(d)->import;
}

static void import_logged(struct ctd *d, bool opening, struct import_stats *stats)
{
	int ret = import_all(d, opening, stats);

	if (ret)
		log_event(LOG_FAULT, "import", "error=\"%s\"", strerror(-ret));
}

void import_begin(struct ctd *d, struct import_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	if (due(d))
		import_logged(d, false, stats);
}

/* Refused and the like of the first walk are met once more by the second. */
void import_end(struct ctd *d, struct import_stats *stats)
{
	struct import_stats first = *stats;

	memset(stats, 0, sizeof(*stats));
	if (due(d)) {
		import_logged(d, true, stats);
		stats->flows += first.flows;
		stats->sockets += first.sockets;
		log_stats(stats);
	}
	d->core.pins.settings->imported = 1;
}

int import_now(struct ctd *d, struct import_stats *out)
{
	memset(out, 0, sizeof(*out));
	return import_all(d, true, out);
}
