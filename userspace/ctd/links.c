// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#define TRIES 8 /* a dump that a change interrupted is begun again */

bool ifset_has(const struct ifset *set, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < set->n; i++)
		if (set->v[i] == ifindex)
			return true;
	return false;
}

int ifset_add(struct ifset *set, uint32_t ifindex)
{
	uint32_t *v;

	if (ifset_has(set, ifindex))
		return 0;
	v = realloc(set->v, (set->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	set->v = v;
	set->v[set->n++] = ifindex;
	return 0;
}

bool ifset_del(struct ifset *set, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < set->n; i++)
		if (set->v[i] == ifindex) {
			set->v[i] = set->v[--set->n];
			return true;
		}
	return false;
}

void ifset_free(struct ifset *set)
{
	free(set->v);
	*set = (struct ifset){0};
}

static bool is_port_kind(const struct nlattr *kind)
{
	static const char *const name[] = {"bridge", "bond", "team"};
	unsigned int i;

	if (mnl_attr_validate(kind, MNL_TYPE_NUL_STRING) < 0)
		return false;
	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(mnl_attr_get_str(kind), name[i]))
			return true;
	return false;
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *kind;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) != IFLA_LINKINFO)
			continue;
		mnl_attr_for_each_nested(kind, attr)
		{
			if (mnl_attr_get_type(kind) != IFLA_INFO_SLAVE_KIND || !is_port_kind(kind))
				continue;
			if (ifset_add(arg, info->ifi_index)) {
				errno = ENOMEM;
				return MNL_CB_ERROR;
			}
		}
	}
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, unsigned int seq, struct ifset *out)
{
	char buf[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *info;
	int ret = MNL_CB_OK;
	ssize_t n;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (ret > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(buf, n, seq, mnl_socket_get_portid(nl), on_link, out);
	}
	return ret < 0 ? -errno : 0;
}

int links_ports(struct ifset *out)
{
	struct mnl_socket *nl;
	int ret = -EINTR;
	unsigned int i;

	*out = (struct ifset){0};
	/* A socket a try: nothing of an interrupted dump is left to read. */
	for (i = 0; i < TRIES && ret == -EINTR; i++) {
		nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
		if (!nl)
			return -errno;
		out->n = 0;
		ret = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno
								     : dump(nl, i + 1, out);
		mnl_socket_close(nl);
	}
	if (ret)
		ifset_free(out);
	return ret;
}
