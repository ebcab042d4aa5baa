// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What changes in the kernel holds for the next packet. ctd listens to rtnetlink, nf_tables and
 * xfrm, but runs when it is scheduled; these programs are the socket filters of its sockets,
 * and the kernel runs them while it makes the change, before whoever asked for
 * it is answered. They only say that what is remembered holds no more, and which address
 * masquerade uses now; what follows from a change is ctd's to find out. Every message is kept.
 */
#include <linux/bpf.h>
#include <linux/rtnetlink.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../bpf/ct/ct_maps.h"
#include "fw_maps.h"
#include "fw_watch.h"

#define WATCH_KEEP	 0xffffffff
#define WATCH_ATTRS	 24 /* of a message that are looked at */
#define WATCH_ADDRS	 4096
#define WATCH_NEIGHBOURS 16384
#define WATCH_MESSAGES	 32 /* of one nf_tables notification that are looked at */
#define WATCH_INET	 2
#define WATCH_INET6	 10

/* The addresses there are: lifetimes are told anew all day. Filled by ctd at its start. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WATCH_ADDRS);
	__type(key, struct watch_addr);
	__type(value, __u32);
} watch_addr_v1 SEC(".maps");

/*
 * Neighbours that have, or had, a link-layer address; those from before ctd's start are entered
 * by it. They go REACHABLE - STALE - DELAY - REACHABLE all day, each step is a message, and none
 * of them moves a packet. No route is remembered towards one that was never known, so it
 * may come, or fail, unheeded: else a scan of a LAN would cost all connections their routes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WATCH_NEIGHBOURS);
	__type(key, struct watch_neigh);
	__type(value, __u64);
} watch_neigh_v1 SEC(".maps");

/* A neighbour did not fit in there: from then on those that are not in it count as known. */
__u32 watch_neigh_full;

/* What masquerade uses of a family on an interface, and what comes next if that goes. */
struct watch_pick {
	__be32 addr[4];
	__be32 spare[4];
	__u32 changes; /* struct fw_late.changes, which this follows */
	__u8 have;
	__u8 have_spare;
	__u8 pad[2];
};
struct watch_pick_key {
	__u32 ifindex;
	__u32 family;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * FW_IFACES);
	__type(key, struct watch_pick_key);
	__type(value, struct watch_pick);
} watch_pick_v1 SEC(".maps");

static __always_inline void watch_epoch(void)
{
	__u32 zero = 0;
	struct ct_settings *set = bpf_map_lookup_elem(&ct_settings_v1, &zero);

	if (set)
		__sync_fetch_and_add(&set->route_epoch, 1);
}

/* Where the payload of the attribute of a type begins, if it has `least` bytes; 0: none. */
__noinline __u32 watch_attr(struct __sk_buff *skb, __u32 off, __u32 type, __u32 least)
{
	struct rtattr a;
	int i;

	for (i = 0; i < WATCH_ATTRS; i++) {
		if (bpf_skb_load_bytes(skb, off, &a, sizeof(a)) || a.rta_len < sizeof(a))
			return 0;
		if ((a.rta_type & NLA_TYPE_MASK) == type && a.rta_len >= sizeof(a) + least)
			return off + sizeof(a);
		off += RTA_ALIGN(a.rta_len);
	}
	return 0;
}

static __always_inline int watch_load_addr(struct __sk_buff *skb, __u32 at, int v4, __be32 *addr)
{
	if (!at)
		return -1;
	return v4 ? bpf_skb_load_bytes(skb, at, addr, 4) : bpf_skb_load_bytes(skb, at, addr, 16);
}

static __always_inline int watch_same(const __be32 *a, const __be32 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

static __always_inline int watch_link_local(const struct watch_addr *a)
{
	return a->family == 6 && (a->addr[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* As the interface is for ctd: what the first change that it has not seen starts from. */
static __always_inline void watch_pick_start(const struct watch_addr *a, struct watch_pick *p)
{
	__u32 ifindex = a->ifindex;
	const struct fw_iface *iface = bpf_map_lookup_elem(&fw_iface_v2, &ifindex);

	__builtin_memset(p, 0, sizeof(*p));
	if (!iface)
		return;
	if (a->family == 4) {
		p->have = !!(iface->flags & FW_IF_MASQ4);
		p->addr[0] = iface->masq4;
	} else {
		p->have = !!(iface->flags & FW_IF_MASQ6);
		__builtin_memcpy(p->addr, iface->masq6, sizeof(p->addr));
	}
}

static __always_inline void watch_pick_add(struct watch_pick *p, const __be32 *addr)
{
	if (p->have && watch_same(p->addr, addr))
		return;
	__builtin_memcpy(p->have ? p->spare : p->addr, addr, sizeof(p->addr));
	if (p->have)
		p->have_spare = 1;
	p->have = 1;
}

static __always_inline void watch_pick_del(struct watch_pick *p, const __be32 *addr)
{
	if (p->have_spare && watch_same(p->spare, addr)) {
		p->have_spare = 0;
		return;
	}
	if (!p->have || !watch_same(p->addr, addr))
		return;
	p->have = p->have_spare;
	__builtin_memcpy(p->addr, p->spare, sizeof(p->addr));
	p->have_spare = 0;
}

/* The interface's entry for the packets: of the other family what it was. */
__noinline int watch_publish(__u32 ifindex, __u32 family, const struct watch_pick *p, __u32 seen)
{
	__u32 key = ifindex | FW_WATCHED;
	const struct fw_iface *was = bpf_map_lookup_elem(&fw_iface_v2, &key);
	struct fw_iface e = {};

	if (!p)
		return 0;
	if (!was || (__s32)(was->changes - seen) <= 0)
		was = bpf_map_lookup_elem(&fw_iface_v2, &ifindex);
	if (was)
		e = *was;
	e.changes = p->changes;
	if (family == 4) {
		e.flags = (e.flags & ~FW_IF_MASQ4) | (p->have ? FW_IF_MASQ4 : 0);
		e.masq4 = p->addr[0];
	} else {
		e.flags = (e.flags & ~FW_IF_MASQ6) | (p->have ? FW_IF_MASQ6 : 0);
		__builtin_memcpy(e.masq6, p->addr, sizeof(e.masq6));
	}
	return bpf_map_update_elem(&fw_iface_v2, &key, &e, BPF_ANY);
}

/* An address that is there now, or is not. usable: for masquerade. */
__noinline int watch_changed(const struct watch_addr *a, __u32 usable, __u32 net)
{
	struct fw_late *ctd = fw_late(FW_LATE_CTD), *watch = fw_late(FW_LATE_WATCH);
	struct watch_pick_key key = {};
	const struct fw_iface *iface;
	struct watch_pick p, *was;
	__u32 ifindex, n;

	if (!a || !ctd || !watch)
		return 0;
	key.ifindex = ifindex = a->ifindex;
	key.family = a->family;
	was = bpf_map_lookup_elem(&watch_pick_v1, &key);
	if (was && (__s32)(was->changes - ctd->changes) > 0)
		p = *was;
	else
		watch_pick_start(a, &p);
	if (usable)
		watch_pick_add(&p, a->addr);
	else
		watch_pick_del(&p, a->addr);
	p.changes = n = watch->changes + 1; /* the kernel changes addresses one by one */
	bpf_map_update_elem(&watch_pick_v1, &key, &p, BPF_ANY);
	watch_publish(ifindex, a->family, &p, ctd->changes);
	iface = bpf_map_lookup_elem(&fw_iface_v2, &ifindex);
	if (net && iface && (iface->flags & FW_IF_NETS))
		*(volatile __u32 *)&watch->nets = n;
	*(volatile __u32 *)&watch->changes = n;
	return 0;
}

__noinline int watch_address(struct __sk_buff *skb, __u32 there)
{
	const __u32 attrs = NLMSG_HDRLEN + sizeof(struct ifaddrmsg);
	struct watch_addr a = {};
	struct ifaddrmsg m;
	__u32 at, flags, scope, value, usable, *was;
	int v4;

	if (bpf_skb_load_bytes(skb, NLMSG_HDRLEN, &m, sizeof(m)) ||
	    (m.ifa_family != WATCH_INET && m.ifa_family != WATCH_INET6))
		return 0;
	v4 = m.ifa_family == WATCH_INET;
	a.family = v4 ? 4 : 6;
	a.ifindex = m.ifa_index;
	a.plen = m.ifa_prefixlen;
	scope = m.ifa_scope;
	flags = m.ifa_flags;
	/* Point to point: IFA_ADDRESS is the peer's, IFA_LOCAL ours. */
	at = watch_attr(skb, attrs, IFA_LOCAL, v4 ? 4 : 16);
	if (!at)
		at = watch_attr(skb, attrs, IFA_ADDRESS, v4 ? 4 : 16);
	if (watch_load_addr(skb, at, v4, a.addr))
		return 0;
	at = watch_attr(skb, attrs, IFA_FLAGS, 4);
	if (at)
		bpf_skb_load_bytes(skb, at, &flags, sizeof(flags));
	value = (flags & WATCH_FLAGS) | scope << 24;
	was = bpf_map_lookup_elem(&watch_addr_v1, &a);
	if (there && was && *was == value)
		return 0;
	usable = there && !(flags & WATCH_UNUSABLE) && scope < RT_SCOPE_LINK &&
		 !watch_link_local(&a);
	watch_changed(&a, usable, !(there && was) && !watch_link_local(&a));
	if (there)
		bpf_map_update_elem(&watch_addr_v1, &a, &value, BPF_ANY);
	else
		bpf_map_delete_elem(&watch_addr_v1, &a);
	return 0;
}

/* The link-layer address that a message tells of. */
static __always_inline __u64 watch_lladdr(struct __sk_buff *skb, const struct ndmsg *m, __u32 attrs)
{
	__u64 lladdr = 0;
	__u32 at;

	if (!(m->ndm_state & WATCH_VALID_NUD))
		return WATCH_NO_LLADDR;
	at = watch_attr(skb, attrs, NDA_LLADDR, 6);
	if (at)
		bpf_skb_load_bytes(skb, at, &lladdr, 6);
	return lladdr;
}

/*
 * Does a neighbour's news move packets? What an administrator enters does: a device without
 * ARP has neighbours that nobody told of. Two CPUs may tell of one in the wrong order: an entry
 * without address stays until the kernel has forgotten the neighbour (RTM_DELNEIGH, under the
 * table's lock), and whatever comes after it is a change.
 */
static __always_inline int watch_neigh_moves(const struct watch_neigh *key, __u64 lladdr, int gone,
					     int entered)
{
	const __u64 *known = bpf_map_lookup_elem(&watch_neigh_v1, key);
	__u64 was = known ? *known : WATCH_NO_LLADDR;

	if (gone)
		bpf_map_delete_elem(&watch_neigh_v1, key);
	else if (was != lladdr && bpf_map_update_elem(&watch_neigh_v1, key, &lladdr, BPF_ANY))
		watch_neigh_full = 1;
	if (!known)
		return entered || watch_neigh_full;
	return gone ? was != WATCH_NO_LLADDR : was != lladdr;
}

__noinline int watch_neighbour(struct __sk_buff *skb, __u32 there)
{
	const __u32 attrs = NLMSG_HDRLEN + sizeof(struct ndmsg);
	struct watch_neigh key = {};
	struct ndmsg m;
	__u32 at;
	int v4;

	/* AF_BRIDGE: a bridge's forwarding table. Whom we answer for (proxy) is no neighbour. */
	if (bpf_skb_load_bytes(skb, NLMSG_HDRLEN, &m, sizeof(m)) || (m.ndm_flags & NTF_PROXY) ||
	    (m.ndm_family != WATCH_INET && m.ndm_family != WATCH_INET6))
		return 0;
	v4 = m.ndm_family == WATCH_INET;
	key.ifindex = m.ndm_ifindex;
	key.family = m.ndm_family;
	at = watch_attr(skb, attrs, NDA_DST, v4 ? 4 : 16);
	if (watch_load_addr(skb, at, v4, key.addr))
		return 0;
	if (watch_neigh_moves(&key, watch_lladdr(skb, &m, attrs), !there,
			      m.ndm_state & (NUD_PERMANENT | NUD_NOARP)))
		watch_epoch();
	return 0;
}

/* On ctd's rtnetlink socket (route.c). A message tells of what is done, but for links that go
 * down and addresses: their routes change next, and ctd's own turn sees to that. */
SEC("socket")
int fw_watch_route(struct __sk_buff *skb)
{
	struct nlmsghdr h;

	if (bpf_skb_load_bytes(skb, 0, &h, sizeof(h)))
		return WATCH_KEEP;
	switch (h.nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		watch_address(skb, h.nlmsg_type == RTM_NEWADDR);
		watch_epoch();
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		watch_neighbour(skb, h.nlmsg_type == RTM_NEWNEIGH);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWRULE:
	case RTM_DELRULE:
		watch_epoch();
		break;
	}
	return WATCH_KEEP;
}

/* Nothing is redirected from here on, until ctd has looked at what there is now (aside.c). ctd
 * and the other filters may write at the same moment, on other CPUs. */
__noinline int watch_aside(__u32 flag)
{
	__u32 zero = 0;
	struct ct_settings *set = bpf_map_lookup_elem(&ct_settings_v1, &zero);
	struct ct_settings add = {};

	if (!set)
		return 0;
	add.route_aside[0] = add.route_aside[1] = flag | CT_ASIDE_ASKED;
	__sync_fetch_and_or(&set->aside_word, add.aside_word);
	watch_epoch();
	return 0;
}

/* On ctd's sockets for xfrm policies and for routing rules. */
SEC("socket")
int fw_watch_stack(struct __sk_buff *skb)
{
	watch_aside(CT_ASIDE_STACK);
	return WATCH_KEEP;
}

/* Chains and rules do, but for those of our own tables. */
__noinline int watch_nft_matters(struct __sk_buff *skb, __u32 off, __u32 type)
{
	static const char ours[] = WATCH_OURS;
	char name[sizeof(ours) - 1];
	__u32 at;
	int i;

	if (!watch_nft_type(type))
		return 0;
	at = watch_attr(skb, off + NLMSG_HDRLEN + sizeof(struct nfgenmsg), NFTA_TABLE_NAME,
			sizeof(name));
	if (!at || bpf_skb_load_bytes(skb, at, name, sizeof(name)))
		return 1;
	for (i = 0; i < (int)sizeof(name); i++)
		if (name[i] != ours[i])
			return 1;
	return 0;
}

/* On ctd's nf_tables socket: one notification carries the messages of a transaction. */
SEC("socket")
int fw_watch_nft(struct __sk_buff *skb)
{
	struct nlmsghdr h;
	__u32 off = 0;
	int i;

	for (i = 0; i < WATCH_MESSAGES; i++) {
		if (bpf_skb_load_bytes(skb, off, &h, sizeof(h)) || h.nlmsg_len < sizeof(h))
			return WATCH_KEEP;
		if (watch_nft_matters(skb, off, h.nlmsg_type))
			break;
		off += NLMSG_ALIGN(h.nlmsg_len);
	}
	watch_aside(CT_ASIDE_CHAIN);
	return WATCH_KEEP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
