// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "firewall.h"
#include "rules.h"

#define OUR_PRIORITY 2847

struct attach {
	uint32_t *ifindex;
	unsigned int n;
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

static int attach_one(struct ctd *d, const struct fw_if *iface)
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

static int remember(struct attach *a, uint32_t ifindex)
{
	uint32_t *v = realloc(a->ifindex, (a->n + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	a->ifindex = v;
	a->ifindex[a->n++] = ifindex;
	return 0;
}

/* An interface that went away while we looked at it is no error. */
static int attach_new(struct ctd *d, const struct fw_if *iface)
{
	int ret;

	if (iface->loopback || has(d->attach->ifindex, d->attach->n, iface->ifindex))
		return 0;
	ret = attach_one(d, iface);
	if (ret == -ENODEV)
		return 0;
	if (!ret)
		ret = remember(d->attach, iface->ifindex);
	if (!ret)
		log_event(LOG_TRACE, "attached", "interface=%s ifindex=%u", iface->name,
			  iface->ifindex);
	return ret;
}

int attach_start(struct ctd *d)
{
	const struct fw_ifs *ifs = rules_ifs(d);
	unsigned int i;
	int ret;

	d->attach = calloc(1, sizeof(*d->attach));
	if (!d->attach)
		return -ENOMEM;
	for (i = 0; i < ifs->n; i++) {
		ret = attach_new(d, &ifs->v[i]);
		if (ret) {
			log_fail("interface %s: cannot attach: %s", ifs->v[i].name, strerror(-ret));
			return ret;
		}
	}
	return 0;
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
	unsigned int i, n;
	int ret;

	d->attach->n = keep_existing(d->attach->ifindex, d->attach->n, ifs);
	n = keep_existing(d->lock.clsact, d->lock.n_clsact, ifs);
	if (n != d->lock.n_clsact) {
		d->lock.n_clsact = n;
		run_lock_write(&d->lock);
	}
	for (i = 0; i < ifs->n; i++) {
		ret = attach_new(d, &ifs->v[i]);
		if (ret)
			log_event(LOG_FAULT, "attach", "interface=%s error=\"%s\"", ifs->v[i].name,
				  strerror(-ret));
	}
}

void attach_stop(struct ctd *d)
{
	if (!d->attach)
		return;
	free(d->attach->ifindex);
	free(d->attach);
	d->attach = NULL;
}

unsigned int attach_list(const struct ctd *d, const uint32_t **ifindex)
{
	*ifindex = d->attach ? d->attach->ifindex : NULL;
	return d->attach ? d->attach->n : 0;
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

static int detach_one(const char *instance, uint32_t ifindex)
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

		one = detach_one(instance, ifs.v[i].ifindex);
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
