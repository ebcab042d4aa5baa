/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_OUTPUT_H
#define BPFCT_OVS_DP_OUTPUT_H

#include "dp_kernel.h"
#include "dp_work.h"

/*
 * A copy of the packet runs the actions from `from` to `to`: through the execute device,
 * whose egress program takes over what this one knows (OVS_WORK_HANDED). It has come to its
 * end when this returns. 0 or a drop reason, of the copy alone.
 */
__noinline int ovs_copy(struct __sk_buff *skb, __u32 from, __u32 to)
{
	const struct ovs_config *cfg = ovs_config();
	struct ovs_cpu *cpu = ovs_cpu();
	struct ovs_work *w;
	__u32 level;
	int v;

	if (!cfg || !cpu)
		return -CT_DROP_OVS_PROGRAM;
	level = cpu->level;
	if (level >= OVS_LEVEL_MAX)
		return -CT_DROP_OVS_DEPTH;
	if (!cfg->exec_ifindex)
		return -CT_DROP_OVS_COPY;
	w = ovs_work_at(cpu, level);
	w->copy_pc = from;
	w->copy_end = to;
	w->copying = 1;
	cpu->level = level + 1;
	v = bpf_clone_redirect(skb, cfg->exec_ifindex, 0);
	cpu->level = level;
	w->copying = 0;
	if (v < 0)
		return -CT_DROP_OVS_COPY;
	ovs_stat(OVS_STAT_COPY);
	return 0;
}

/* Where a port's packets go: its device, if that is in the packet's namespace. An ifindex
 * means another device elsewhere. 0 or a drop reason. */
static __always_inline int ovs_way(struct __sk_buff *skb, __u32 port, __u32 *ifindex)
{
	const struct ovs_config *cfg = ovs_config();
	struct ovs_port *p = ovs_port_of(port);
	struct ovs_work *w = ovs_work();
	__u64 there;

	if (!p || !cfg || !w)
		return -CT_DROP_OVS_PORT;
	there = p->netns ? p->netns : cfg->netns;
	if (there && !w->netns)
		w->netns = ovs_netns(skb);
	if (there && there != w->netns)
		return -CT_DROP_OVS_NETNS;
	*ifindex = p->ifindex;
	return 0;
}

/* Sends a copy as the packet is now; this one goes on. 0 or a drop reason. */
__noinline int ovs_send(struct __sk_buff *skb, __u32 port)
{
	struct ovs_cpu *cpu = ovs_cpu();
	__u32 ifindex, level;
	int v;

	if (!cpu)
		return -CT_DROP_OVS_PROGRAM;
	v = ovs_way(skb, port, &ifindex);
	if (v < 0)
		return v;
	/* A tunnel's outer packet may reach a port of ours in here. */
	level = cpu->level;
	if (level >= OVS_LEVEL_MAX)
		return -CT_DROP_OVS_DEPTH;
	cpu->level = level + 1;
	v = bpf_clone_redirect(skb, ifindex, 0);
	cpu->level = level;
	return v < 0 ? -CT_DROP_OVS_PORT : 0;
}

/* The last output: what the program returns, or a drop reason. */
static __always_inline int ovs_leave(struct __sk_buff *skb, __u32 port)
{
	__u32 ifindex;
	int v;

	v = ovs_way(skb, port, &ifindex);
	return v < 0 ? v : bpf_redirect(ifindex, 0);
}

/* Cuts the packet to what TRUNC left of it. 1: the kernel does not cut in front of where it has
 * the transport header, or behind; trunc stays. */
__noinline int ovs_cut(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	__u32 len;

	if (!w)
		return -CT_DROP_OVS_PROGRAM;
	len = w->trunc;
	w->trunc = 0;
	if (!len || len >= skb->len)
		return 0;
	w->stale = 1;
	if (!bpf_skb_change_tail(skb, len, 0))
		return 0;
	w->trunc = len;
	return 1;
}

#endif
