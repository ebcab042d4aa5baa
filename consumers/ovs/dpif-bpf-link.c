// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Devices of the datapath's own, by rtnetlink. */
#include "dpif-bpf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <unistd.h>

#include "netlink-socket.h"
#include "netlink.h"

static struct ifinfomsg *start(struct ofpbuf *req, int type, int flags)
{
	ofpbuf_init(req, 256);
	nl_msg_put_nlmsghdr(req, 0, type, NLM_F_REQUEST | NLM_F_ACK | flags);
	return ofpbuf_put_zeros(req, sizeof(struct ifinfomsg));
}

static int finish(struct ofpbuf *req)
{
	int ret = nl_transact(NETLINK_ROUTE, req, NULL);

	ofpbuf_uninit(req);
	return ret;
}

/* Down both, so that nothing is sent before they are set up. */
int dp_link_add_pair(const char *name, const char *peer, unsigned int mtu)
{
	size_t info, data, other;
	struct ofpbuf req;

	start(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	nl_msg_put_string(&req, IFLA_IFNAME, name);
	info = nl_msg_start_nested(&req, IFLA_LINKINFO);
	nl_msg_put_string(&req, IFLA_INFO_KIND, "veth");
	data = nl_msg_start_nested(&req, IFLA_INFO_DATA);
	other = nl_msg_start_nested(&req, VETH_INFO_PEER);
	ofpbuf_put_zeros(&req, sizeof(struct ifinfomsg));
	nl_msg_put_string(&req, IFLA_IFNAME, peer);
	nl_msg_put_u32(&req, IFLA_MTU, mtu);
	nl_msg_end_nested(&req, other);
	nl_msg_end_nested(&req, data);
	nl_msg_end_nested(&req, info);
	return finish(&req);
}

int dp_link_del(const char *name)
{
	unsigned int ifindex = if_nametoindex(name);
	struct ofpbuf req;

	if (!ifindex)
		return ENODEV;
	start(&req, RTM_DELLINK, 0)->ifi_index = ifindex;
	return finish(&req);
}

int dp_link_flags(unsigned int ifindex, unsigned int set, unsigned int clear)
{
	struct ofpbuf req;
	struct ifinfomsg *m = start(&req, RTM_NEWLINK, 0);

	m->ifi_index = ifindex;
	m->ifi_flags = set;
	m->ifi_change = set | clear;
	return finish(&req);
}

int dp_link_usable(unsigned int ifindex, bool *promisc)
{
	static const struct nl_policy policy[] = {
		[IFLA_MASTER] = {.type = NL_A_U32, .optional = true},
	};
	struct nlattr *attr[ARRAY_SIZE(policy)];
	struct ofpbuf req, *reply;
	const struct ifinfomsg *m;
	int ret;

	start(&req, RTM_GETLINK, 0)->ifi_index = ifindex;
	ret = nl_transact(NETLINK_ROUTE, &req, &reply);
	ofpbuf_uninit(&req);
	if (ret)
		return ret;
	m = ofpbuf_at(reply, NLMSG_HDRLEN, sizeof(*m));
	if (!m ||
	    !nl_policy_parse(reply, NLMSG_HDRLEN + sizeof(*m), policy, attr, ARRAY_SIZE(policy)))
		ret = EPROTO;
	else if (m->ifi_flags & IFF_LOOPBACK || m->ifi_type != ARPHRD_ETHER)
		ret = EINVAL;
	else if (attr[IFLA_MASTER])
		ret = EBUSY;
	else
		*promisc = m->ifi_flags & IFF_PROMISC;
	ofpbuf_delete(reply);
	return ret;
}

/* Else the kernel would speak on it by itself (neighbour discovery, MLD). */
int dp_link_no_ipv6(const char *name)
{
	char path[80];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno; /* a kernel without IPv6 */
	if (write(fd, "1", 1) != 1)
		ret = errno;
	close(fd);
	return ret;
}
