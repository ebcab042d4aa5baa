// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Ports. The datapath's table of them (ovs_port_v1) is the truth and outlives vswitchd.
 *
 *  system    a device that is there already; our program is at its ingress
 *  internal  a veth pair: the end with the port's name belongs to the host (address, routes, any
 *            namespace), the other one, ovsbpfNUMBER, is the datapath's port
 *  vxlan     a device with metadata (vxlan_sys_PORT) that carries all tunnels of a UDP port
 */
#include "dpif-bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>

#include "dpif-netlink-rtnl.h"
#include "netdev-vport.h"
#include "netdev.h"
#include "netlink-socket.h"
#include "odp-util.h"
#include "openvswitch/vlog.h"
#include "rtnetlink.h"
#include "seq.h"
#include "userspace/ctd/tcx.h"

VLOG_DEFINE_THIS_MODULE(dpif_bpf_port);

#define PAIR_MTU 65535 /* what the host's end may be set to is decided there */
#define HANDLE	 1
#define PRIORITY 1

static const char *const type_name[] = {
	[OVS_TYPE_SYSTEM] = "system", [OVS_TYPE_INTERNAL] = "internal", [OVS_TYPE_VXLAN] = "vxlan"};

static bool live(const struct ovs_port *p)
{
	return __atomic_load_n(&p->flags, __ATOMIC_ACQUIRE) & OVS_PORT_LIVE;
}

static void peer_name(char name[IFNAMSIZ], uint32_t number)
{
	snprintf(name, IFNAMSIZ, "ovsbpf%u", number);
}

static struct ovs_port *by_name(struct dp_bpf *dp, const char *name)
{
	for (uint32_t i = 0; i < OVS_PORTS; i++)
		if (live(&dp->port[i]) && !strcmp(dp->port[i].name, name))
			return &dp->port[i];
	return NULL;
}

static uint32_t number_of(const struct dp_bpf *dp, const struct ovs_port *p)
{
	return p - dp->port;
}

/* Which port a device is; number 0 takes the entry away. */
static int set_near(struct dp_bpf *dp, uint32_t ifindex, uint64_t number_plus_1)
{
	if (ifindex < OVS_NEAR) {
		__atomic_store_n(&dp->near[ifindex].number, number_plus_1, __ATOMIC_RELEASE);
		return 0;
	}
	if (!number_plus_1)
		return bpf_map_delete_elem(dp->far_fd, &ifindex) ? errno : 0;
	return bpf_map_update_elem(dp->far_fd, &ifindex, &number_plus_1, BPF_ANY) ? errno : 0;
}

/*
 * By TCX, else by clsact. A system device has that qdisc in either case: with TCX no filter of
 * the ingress qdisc sees a packet, and so Open vSwitch, which polices by such a filter, is to be
 * told that it cannot have the qdisc, and not to police nothing.
 */
static int attach(struct dp_bpf *dp, struct ovs_port *p)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = p->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	int prog = dp_bpf_prog(dp, "ovs_port");
	int tcx = tcx_attach(dp->instance, p->ifindex, false, prog), ret;

	if (tcx && tcx != -EOPNOTSUPP)
		return -tcx;
	if (!tcx && p->type != OVS_TYPE_SYSTEM)
		return 0;
	ret = bpf_tc_hook_create(&hook);
	if (!ret)
		p->device |= OVS_DEVICE_QDISC;
	else if (ret != -EEXIST)
		return -ret;
	if (!tcx)
		return 0;
	dp->clsact = true;
	opts.prog_fd = prog;
	return -bpf_tc_attach(&hook, &opts);
}

static void detach(struct dp_bpf *dp, struct ovs_port *p)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = p->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

	tcx_detach(dp->instance, p->ifindex);
	if (dp->clsact)
		bpf_tc_detach(&hook, &opts);
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	if (p->device & OVS_DEVICE_QDISC)
		bpf_tc_hook_destroy(&hook);
	p->device &= ~OVS_DEVICE_QDISC;
}

static int type_of(const struct netdev *netdev)
{
	for (size_t i = 0; i < ARRAY_SIZE(type_name); i++)
		if (!strcmp(netdev_get_type(netdev), type_name[i]))
			return i;
	return -1;
}

static int make_pair(const char *name, uint32_t number, uint32_t *ifindex)
{
	char peer[IFNAMSIZ];
	int ret;

	peer_name(peer, number);
	if (if_nametoindex(peer)) /* of one that was killed in the middle of this */
		dp_link_del(peer);
	ret = dp_link_add_pair(name, peer, PAIR_MTU);
	if (ret)
		return ret;
	*ifindex = if_nametoindex(peer);
	ret = *ifindex ? dp_link_no_ipv6(peer) : ENODEV;
	if (!ret)
		ret = dp_link_flags(*ifindex, IFF_UP, 0);
	if (ret)
		dp_link_del(name);
	return ret;
}

static bool ifindex_taken(const struct dp_bpf *dp, uint32_t ifindex)
{
	for (uint32_t i = 0; i < OVS_PORTS; i++)
		if (live(&dp->port[i]) && dp->port[i].ifindex == ifindex)
			return true;
	return false;
}

/* A device that is there already, and nobody's. The datapath's own are called ovsbpf... */
static int take_device(const struct dp_bpf *dp, uint32_t ifindex, const char *name,
		       uint32_t *device)
{
	bool promisc = false;
	int ret = dp_link_usable(ifindex, &promisc);

	if (!ret && (ifindex_taken(dp, ifindex) || !strncmp(name, "ovsbpf", 6)))
		ret = EBUSY;
	if (ret)
		return ret;
	*device |= promisc ? OVS_DEVICE_PROMISC : 0;
	return dp_link_flags(ifindex, IFF_PROMISC, 0);
}

/* The device of a new port is there and passes what comes. */
static int make_device(struct dp_bpf *dp, struct netdev *netdev, int type, const char *name,
		       uint32_t number, uint32_t *ifindex, uint32_t *device)
{
	int ret;

	if (type == OVS_TYPE_INTERNAL)
		return make_pair(name, number, ifindex);
	if (type == OVS_TYPE_VXLAN) {
		ret = dpif_netlink_rtnl_port_create(netdev);
		if (ret && ret != EEXIST)
			return ret;
	}
	*ifindex = if_nametoindex(name);
	if (!*ifindex)
		return ENODEV;
	if (type == OVS_TYPE_SYSTEM)
		return take_device(dp, *ifindex, name, device);
	return dp_link_flags(*ifindex, IFF_PROMISC | IFF_UP, 0);
}

static void drop_device(const struct ovs_port *p)
{
	char peer[IFNAMSIZ];

	if (p->type == OVS_TYPE_INTERNAL) {
		if (if_indextoname(p->ifindex, peer) && !strncmp(peer, "ovsbpf", 6))
			dp_link_del(peer); /* and with it the host's end, wherever that is */
	} else if (p->type == OVS_TYPE_VXLAN) {
		dpif_netlink_rtnl_port_destroy(p->name, "vxlan");
	} else if (!(p->device & OVS_DEVICE_PROMISC)) {
		dp_link_flags(p->ifindex, 0, IFF_PROMISC);
	}
}

/* From 1 on: 0 is what Open vSwitch calls the local port of a datapath, which we have none of. */
static int choose(struct dp_bpf *dp, odp_port_t asked, uint32_t *number)
{
	*number = odp_to_u32(asked);
	if (asked != ODPP_NONE) {
		if (*number >= OVS_PORTS)
			return EINVAL;
		return live(&dp->port[*number]) ? EBUSY : 0;
	}
	for (*number = 1; *number < OVS_PORTS; (*number)++)
		if (!live(&dp->port[*number]))
			return 0;
	return EFBIG;
}

static void publish(struct dp_bpf *dp, uint32_t number, int type, const char *name,
		    uint32_t ifindex, uint32_t device)
{
	struct ovs_port *p = &dp->port[number];

	p->ifindex = ifindex;
	p->type = type;
	p->ring = number % OVS_RINGS;
	p->netns = 0;
	p->device = device;
	ovs_strlcpy(p->name, name, sizeof(p->name));
	__atomic_store_n(&p->flags, OVS_PORT_LIVE | (type == OVS_TYPE_VXLAN ? OVS_PORT_TUNNEL : 0),
			 __ATOMIC_RELEASE);
}

static void unpublish(struct dp_bpf *dp, struct ovs_port *p)
{
	__atomic_store_n(&p->flags, 0, __ATOMIC_RELEASE);
	set_near(dp, p->ifindex, 0);
}

static int add(struct dp_bpf *dp, struct netdev *netdev, uint32_t number)
{
	char room[NETDEV_VPORT_NAME_BUFSIZE];
	const char *name = netdev_vport_get_dpif_port(netdev, room, sizeof(room));
	int type = type_of(netdev), ret;
	uint32_t ifindex = 0, device = 0;

	if (type < 0)
		return EOPNOTSUPP;
	if (strlen(name) >= sizeof(dp->port[0].name))
		return EINVAL;
	if (by_name(dp, name))
		return EEXIST;
	ret = make_device(dp, netdev, type, name, number, &ifindex, &device);
	if (ret)
		return ret;
	publish(dp, number, type, name, ifindex, device);
	ret = set_near(dp, ifindex, number + UINT64_C(1));
	if (!ret)
		ret = attach(dp, &dp->port[number]);
	if (ret) {
		unpublish(dp, &dp->port[number]);
		detach(dp, &dp->port[number]);
		drop_device(&dp->port[number]);
	}
	return ret;
}

/* The other handles' port_poll() finds that ports have changed; who did it knows. With port_lock.
 */
static void tell(const struct dpif *dpif)
{
	struct dpif_bpf *d = CONTAINER_OF(dpif, struct dpif_bpf, up);
	bool knew = d->seen == seq_read(d->dp->port_news);

	seq_change(d->dp->port_news);
	if (knew)
		d->seen = seq_read(d->dp->port_news);
}

int dp_bpf_port_add(struct dpif *dpif, struct netdev *netdev, odp_port_t *port_no)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	uint32_t number;
	int ret;

	ovs_mutex_lock(&dp->port_lock);
	ret = choose(dp, *port_no, &number);
	if (!ret)
		ret = add(dp, netdev, number);
	if (!ret)
		tell(dpif);
	ovs_mutex_unlock(&dp->port_lock);
	if (!ret)
		*port_no = u32_to_odp(number);
	return ret;
}

static void remove_port(struct dp_bpf *dp, struct ovs_port *p)
{
	unpublish(dp, p);
	detach(dp, p);
	drop_device(p);
}

int dp_bpf_port_del(struct dpif *dpif, odp_port_t port_no)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	uint32_t number = odp_to_u32(port_no);
	int ret = ENODEV;

	ovs_mutex_lock(&dp->port_lock);
	if (number < OVS_PORTS && live(&dp->port[number])) {
		remove_port(dp, &dp->port[number]);
		tell(dpif);
		ret = 0;
	}
	ovs_mutex_unlock(&dp->port_lock);
	return ret;
}

static void describe(const struct dp_bpf *dp, const struct ovs_port *p, struct dpif_port *out)
{
	out->name = xstrdup(p->name);
	out->type = xstrdup(type_name[p->type <= OVS_TYPE_VXLAN ? p->type : 0]);
	out->port_no = u32_to_odp(number_of(dp, p));
}

int dp_bpf_port_by_number(const struct dpif *dpif, odp_port_t port_no, struct dpif_port *out)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	uint32_t number = odp_to_u32(port_no);
	int ret = ENODEV;

	ovs_mutex_lock(&dp->port_lock);
	if (number < OVS_PORTS && live(&dp->port[number])) {
		if (out)
			describe(dp, &dp->port[number], out);
		ret = 0;
	}
	ovs_mutex_unlock(&dp->port_lock);
	return ret;
}

int dp_bpf_port_by_name(const struct dpif *dpif, const char *name, struct dpif_port *out)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	const struct ovs_port *p;

	ovs_mutex_lock(&dp->port_lock);
	p = by_name(dp, name);
	if (p && out)
		describe(dp, p, out);
	ovs_mutex_unlock(&dp->port_lock);
	return p ? 0 : ENODEV;
}

uint32_t dp_bpf_port_end(struct dp_bpf *dp, const char *name)
{
	const struct ovs_port *p;
	uint32_t ifindex;

	ovs_mutex_lock(&dp->port_lock);
	p = by_name(dp, name);
	ifindex = p && p->type == OVS_TYPE_INTERNAL ? p->ifindex : 0;
	ovs_mutex_unlock(&dp->port_lock);
	return ifindex;
}

struct port_dump {
	uint32_t next;
	struct dpif_port last; /* the caller has its strings until the next call */
};

int dp_bpf_port_dump_start(const struct dpif *dpif OVS_UNUSED, void **state)
{
	*state = xzalloc(sizeof(struct port_dump));
	return 0;
}

int dp_bpf_port_dump_next(const struct dpif *dpif, void *state, struct dpif_port *out)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	struct port_dump *d = state;

	dpif_port_destroy(&d->last);
	memset(&d->last, 0, sizeof(d->last));
	ovs_mutex_lock(&dp->port_lock);
	while (d->next < OVS_PORTS && !live(&dp->port[d->next]))
		d->next++;
	if (d->next < OVS_PORTS)
		describe(dp, &dp->port[d->next++], &d->last);
	ovs_mutex_unlock(&dp->port_lock);
	*out = d->last;
	return d->last.name ? 0 : EOF;
}

int dp_bpf_port_dump_done(const struct dpif *dpif OVS_UNUSED, void *state)
{
	struct port_dump *d = state;

	dpif_port_destroy(&d->last);
	free(d);
	return 0;
}

/* The port whose device has just gone; it ends. */
static char *vanished(const struct dpif *dpif, uint32_t ifindex)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	char *name = NULL;

	ovs_mutex_lock(&dp->port_lock);
	for (uint32_t i = 0; i < OVS_PORTS && !name; i++) {
		struct ovs_port *p = &dp->port[i];

		if (!live(p) || p->ifindex != ifindex)
			continue;
		unpublish(dp, p);
		tcx_detach(dp->instance, p->ifindex);
		name = xstrdup(p->name);
		tell(dpif);
	}
	ovs_mutex_unlock(&dp->port_lock);
	return name;
}

/* A kernel's bridge tells of a device that it has let go of by the same type, but as its own. */
static bool is_gone(struct ofpbuf *buf, struct rtnetlink_change *change)
{
	const struct ifinfomsg *info = ofpbuf_at(buf, NLMSG_HDRLEN, sizeof(*info));

	return rtnetlink_parse(buf, change) && change->nlmsg_type == RTM_DELLINK && info &&
	       info->ifi_family != AF_BRIDGE;
}

static int open_links(struct dpif_bpf *d)
{
	int ret = nl_sock_create(NETLINK_ROUTE, &d->links);

	if (ret)
		return ret;
	ret = nl_sock_join_mcgroup(d->links, RTNLGRP_LINK);
	if (ret) {
		nl_sock_destroy(d->links);
		d->links = NULL;
	}
	return ret;
}

int dp_bpf_port_poll(const struct dpif *dpif, char **name)
{
	struct dpif_bpf *d = CONTAINER_OF(dpif, struct dpif_bpf, up);
	uint64_t now = seq_read(d->dp->port_news);
	struct rtnetlink_change change;
	uint64_t room[4096 / 8];
	struct ofpbuf buf;
	int ret;

	if (!d->links) {
		ret = open_links(d);
		return ret ? ret : ENOBUFS; /* what was before nobody knows: look at all */
	}
	if (d->seen != now) {
		d->seen = now;
		return ENOBUFS;
	}
	ofpbuf_use_stub(&buf, room, sizeof(room));
	while (!(ret = nl_sock_recv(d->links, &buf, NULL, false)))
		if (is_gone(&buf, &change) && (*name = vanished(dpif, change.if_index)))
			break;
	ofpbuf_uninit(&buf);
	return ret;
}

void dp_bpf_port_poll_wait(const struct dpif *dpif)
{
	struct dpif_bpf *d = CONTAINER_OF(dpif, struct dpif_bpf, up);

	seq_wait(d->dp->port_news, d->seen);
	if (d->links)
		nl_sock_wait(d->links, POLLIN);
}

void dp_bpf_ports_adopt(struct dp_bpf *dp)
{
	char name[IFNAMSIZ];

	for (uint32_t i = 0; i < OVS_PORTS; i++) {
		struct ovs_port *p = &dp->port[i];

		if (!live(p))
			continue;
		if (if_indextoname(p->ifindex, name) && !attach(dp, p))
			continue;
		VLOG_INFO("%s: port %s (%u) is gone", dp->name, p->name, i);
		unpublish(dp, p);
		tcx_detach(dp->instance, p->ifindex);
	}
}

void dp_bpf_ports_drop(struct dp_bpf *dp)
{
	for (uint32_t i = 0; i < OVS_PORTS; i++)
		if (live(&dp->port[i]))
			remove_port(dp, &dp->port[i]);
}
