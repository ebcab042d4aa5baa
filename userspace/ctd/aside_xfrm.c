// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* IPsec policies: what the stack encrypts, or drops for not having been encrypted. */
#include <errno.h>
#include <string.h>

#include <linux/xfrm.h>

#include "../../bpf/abi/ct_table.h"
#include "aside_find.h"

static int on_policy(const struct nlmsghdr *nlh, void *arg)
{
	const struct xfrm_userpolicy_info *info = mnl_nlmsg_get_payload(nlh);
	struct aside_found *count = arg;

	/* Those beyond are a socket's own (an IKE daemon's): nothing is forwarded by them. */
	if (nlh->nlmsg_type != XFRM_MSG_NEWPOLICY || info->dir >= XFRM_POLICY_MAX)
		return MNL_CB_OK;
	aside_note(count, info->sel.family == AF_INET6 ? ASIDE_IPV6 : ASIDE_IPV4, CT_ASIDE_STACK,
		   "xfrm policy (IPsec), IPv%d, dir %s", info->sel.family == AF_INET6 ? 6 : 4,
		   info->dir == XFRM_POLICY_OUT	 ? "out"
		   : info->dir == XFRM_POLICY_IN ? "in"
						 : "fwd");
	return MNL_CB_OK;
}

/* What befalls packets that no policy names, since Linux 5.14. */
static int on_default(const struct nlmsghdr *nlh, void *arg)
{
	const struct xfrm_userpolicy_default *up = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == XFRM_MSG_GETDEFAULT &&
	    (up->fwd == XFRM_USERPOLICY_BLOCK || up->out == XFRM_USERPOLICY_BLOCK))
		aside_note(arg, ASIDE_BOTH, CT_ASIDE_STACK, "xfrm default policy blocks");
	return MNL_CB_STOP;
}

int aside_find_xfrm(struct aside_found *f)
{
	const struct xfrm_userpolicy_id all = {0};
	const struct xfrm_userpolicy_default ask = {0};
	int ret = aside_dump(NETLINK_XFRM, XFRM_MSG_GETPOLICY, &all, sizeof(all), on_policy, f);

	if (ret)
		return ret == -EPROTONOSUPPORT ? 0 : ret;
	ret = aside_dump(NETLINK_XFRM, XFRM_MSG_GETDEFAULT, &ask, sizeof(ask), on_default, f);
	return ret == -EINVAL || ret == -EOPNOTSUPP ? 0 : ret; /* an older kernel */
}
