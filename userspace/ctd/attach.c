// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "alg_io.h"
#include "firewall.h"
#include "links.h"
#include "rules.h"
#include "tcx.h"

#define OUR_PRIORITY 2847

struct attach {
	struct ifset on;   /* with our programs */
	struct ifset port; /* ports of a bridge, bond or team: without them */
	bool doubt;	   /* messages were lost: neither is certain */
	bool clsact;	   /* by filters of the clsact qdisc: asked for, or no TCX here */
	time_t quiet;	   /* no line before that about programs taken away */
	unsigned int unsaid;
};

/* FNV-1a of the instance's name: several instances may share an interface. */
static uint32_t our_handle(const char *instance)
{
	uint32_t h = 2166136261u;

	for (; *instance; instance++)
		h = (h ^ (unsigned char)*instance) * 16777619u;
	return (h & 0x7fffffff) | 1;
}

static bool has(const uint32_t *v, unsigned int n, uint32_t x)
{
	while (n--)
		if (v[n] == x)
			return true;
	return false;
}

static void note_clsact(struct run_lock *lock, uint32_t ifindex)
{
	if (has(lock->clsact, lock->n_clsact, ifindex) || lock->n_clsact == RUN_MAX_CLSACT)
		return;
	lock->clsact[lock->n_clsact++] = ifindex;
	if (run_lock_write(lock))
		log_event(LOG_WARN, "lock_file", "error=\"%s\"", strerror(errno));
}

static bool clsact_empty(struct mnl_socket *nl, uint32_t ifindex);
static int detach_clsact(const char *instance, uint32_t ifindex);

static int attach_clsact(struct ctd *d, const struct fw_if *iface)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = iface->ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int egress, ret, prog;

	ret = bpf_tc_hook_create(&hook);
	if (!ret)
		note_clsact(&d->lock, iface->ifindex);
	else if (ret != -EEXIST)
		return ret;
	for (egress = 0; egress < 2; egress++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = our_handle(d->opt.instance),
			    .priority = OUR_PRIORITY, .flags = BPF_TC_F_REPLACE);

		prog = firewall_prog(d, egress, iface->no_l2);
		if (prog < 0)
			return prog;
		opts.prog_fd = prog;
		hook.attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
		ret = bpf_tc_attach(&hook, &opts);
		if (ret)
			return ret;
	}
	return 0;
}

/* What a former ctd attached by the qdisc, and the qdisc if that was its own. */
static int leave_clsact(struct ctd *d, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct run_lock *lock = &d->lock;
	struct mnl_socket *nl;
	int ret = detach_clsact(d->opt.instance, ifindex);
	unsigned int i;

	for (i = 0; i < lock->n_clsact && lock->clsact[i] != ifindex; i++)
		;
	if (i == lock->n_clsact)
		return ret;
	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) >= 0 && clsact_empty(nl, ifindex)) {
		bpf_tc_hook_destroy(&hook);
		lock->clsact[i] = lock->clsact[--lock->n_clsact];
		run_lock_write(lock);
	}
	if (nl)
		mnl_socket_close(nl);
	return ret;
}

static int attach_tcx(struct ctd *d, const struct fw_if *iface)
{
	int egress, prog, ret = 0;

	for (egress = 0; egress < 2 && !ret; egress++) {
		prog = firewall_prog(d, egress, iface->no_l2);
		if (prog < 0)
			return prog;
		ret = tcx_attach(d->opt.instance, iface->ifindex, egress, prog);
	}
	return ret;
}

/* By TCX if there is that. What a former ctd attached the other way goes
 * afterwards: for a moment packets meet both programs, never none. */
static int attach_one(struct ctd *d, const struct fw_if *iface)
{
	int ret = d->attach->clsact ? -EOPNOTSUPP : attach_tcx(d, iface);

	if (!ret) {
		(void)leave_clsact(d, iface->ifindex);
		return 0;
	}
	if (ret != -EOPNOTSUPP)
		return ret;
	d->attach->clsact = true;
	ret = attach_clsact(d, iface);
	if (!ret)
		tcx_detach(d->opt.instance, iface->ifindex);
	return ret;
}

/* An interface that went away while we looked at it is no error. */
static int attach_new(struct ctd *d, const struct fw_if *iface)
{
	struct attach *a = d->attach;
	int ret;

	if (ifset_has(&a->on, iface->ifindex) && !a->doubt)
		return 0;
	ret = attach_one(d, iface);
	if (!ret)
		ret = ifset_add(&a->on, iface->ifindex);
	else
		ifset_del(&a->on, iface->ifindex);
	if (!ret)
		log_event(LOG_TRACE, "attached", "interface=%s ifindex=%u", iface->name,
			  iface->ifindex);
	return ret == -ENODEV ? 0 : ret;
}

bool attach_present(const char *instance, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex);
	int egress;

	if (tcx_present(instance, ifindex))
		return true;
	for (egress = 0; egress < 2; egress++) {
		LIBBPF_OPTS(bpf_tc_opts, query, .handle = our_handle(instance),
			    .priority = OUR_PRIORITY);

		hook.attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
		if (bpf_tc_query(&hook, &query))
			return false;
	}
	return true;
}

static int detach_clsact(const char *instance, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex);
	int egress, ret, first = 0;

	for (egress = 0; egress < 2; egress++) {
		LIBBPF_OPTS(bpf_tc_opts, query, .handle = our_handle(instance),
			    .priority = OUR_PRIORITY);
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = our_handle(instance),
			    .priority = OUR_PRIORITY);

		hook.attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
		if (bpf_tc_query(&hook, &query))
			continue; /* nothing of ours there */
		ret = bpf_tc_detach(&hook, &opts);
		if (ret && ret != -ENOENT && ret != -ENODEV && !first)
			first = ret;
	}
	return first;
}

/* Also when we know of no programs there: a former ctd may have left them. */
static int leave_port(struct ctd *d, const struct fw_if *iface)
{
	struct attach *a = d->attach;
	int ret;

	if (ifset_has(&a->port, iface->ifindex) && !a->doubt)
		return 0;
	/* Not ours any more before it is done: our own RTM_DELTFILTER is no loss. */
	ifset_del(&a->on, iface->ifindex);
	tcx_detach(d->opt.instance, iface->ifindex);
	ret = leave_clsact(d, iface->ifindex);
	if (!ret)
		ret = ifset_add(&a->port, iface->ifindex);
	if (!ret)
		log_event(LOG_TRACE, "port", "interface=%s ifindex=%u", iface->name,
			  iface->ifindex);
	return ret;
}

static int settle(struct ctd *d, const struct fw_if *iface, const struct ifset *ports)
{
	if (iface->loopback || alg_is_device(iface->name))
		return 0;
	/* A skipped interface is left to itself as a port is. Whatever else keeps packets
	 * from interfaces without our programs must let pass what these carry. */
	if (ifset_has(ports, iface->ifindex) || rules_skips(d, iface->name))
		return leave_port(d, iface);
	ifset_del(&d->attach->port, iface->ifindex);
	return attach_new(d, iface);
}

/* Interfaces that went while there was no ctd: to another namespace, perhaps,
 * with our programs on them. */
static void leave_gone(struct ctd *d, const struct fw_ifs *ifs)
{
	uint32_t *v = calloc(ifs->n + 1, sizeof(*v));
	unsigned int i;

	for (i = 0; v && i < ifs->n; i++)
		v[i] = ifs->v[i].ifindex;
	if (v)
		tcx_detach_others(d->opt.instance, v, ifs->n);
	free(v);
}

int attach_start(struct ctd *d)
{
	const struct fw_ifs *ifs = rules_ifs(d);
	struct ifset ports;
	unsigned int i;
	int ret;

	d->attach = calloc(1, sizeof(*d->attach));
	if (!d->attach)
		return -ENOMEM;
	d->attach->clsact = d->opt.clsact;
	leave_gone(d, ifs);
	ret = links_ports(&ports);
	if (ret) {
		log_fail("cannot read the interfaces: %s", strerror(-ret));
		return ret;
	}
	for (i = 0; i < ifs->n && !ret; i++) {
		ret = settle(d, &ifs->v[i], &ports);
		if (ret)
			log_fail("interface %s: cannot attach: %s", ifs->v[i].name, strerror(-ret));
	}
	ifset_free(&ports);
	return ret;
}

static bool exists(const struct fw_ifs *ifs, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < ifs->n; i++)
		if (ifs->v[i].ifindex == ifindex)
			return true;
	return false;
}

static unsigned int keep_existing(uint32_t *v, unsigned int n, const struct fw_ifs *ifs)
{
	unsigned int i, kept = 0;

	for (i = 0; i < n; i++)
		if (exists(ifs, v[i]))
			v[kept++] = v[i];
	return kept;
}

void attach_refresh(struct ctd *d)
{
	const struct fw_ifs *ifs = rules_ifs(d);
	struct attach *a = d->attach;
	struct ifset ports, *known = &ports;
	unsigned int i, n;
	int ret;

	for (i = 0; i < a->on.n; i++)
		if (!exists(ifs, a->on.v[i]))
			tcx_detach(d->opt.instance, a->on.v[i]);
	a->on.n = keep_existing(a->on.v, a->on.n, ifs);
	a->port.n = keep_existing(a->port.v, a->port.n, ifs);
	n = keep_existing(d->lock.clsact, d->lock.n_clsact, ifs);
	if (n != d->lock.n_clsact) {
		d->lock.n_clsact = n;
		run_lock_write(&d->lock);
	}
	ret = links_ports(&ports);
	if (ret) { /* what we cannot tell to be a port is filtered */
		log_event(LOG_FAULT, "interfaces", "error=\"%s\"", strerror(-ret));
		known = &a->port;
	}
	for (i = 0; i < ifs->n; i++) {
		ret = settle(d, &ifs->v[i], known);
		if (ret)
			log_event(LOG_FAULT, "attach", "interface=%s error=\"%s\"", ifs->v[i].name,
				  strerror(-ret));
	}
	a->doubt = false;
	if (known == &ports)
		ifset_free(&ports);
}

void attach_forget(struct ctd *d, uint32_t ifindex)
{
	if (!d->attach)
		return;
	tcx_detach(d->opt.instance, ifindex);
	ifset_del(&d->attach->on, ifindex);
	ifset_del(&d->attach->port, ifindex);
}

void attach_doubt(struct ctd *d)
{
	if (d->attach)
		d->attach->doubt = true;
}

static const char *name_of(const struct ctd *d, uint32_t ifindex)
{
	const struct fw_ifs *ifs = rules_ifs(d);
	unsigned int i;

	for (i = 0; i < ifs->n; i++)
		if (ifs->v[i].ifindex == ifindex)
			return ifs->v[i].name;
	return "?";
}

/* One line a second: whoever takes them away in a loop does not fill the log. */
static void log_loss(struct ctd *d, uint32_t ifindex)
{
	struct attach *a = d->attach;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < a->quiet) {
		a->unsaid++;
		return;
	}
	log_event(LOG_WARN, "programs_removed", "interface=%s ifindex=%u unsaid=%u",
		  name_of(d, ifindex), ifindex, a->unsaid);
	a->quiet = now.tv_sec + 2; /* whole seconds: at least one */
	a->unsaid = 0;
}

bool attach_lost(struct ctd *d, const struct nlmsghdr *nlh)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);
	bool ours;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*tc) || !d->attach || !d->attach->clsact)
		return false;
	if (nlh->nlmsg_type == RTM_DELQDISC)
		ours = tc->tcm_parent == TC_H_CLSACT;
	else /* RTM_DELTFILTER; handle 0: all of the priority */
		ours = TC_H_MAJ(tc->tcm_parent) == TC_H_MAJ(TC_H_CLSACT) &&
		       TC_H_MAJ(tc->tcm_info) >> 16 == OUR_PRIORITY &&
		       (!tc->tcm_handle || tc->tcm_handle == our_handle(d->opt.instance));
	if (!ours || !ifset_del(&d->attach->on, tc->tcm_ifindex))
		return false;
	log_loss(d, tc->tcm_ifindex);
	return true;
}

bool attach_check(struct ctd *d)
{
	struct attach *a = d->attach;
	bool lost = false;
	uint32_t ifindex;
	unsigned int i;

	if (!a || a->clsact)
		return false;
	for (i = a->on.n; i-- > 0;) {
		ifindex = a->on.v[i];
		if (tcx_attached(d->opt.instance, ifindex))
			continue;
		ifset_del(&a->on, ifindex);
		log_loss(d, ifindex);
		lost = true;
	}
	return lost;
}

void attach_stop(struct ctd *d)
{
	if (!d->attach)
		return;
	ifset_free(&d->attach->on);
	ifset_free(&d->attach->port);
	free(d->attach);
	d->attach = NULL;
}

unsigned int attach_list(const struct ctd *d, const uint32_t **ifindex)
{
	static const uint32_t none;

	*ifindex = NULL;
	if (!d->attach)
		return 0;
	/* An empty list is not NULL, which says that nobody knows. */
	*ifindex = d->attach->on.v ? d->attach->on.v : &none;
	return d->attach->on.n;
}

static int count_filter(const struct nlmsghdr *nlh, void *count)
{
	if (nlh->nlmsg_type == RTM_NEWTFILTER)
		(*(unsigned int *)count)++;
	return MNL_CB_OK;
}

/* Filters on one side of an interface's clsact; -errno if that cannot be told. */
static int count_filters(struct mnl_socket *nl, uint32_t ifindex, uint32_t parent)
{
	char buf[16384];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc;
	unsigned int count = 0;
	ssize_t n;
	int ret = MNL_CB_OK;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = parent;
	tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = ifindex;
	tc->tcm_parent = parent;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (ret > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(buf, n, parent, mnl_socket_get_portid(nl), count_filter, &count);
	}
	return ret < 0 ? -errno : (int)count;
}

static bool clsact_empty(struct mnl_socket *nl, uint32_t ifindex)
{
	return count_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) == 0 &&
	       count_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)) == 0;
}

int attach_remove(const char *instance, const struct run_lock *lock)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct fw_ifs ifs = {0};
	unsigned int i;
	int ret = -EIO, one;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		goto out;
	ret = fw_ifs_read(&ifs);
	for (i = 0; i < ifs.n; i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifs.v[i].ifindex,
			    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

		tcx_detach(instance, ifs.v[i].ifindex);
		one = detach_clsact(instance, ifs.v[i].ifindex);
		if (one && !ret)
			ret = one;
		if (has(lock->clsact, lock->n_clsact, ifs.v[i].ifindex) &&
		    clsact_empty(nl, ifs.v[i].ifindex))
			bpf_tc_hook_destroy(&hook);
	}
	fw_ifs_free(&ifs);
out:
	mnl_socket_close(nl);
	return ret;
}
