// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What Open vSwitch knows of an internal port's device. Its class "internal" asks openvswitch.ko
 * for statistics, which here knows nothing: `ovs-vsctl list interface br0` had none. Ours answers
 * for the ports of our datapaths, and in all else is that class.
 *
 * The statistics are those of the datapath's end of the pair: they count as the switch sees it
 * (received is what the host has sent), and that end is here wherever the host's has been moved.
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

static int get_stats(const struct netdev *netdev, struct netdev_stats *stats)
{
	uint32_t ifindex = dp_bpf_internal_end(netdev_get_name(netdev));
	struct netdev *end;
	char name[IFNAMSIZ];
	int ret;

	if (!ifindex)
		return netdev_internal_class.get_stats(netdev, stats);
	if (!if_indextoname(ifindex, name))
		return ENODEV;
	ret = netdev_open(name, "system", &end);
	if (!ret) {
		ret = netdev_get_stats(end, stats);
		netdev_close(end);
	}
	return ret;
}

static int get_status(const struct netdev *netdev, struct smap *smap)
{
	const struct netdev_class *as = dp_bpf_internal_end(netdev_get_name(netdev))
						? &netdev_linux_class
						: &netdev_internal_class;

	return as->get_status(netdev, smap);
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
