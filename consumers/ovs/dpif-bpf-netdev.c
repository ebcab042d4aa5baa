// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What Open vSwitch knows of an internal port's device. Its class "internal" asks openvswitch.ko
 * for statistics, which here knows nothing: `ovs-vsctl list interface br0` had none. Ours answers
 * for the ports of our datapaths, and in all else is that class.
 *
 * Whom it asks is the datapath's end of the pair: that counts as the switch sees it (received is
 * what the host has sent), and is here wherever the host's has been moved.
 */
#include "dpif-bpf.h"

#include <errno.h>
#include <net/if.h>

#include "netdev-provider.h"
#include "openvswitch/vlog.h"

VLOG_DEFINE_THIS_MODULE(dpif_bpf_netdev);

static struct netdev_class internal;

/* Open vSwitch's lets only its own class construct what the kernel has not got yet. */
static int construct(struct netdev *netdev)
{
	int ret;

	netdev->netdev_class = &netdev_internal_class;
	ret = netdev_internal_class.construct(netdev);
	netdev->netdev_class = &internal;
	return ret;
}

/* ENODEV: it is not one of ours. */
static int open_end(const struct netdev *netdev, struct netdev **end)
{
	uint32_t ifindex = dp_bpf_internal_end(netdev_get_name(netdev));
	char name[IFNAMSIZ];

	if (!ifindex || !if_indextoname(ifindex, name))
		return ENODEV;
	return netdev_open(name, "system", end);
}

static int get_stats(const struct netdev *netdev, struct netdev_stats *stats)
{
	struct netdev *end;
	int ret;

	if (open_end(netdev, &end))
		return netdev_internal_class.get_stats(netdev, stats);
	ret = netdev_get_stats(end, stats);
	netdev_close(end);
	return ret;
}

static int get_status(const struct netdev *netdev, struct smap *smap)
{
	struct netdev *end;
	int ret;

	if (open_end(netdev, &end))
		return netdev_internal_class.get_status(netdev, smap);
	ret = netdev_get_status(end, smap);
	netdev_close(end);
	return ret;
}

void dp_bpf_netdev_register(void)
{
	static bool tried;

	if (tried)
		return;
	tried = true;
	internal = netdev_internal_class;
	internal.construct = construct;
	internal.get_stats = get_stats;
	internal.get_status = get_status;
	/* Not while openvswitch.ko's ports are open. */
	if (netdev_unregister_provider("internal") || netdev_register_provider(&internal))
		VLOG_INFO("internal ports will have no statistics");
}
