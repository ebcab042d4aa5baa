/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_UPCALL_H
#define BPFCT_OVS_DP_UPCALL_H

#include "dp_extract.h"
#include "dp_kernel.h"

/*
 * Upcalls: one copy, from the packet into the ring. On Linux 6.1 a record's size must be a
 * constant, so there are four; the smallest that fits is taken.
 */
static __always_inline void ovs_upcall_head(struct __sk_buff *skb, const struct ovs_work *w,
					    struct ovs_upcall *u, __u32 caplen)
{
	__builtin_memset(u, 0, sizeof(*u));
	__builtin_memcpy(&u->key, &w->key, sizeof(u->key));
	u->len = skb->len;
	u->caplen = caplen;
	u->hash = bpf_get_hash_recalc(skb);
	u->mru = w->mru;
	if (skb->vlan_present) {
		u->vlan_tpid = skb->vlan_proto;
		u->vlan_tci = bpf_htons(skb->vlan_tci);
	}
	ovs_offloads(skb, u);
}

static __always_inline int ovs_upcall_data(struct __sk_buff *skb, struct ovs_upcall *u, __u64 len,
					   const __u64 room)
{
	/* In a form of which Linux 6.1 sees both bounds. */
	len -= 1;
	asm volatile("" : "+r"(len));
	if (len >= room)
		return -1;
	asm volatile("" : "+r"(len));
	return bpf_skb_load_bytes(skb, 0, u->data, len + 1);
}

/* A record of one class; NULL in *sent if the ring has no room for it. */
#define OVS_UPCALL_CLASS(ring, w, room_)                                                           \
	do {                                                                                       \
		struct ovs_upcall *u = bpf_ringbuf_reserve(ring, sizeof(*u) + (room_), 0);         \
                                                                                                   \
		if (!u)                                                                            \
			return -CT_DROP_OVS_UPCALL_FULL;                                           \
		ovs_upcall_head(skb, w, u, caplen);                                                \
		u->size = sizeof(*u) + (room_);                                                    \
		u->reason = reason;                                                                \
		u->cookie = cookie;                                                                \
		u->flags = flags;                                                                  \
		u->flow = reason == OVS_UPCALL_ACTION ? (w)->flow : 0;                             \
		if (ovs_upcall_data(skb, u, caplen, room_)) {                                      \
			bpf_ringbuf_discard(u, 0);                                                 \
			return -CT_DROP_PKT_ACCESS;                                                \
		}                                                                                  \
		bpf_ringbuf_submit(u, 0);                                                          \
		return sizeof(*u) + (room_);                                                       \
	} while (0)

/* Bytes of the record that was sent, or a drop reason. */
__noinline int ovs_upcall_put(struct __sk_buff *skb, __u32 ring_nr, __u32 reason, __u32 cookie,
			      __u32 flags)
{
	struct ovs_work *w = ovs_work();
	__u32 caplen = skb->len;
	void *ring = bpf_map_lookup_elem(&ovs_ring_v2, &ring_nr);

	if (!w || !ring)
		return -CT_DROP_OVS_UPCALL_FULL;
	if (w->trunc && w->trunc < caplen)
		caplen = w->trunc;
	if (caplen > OVS_UPCALL_MAX)
		caplen = OVS_UPCALL_MAX;
	if (caplen <= OVS_UPCALL_SMALL)
		OVS_UPCALL_CLASS(ring, w, OVS_UPCALL_SMALL);
	if (caplen <= OVS_UPCALL_MEDIUM)
		OVS_UPCALL_CLASS(ring, w, OVS_UPCALL_MEDIUM);
	if (caplen <= OVS_UPCALL_LARGE)
		OVS_UPCALL_CLASS(ring, w, OVS_UPCALL_LARGE);
	OVS_UPCALL_CLASS(ring, w, OVS_UPCALL_MAX);
}

/* Sends the packet in hand up, within the share of the port by which it came. 0 or a drop
 * reason. */
__noinline int ovs_upcall(struct __sk_buff *skb, __u32 reason, __u32 cookie, __u32 flags)
{
	const struct ovs_config *cfg = ovs_config();
	struct ovs_work *w = ovs_work();
	struct ovs_port *p;
	__u32 none = 0, share;
	int v = 0;

	if (!w || !cfg)
		return -CT_DROP_OVS_PROGRAM;
	/* The controller's own packet came by no port: entry 0, whose number no port is given,
	 * has its ring and its share. */
	if (w->key.in_port < OVS_PORTS)
		p = ovs_port_of(w->key.in_port);
	else
		p = bpf_map_lookup_elem(&ovs_port_v1, &none);
	if (!p)
		return -CT_DROP_OVS_PORT;
	if (w->stale)
		v = ovs_extract(skb);
	/* Packets whose lists go on in user space come at the rate of traffic: they leave the last
	 * quarter to misses of the same port. */
	share = cfg->upcall_quota;
	if (flags & OVS_USER_REST)
		share -= share / 4;
	/* Two CPUs may both see the last bytes of the share: each goes over by a record. */
	if (v >= 0 && (__s64)(*(volatile __u64 *)&p->sent - *(volatile __u64 *)&p->done) > share)
		v = -CT_DROP_OVS_UPCALL_SHARE;
	if (v >= 0)
		v = ovs_upcall_put(skb, p->ring, reason, cookie, flags);
	if (v < 0) {
		__sync_fetch_and_add(&p->refused, 1);
		ovs_stat(OVS_STAT_LOST);
		return v;
	}
	__sync_fetch_and_add(&p->sent, v);
	ovs_stat(OVS_STAT_UPCALL);
	return 0;
}

#endif
