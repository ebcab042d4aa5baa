// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Base chains of nftables (iptables-nft and Docker among them) that see forwarded packets. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "../../bpf/abi/ct_table.h"
#include "aside_find.h"
#include "consumers/firewall/fw_watch.h"

struct chain {
	const char *table;
	const char *name;
	const struct nlattr *hook;
	uint32_t use; /* rules in it, as nothing jumps to a base chain */
	uint32_t policy;
};

static int chain_attr(const struct nlattr *attr, void *arg)
{
	struct chain *c = arg;

	switch (mnl_attr_get_type(attr)) {
	case NFTA_CHAIN_TABLE:
		c->table = mnl_attr_get_str(attr);
		break;
	case NFTA_CHAIN_NAME:
		c->name = mnl_attr_get_str(attr);
		break;
	case NFTA_CHAIN_HOOK:
		c->hook = attr;
		break;
	case NFTA_CHAIN_USE:
		c->use = ntohl(mnl_attr_get_u32(attr));
		break;
	case NFTA_CHAIN_POLICY:
		c->policy = ntohl(mnl_attr_get_u32(attr));
		break;
	}
	return MNL_CB_OK;
}

/* The flags of what a chain at this hook may do to a packet that is forwarded; 0: it sees none.
 * Before routing it may send packets elsewhere (dnat, marks). */
static uint8_t hook_flags(uint8_t family, uint32_t hook, const char **name)
{
	static const char *const names[] = {[NF_INET_PRE_ROUTING] = "prerouting",
					    [NF_INET_FORWARD] = "forward",
					    [NF_INET_POST_ROUTING] = "postrouting",
					    [NF_INET_INGRESS] = "ingress"};

	if (family == NFPROTO_NETDEV) {
		*name = hook == NF_NETDEV_INGRESS ? "ingress" : "egress";
		return hook == NF_NETDEV_INGRESS ? CT_ASIDE_CHAIN | CT_ASIDE_LATE : CT_ASIDE_CHAIN;
	}
	*name = hook < sizeof(names) / sizeof(names[0]) ? names[hook] : NULL;
	if (!*name)
		return 0;
	if (hook == NF_INET_PRE_ROUTING || hook == NF_INET_INGRESS)
		return CT_ASIDE_CHAIN | CT_ASIDE_LATE;
	return CT_ASIDE_CHAIN;
}

static unsigned int families(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return ASIDE_IPV4;
	case NFPROTO_IPV6:
		return ASIDE_IPV6;
	case NFPROTO_INET:
	case NFPROTO_NETDEV:
		return ASIDE_BOTH;
	}
	return 0; /* arp; bridge: frames that are not routed */
}

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_INET:
		return "inet";
	}
	return "netdev";
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	const struct nfgenmsg *gen = mnl_nlmsg_get_payload(nlh);
	struct chain c = {.policy = NF_ACCEPT};
	const struct nlattr *attr;
	const char *where = NULL;
	uint32_t hook = ~0U;
	uint8_t flags;

	if (NFNL_MSG_TYPE(nlh->nlmsg_type) != NFT_MSG_NEWCHAIN || !families(gen->nfgen_family))
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*gen), chain_attr, &c);
	if (!c.table || !c.name || !c.hook || !strncmp(c.table, WATCH_OURS, strlen(WATCH_OURS)))
		return MNL_CB_OK;
	mnl_attr_for_each_nested(attr, c.hook)
	{
		if (mnl_attr_get_type(attr) == NFTA_HOOK_HOOKNUM)
			hook = ntohl(mnl_attr_get_u32(attr));
	}
	flags = hook_flags(gen->nfgen_family, hook, &where);
	/* An empty chain that accepts touches nothing, and many systems start with one. */
	if (!flags || (!c.use && c.policy == NF_ACCEPT))
		return MNL_CB_OK;
	aside_note(arg, families(gen->nfgen_family), flags, "nft table %s %s, chain %s (%s)",
		   family_name(gen->nfgen_family), c.table, c.name, where);
	return MNL_CB_OK;
}

int aside_find_nft(struct aside_found *f)
{
	const struct nfgenmsg gen = {.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0};
	int ret = aside_dump(NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, &gen,
			     sizeof(gen), on_chain, f);

	/* EINVAL: the subsystem is not there. */
	return ret == -EPROTONOSUPPORT || ret == -EINVAL ? 0 : ret;
}
