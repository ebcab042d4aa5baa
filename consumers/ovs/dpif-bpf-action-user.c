// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Actions that are not the datapath's but odp_execute_actions()': headers of MPLS, NSH and
 * Ethernet that are put on and taken off. For the datapath a flow's list ends in front of
 * the first of them: there it sends the packet up, and the rest of the list is done in
 * vswitchd (dpif-bpf-upcall.c). odp_execute_actions() believes what it is told, so a list that does
 * not fit the packet must not come so far: what is not certain here is refused.
 */
#include "dpif-bpf-xlate.h"

#include <errno.h>

#include "netlink.h"
#include "openvswitch/nsh.h"
#include "odp-util.h"
#include "packets.h"

/* What the packet begins with. */
enum shape { SHAPE_ETH, SHAPE_NSH, SHAPE_MPLS, SHAPE_OTHER };

static int check_list(const struct nlattr *list, size_t len, enum shape shape, unsigned int depth);

bool dp_user_is_header(const struct nlattr *a)
{
	switch (nl_attr_type(a)) {
	case OVS_ACTION_ATTR_PUSH_MPLS:
	case OVS_ACTION_ATTR_POP_MPLS:
	case OVS_ACTION_ATTR_ADD_MPLS:
	case OVS_ACTION_ATTR_PUSH_ETH:
	case OVS_ACTION_ATTR_POP_ETH:
	case OVS_ACTION_ATTR_PUSH_NSH:
		return true;
	}
	return false;
}

static bool has_user(const struct nlattr *list, size_t len, unsigned int depth)
{
	const struct nlattr *a;
	size_t left;

	NL_ATTR_FOR_EACH(a, left, list, len)
	{
		if (dp_user_is_header(a))
			return true;
		if (nl_attr_type(a) == OVS_ACTION_ATTR_CLONE && depth < OVS_NEST_MAX &&
		    has_user(nl_attr_get(a), nl_attr_get_size(a), depth + 1))
			return true;
	}
	return false;
}

/* TRUNC and a tunnel hold for an output that comes later: they go with it. */
static bool is_pending(const struct nlattr *a)
{
	return nl_attr_type(a) == OVS_ACTION_ATTR_TRUNC ||
	       (nl_attr_type(a) == OVS_ACTION_ATTR_SET && nl_attr_get_size(a) >= NLA_HDRLEN &&
		nl_attr_type(nl_attr_get(a)) == OVS_KEY_ATTR_TUNNEL);
}

size_t dp_user_begin(const struct nlattr *list, size_t len)
{
	const struct nlattr *a, *first = NULL;
	size_t left;

	if (!has_user(list, len, 0))
		return len;
	NL_ATTR_FOR_EACH(a, left, list, len)
	{
		if (is_pending(a) || has_user(a, a->nla_len, 0)) {
			first = a;
			break;
		}
	}
	return (const char *)first - (const char *)list;
}

static int check_nsh(const struct nlattr *a, enum shape *shape)
{
	const struct nlattr *nsh = nl_attr_get(a);
	uint32_t room[NSH_HDR_MAX_LEN / 4];

	if ((*shape != SHAPE_ETH && *shape != SHAPE_NSH) || nl_attr_get_size(a) < NLA_HDRLEN ||
	    nsh->nla_len < NLA_HDRLEN || nsh->nla_len > nl_attr_get_size(a) ||
	    nl_attr_type(nsh) != OVS_KEY_ATTR_NSH)
		return EINVAL;
	*shape = SHAPE_NSH;
	return odp_nsh_hdr_from_attr(nsh, ALIGNED_CAST(struct nsh_hdr *, room), sizeof(room)) ==
			       ODP_FIT_PERFECT
		       ? 0
		       : EINVAL;
}

static int check_add(const struct nlattr *a, enum shape *shape)
{
	const struct ovs_action_add_mpls *mpls = nl_attr_get(a);

	if (nl_attr_get_size(a) != sizeof(*mpls) || !eth_type_mpls(mpls->mpls_ethertype))
		return EINVAL;
	if (mpls->tun_flags & OVS_MPLS_L3_TUNNEL_FLAG_MASK)
		return *shape == SHAPE_ETH ? 0 : EINVAL;
	*shape = SHAPE_MPLS;
	return 0;
}

static int check_push(const struct nlattr *a, enum shape shape)
{
	const struct ovs_action_push_mpls *mpls = nl_attr_get(a);

	return shape == SHAPE_ETH && nl_attr_get_size(a) == sizeof(*mpls) &&
			       eth_type_mpls(mpls->mpls_ethertype)
		       ? 0
		       : EINVAL;
}

static int check_set(const struct nlattr *a)
{
	size_t keys = nl_attr_type(a) == OVS_ACTION_ATTR_SET ? 1 : 2;
	const struct nlattr *key = nl_attr_get(a);
	size_t size = nl_attr_get_size(a);

	if (size < NLA_HDRLEN)
		return EINVAL;
	switch (nl_attr_type(key)) {
	case OVS_KEY_ATTR_MPLS:
		return size == NLA_HDRLEN + keys * sizeof(struct ovs_key_mpls) &&
				       key->nla_len == size
			       ? 0
			       : EINVAL;
	case OVS_KEY_ATTR_ETHERNET:
	case OVS_KEY_ATTR_SKB_MARK:
	case OVS_KEY_ATTR_PRIORITY:
	case OVS_KEY_ATTR_TUNNEL:
		return dp_action_check(a);
	}
	return EINVAL; /* of which a packet might have less than it says */
}

static int check_one(const struct nlattr *a, enum shape *shape, unsigned int depth)
{
	size_t size = nl_attr_get_size(a);
	enum shape was = *shape;

	switch (nl_attr_type(a)) {
	case OVS_ACTION_ATTR_PUSH_MPLS:
		return check_push(a, was);
	case OVS_ACTION_ATTR_ADD_MPLS:
		return check_add(a, shape);
	case OVS_ACTION_ATTR_POP_MPLS:
		return was == SHAPE_ETH && size == sizeof(ovs_be16) ? 0 : EINVAL;
	case OVS_ACTION_ATTR_PUSH_ETH:
		*shape = SHAPE_ETH;
		return was != SHAPE_ETH && size == sizeof(struct ovs_action_push_eth) ? 0 : EINVAL;
	case OVS_ACTION_ATTR_POP_ETH:
		*shape = SHAPE_OTHER;
		return was == SHAPE_ETH && !size ? 0 : EINVAL;
	case OVS_ACTION_ATTR_PUSH_NSH:
		return check_nsh(a, shape);
	case OVS_ACTION_ATTR_PUSH_VLAN:
		return was == SHAPE_ETH ? dp_action_check(a) : EINVAL;
	case OVS_ACTION_ATTR_SET:
	case OVS_ACTION_ATTR_SET_MASKED:
		return check_set(a);
	case OVS_ACTION_ATTR_CLONE:
		return depth < OVS_NEST_MAX ? check_list(nl_attr_get(a), size, was, depth + 1)
					    : EINVAL;
	}
	return dp_action_check(a);
}

static int check_list(const struct nlattr *list, size_t len, enum shape shape, unsigned int depth)
{
	const struct nlattr *a;
	size_t left;
	int ret;

	NL_ATTR_FOR_EACH(a, left, list, len)
	{
		ret = check_one(a, &shape, depth);
		if (ret)
			return ret;
	}
	return left ? EINVAL : 0;
}

int dp_user_check(const struct nlattr *list, size_t len)
{
	return check_list(list, len, SHAPE_ETH, 0);
}
