/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_WATCH_H
#define BPFCT_FW_WATCH_H

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/types.h>

/* What fw_watch.bpf.c and ctd (watch.c, aside.c) must see alike in netlink's messages. Its maps are
 * not pinned: they live and die with ctd. */

/* What of an address's flags matters: whether it can be used, and by which preference. */
#define WATCH_UNUSABLE (IFA_F_TENTATIVE | IFA_F_DADFAILED)
#define WATCH_FLAGS    (WATCH_UNUSABLE | IFA_F_DEPRECATED | IFA_F_TEMPORARY)

/* Key of watch_addr_v1; the value: its WATCH_FLAGS and, << 24, scope. */
struct watch_addr {
	__be32 addr[4];
	__u32 ifindex;
	__u8 family; /* 4, 6 */
	__u8 plen;
	__u8 pad[2];
};
_Static_assert(sizeof(struct watch_addr) == 24, "watch_addr");

/* Neighbours in one of these have a link-layer address that is used. */
#define WATCH_VALID_NUD                                                                            \
	(NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

/* Key of watch_neigh_v1; the value: its link-layer address, or WATCH_NO_LLADDR. */
struct watch_neigh {
	__be32 addr[4];
	__u32 ifindex;
	__u32 family; /* AF_* */
};
_Static_assert(sizeof(struct watch_neigh) == 24, "watch_neigh");
#define WATCH_NO_LLADDR (~0ULL)

/* nf_tables: elements come and go in sets all day; these may let a chain begin to see packets. */
static __inline __attribute__((always_inline)) int watch_nft_type(__u16 nlmsg_type)
{
	if (nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return 0;
	switch (nlmsg_type & 0xff) {
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_DELTABLE:
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
		return 1;
	default:
		return 0;
	}
}

/* Tables of our own at the kernel's hooks begin so. */
#define WATCH_OURS "bpfct_"

#endif
