// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The interfaces of a network namespace and their addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <libmnl/libmnl.h>
#include <net/if_arp.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "fw_conf.h"

/* What the kernel fills at most in one message of a dump. */
#define FW_DUMP_SIZE 32768

const struct fw_if *fw_ifs_find(const struct fw_ifs *ifs, const char *name)
{
	for (unsigned int i = 0; i < ifs->n; i++)
		if (!strcmp(ifs->v[i].name, name))
			return &ifs->v[i];
	return NULL;
}

struct fw_if *fw_ifs_add(struct fw_ifs *ifs, const char *name, uint32_t ifindex)
{
	struct fw_if *v = realloc(ifs->v, (ifs->n + 1) * sizeof(*v));

	if (!v)
		return NULL;
	ifs->v = v;
	v += ifs->n++;
	memset(v, 0, sizeof(*v));
	snprintf(v->name, sizeof(v->name), "%s", name);
	v->ifindex = ifindex;
	return v;
}

int fw_if_add_addr(struct fw_if *iface, const struct fw_ifaddr *addr)
{
	struct fw_ifaddr *v = realloc(iface->addr, (iface->addrs + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	iface->addr = v;
	v[iface->addrs++] = *addr;
	return 0;
}

void fw_ifs_free(struct fw_ifs *ifs)
{
	for (unsigned int i = 0; i < ifs->n; i++)
		free(ifs->v[i].addr);
	free(ifs->v);
	memset(ifs, 0, sizeof(*ifs));
}

static int fw_on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct fw_ifs *ifs = arg;
	struct fw_if *iface;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	iface = fw_ifs_add(ifs, "", info->ifi_index);
	if (!iface) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	iface->loopback = info->ifi_type == ARPHRD_LOOPBACK;
	iface->no_l2 = info->ifi_type != ARPHRD_ETHER && !iface->loopback;
	mnl_attr_for_each(attr, nlh, sizeof(*info))
	{
		unsigned int type = mnl_attr_get_type(attr);
		unsigned int len = mnl_attr_get_payload_len(attr);

		if (type == IFLA_IFNAME)
			snprintf(iface->name, sizeof(iface->name), "%s", mnl_attr_get_str(attr));
		else if (type == IFLA_MTU && len >= sizeof(uint32_t))
			iface->mtu = mnl_attr_get_u32(attr);
		else if (type == IFLA_ADDRESS && len == sizeof(iface->mac))
			memcpy(iface->mac, mnl_attr_get_payload(attr), len);
	}
	return MNL_CB_OK;
}

static struct fw_if *fw_by_index(struct fw_ifs *ifs, uint32_t ifindex)
{
	for (unsigned int i = 0; i < ifs->n; i++)
		if (ifs->v[i].ifindex == ifindex)
			return &ifs->v[i];
	return NULL;
}

static int fw_on_addr(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(nlh);
	struct fw_if *iface = fw_by_index(arg, info->ifa_index);
	unsigned int bytes = info->ifa_family == AF_INET ? 4 : 16;
	struct fw_ifaddr a = {
		.family = info->ifa_family == AF_INET ? 4 : 6,
		.prefixlen = info->ifa_prefixlen,
		.scope = info->ifa_scope,
		.flags = info->ifa_flags,
	};
	const struct nlattr *attr;
	bool have = false, local = false;

	if (nlh->nlmsg_type != RTM_NEWADDR || !iface ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*info))
	{
		unsigned int type = mnl_attr_get_type(attr);
		unsigned int len = mnl_attr_get_payload_len(attr);

		/* Point to point: IFA_ADDRESS is the peer's, IFA_LOCAL ours. */
		if ((type == IFA_LOCAL || (type == IFA_ADDRESS && !local)) && len == bytes) {
			memcpy(a.addr, mnl_attr_get_payload(attr), bytes);
			local = type == IFA_LOCAL;
			have = true;
		} else if (type == IFA_FLAGS && len == sizeof(uint32_t)) {
			a.flags = mnl_attr_get_u32(attr);
		}
	}
	if (have && fw_if_add_addr(iface, &a)) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static int fw_dump(struct mnl_socket *nl, uint16_t type, mnl_cb_t cb, struct fw_ifs *ifs)
{
	char *buf = malloc(FW_DUMP_SIZE);
	struct nlmsghdr *nlh;
	struct rtgenmsg *gen;
	unsigned int seq = type;
	ssize_t n;
	int ret = MNL_CB_OK;

	if (!buf)
		return -ENOMEM;
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	gen = mnl_nlmsg_put_extra_header(nlh, sizeof(*gen));
	gen->rtgen_family = AF_UNSPEC;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0) {
		ret = MNL_CB_ERROR;
		goto out;
	}
	while (ret > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, FW_DUMP_SIZE);
		ret = n < 0 ? MNL_CB_ERROR
			    : mnl_cb_run(buf, n, seq, mnl_socket_get_portid(nl), cb, ifs);
	}
out:
	free(buf);
	return ret == MNL_CB_ERROR ? -errno : 0;
}

int fw_ifs_read(struct fw_ifs *ifs)
{
	struct mnl_socket *nl;
	int ret;

	memset(ifs, 0, sizeof(*ifs));
	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl)
		return -errno;
	ret = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ? -errno : 0;
	if (!ret)
		ret = fw_dump(nl, RTM_GETLINK, fw_on_link, ifs);
	if (!ret)
		ret = fw_dump(nl, RTM_GETADDR, fw_on_addr, ifs);
	mnl_socket_close(nl);
	return ret;
}

/* How much an address is wanted for masquerading; 0: not at all. */
static int fw_masq_score(const struct fw_ifaddr *a, int family)
{
	uint32_t word = ntohl(a->addr[0]);
	int score = 1;

	if (a->family != family || a->scope >= RT_SCOPE_LINK ||
	    (a->flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)))
		return 0;
	if (family == 6 && (word & 0xffc00000) == 0xfe800000)
		return 0;
	if (!(a->flags & IFA_F_DEPRECATED))
		score += 4;
	/* a unique local address reaches less than a global one, RFC 4193 */
	if (family == 4 || (word & 0xfe000000) != 0xfc000000)
		score += 2;
	if (!(a->flags & IFA_F_TEMPORARY)) /* IPv4: the same bit says secondary */
		score += 1;
	return score;
}

bool fw_if_masquerade(const struct fw_if *iface, int family, __be32 addr[4])
{
	int best = 0;

	memset(addr, 0, 4 * sizeof(*addr));
	for (unsigned int i = 0; i < iface->addrs; i++) {
		int score = fw_masq_score(&iface->addr[i], family);

		if (score <= best)
			continue;
		best = score;
		memcpy(addr, iface->addr[i].addr, 4 * sizeof(*addr));
	}
	return best > 0;
}
