// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Rules of policy routing that a look-up from BPF, or a route kept for a connection,
 * cannot follow. */
#include <errno.h>
#include <string.h>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "../../bpf/abi/ct_table.h"
#include "aside_find.h"

/* Newer than the headers that we build with. */
#define RULE_DSCP	25
#define RULE_SPORT_MASK 28
#define RULE_DPORT_MASK 29
#define RULE_DSCP_MASK	30

struct rule {
	uint32_t priority;
	uint8_t flags;
	const char *selector;
};

static int rule_attr(const struct nlattr *attr, void *arg)
{
	const uint8_t elsewhere = CT_ASIDE_STACK | CT_ASIDE_LATE;
	struct rule *r = arg;

	switch (mnl_attr_get_type(attr)) {
	case FRA_PRIORITY:
		r->priority = mnl_attr_get_u32(attr);
		break;
	/* A look-up has no mark (before Linux 6.10), and what a chain before routing sets
	 * would come after it. */
	case FRA_FWMARK:
	case FRA_FWMASK: /* alone: mark 0 */
		r->flags |= elsewhere;
		r->selector = "fwmark";
		break;
	case FRA_TUN_ID:
		r->flags |= elsewhere;
		r->selector = "tun_id";
		break;
	/* A packet that has passed its VRF looks different from one on its way into it. */
	case FRA_L3MDEV:
		if (!mnl_attr_get_u8(attr))
			break;
		r->flags |= CT_ASIDE_STACK;
		r->selector = "l3mdev";
		break;
	/* Followed, but the next packet of the connection may come by another interface or
	 * have another class. */
	case FRA_IIFNAME:
	case RULE_DSCP:
	case RULE_DSCP_MASK:
		r->flags |= CT_ASIDE_LOOK;
		break;
	/* Followed, for ever or of no effect on what is forwarded. */
	case FRA_DST:
	case FRA_SRC:
	case FRA_GOTO:
	case FRA_FLOW:
	case FRA_SUPPRESS_IFGROUP:
	case FRA_SUPPRESS_PREFIXLEN:
	case FRA_TABLE:
	case FRA_OIFNAME:
	case FRA_PAD:
	case FRA_UID_RANGE:
	case FRA_PROTOCOL:
	case FRA_IP_PROTO:
	case FRA_SPORT_RANGE:
	case FRA_DPORT_RANGE:
	case RULE_SPORT_MASK:
	case RULE_DPORT_MASK:
		break;
	default: /* of a newer kernel */
		r->flags |= elsewhere;
		r->selector = "a selector unknown to this ctd";
	}
	return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	const struct fib_rule_hdr *hdr = mnl_nlmsg_get_payload(nlh);
	unsigned int family = hdr->family == AF_INET6 ? ASIDE_IPV6 : ASIDE_IPV4;
	struct aside_found *f = arg;
	struct rule r = {0};

	if (nlh->nlmsg_type != RTM_NEWRULE || (hdr->family != AF_INET && hdr->family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*hdr), rule_attr, &r);
	if (hdr->tos) /* as RULE_DSCP */
		r.flags |= CT_ASIDE_LOOK;
	if (r.selector)
		aside_note(f, family, r.flags, "ip%s rule %u, by %s",
			   family == ASIDE_IPV6 ? " -6" : "", r.priority, r.selector);
	else
		f->flags[family == ASIDE_IPV6] |= r.flags;
	return MNL_CB_OK;
}

int aside_find_rules(struct aside_found *f)
{
	const struct fib_rule_hdr any = {.family = AF_UNSPEC};

	return aside_dump(NETLINK_ROUTE, RTM_GETRULE, &any, sizeof(any), on_rule, f);
}
