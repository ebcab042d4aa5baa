// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The class itself: which datapaths there are, opening and closing them, and its table of
 * functions. */
#include "dpif-bpf.h"

#include <errno.h>

#include "flow.h"
#include "netlink-socket.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"
#include "seq.h"
#include "sset.h"
#include "userspace/lib/pins.h"

VLOG_DEFINE_THIS_MODULE(dpif_bpf_class);

/* ofproto has one datapath a type, and calls it so. */
#define DATAPATH "ovs-bpf"

static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;
static struct shash open_dps = SHASH_INITIALIZER(&open_dps);

/* The instance, so the directory of pins, has the datapath's name, unless the environment names
 * another: two vswitchd of one machine (tests) need two. */
static const char *instance_of(const char *name)
{
	const char *other = getenv("BPFCT_OVS_INSTANCE");

	return other && *other ? other : name;
}

static int enumerate(struct sset *all, const struct dpif_class *class OVS_UNUSED)
{
	struct shash_node *node;

	ovs_mutex_lock(&mutex);
	SHASH_FOR_EACH(node, &open_dps)
	sset_add(all, node->name);
	ovs_mutex_unlock(&mutex);
	if (dp_bpf_pinned(instance_of(DATAPATH)))
		sset_add(all, DATAPATH);
	return 0;
}

static void free_dp(struct dp_bpf *dp)
{
	dp_bpf_unload(dp);
	seq_destroy(dp->port_news);
	ovs_mutex_destroy(&dp->port_lock);
	free(dp->name);
	free(dp);
}

static int make_dp(const char *name, struct dp_bpf **out)
{
	struct dp_bpf *dp = xzalloc(sizeof(*dp));
	int ret;

	dp->name = xstrdup(name);
	ovs_strlcpy(dp->instance, instance_of(name), sizeof(dp->instance));
	ovs_refcount_init(&dp->ref);
	ovs_mutex_init(&dp->port_lock);
	dp->port_news = seq_create();
	dp->exec_sock = -1;
	bpfct_pins_init(&dp->core.pins);
	ret = dp_bpf_load(dp);
	if (ret) {
		dp->gone = dp->core.pinned && !dp->core.adopted; /* nothing half made stays */
		free_dp(dp);
		return ret;
	}
	shash_add(&open_dps, name, dp);
	*out = dp;
	return 0;
}

static int find_dp(const char *name, bool create, struct dp_bpf **out)
{
	const char *instance = instance_of(name);

	if (strcmp(name, DATAPATH)) {
		if (create)
			VLOG_INFO("%s: all bridges share one datapath, " DATAPATH, name);
		return create ? EOPNOTSUPP : ENODEV;
	}
	*out = shash_find_data(&open_dps, name);
	if (*out && (*out)->gone)
		return EBUSY;
	if (*out) {
		if (create)
			return EEXIST;
		ovs_refcount_ref(&(*out)->ref);
		return 0;
	}
	if (!bpfct_instance_valid(instance))
		return EINVAL;
	if (dp_bpf_pinned(instance) ? create : !create)
		return create ? EEXIST : ENODEV;
	return make_dp(name, out);
}

static int open_dpif(const struct dpif_class *class, const char *name, bool create,
		     struct dpif **dpifp)
{
	struct dpif_bpf *d;
	struct dp_bpf *dp;
	int ret;

	dp_bpf_netdev_register();
	ovs_mutex_lock(&mutex);
	ret = find_dp(name, create, &dp);
	ovs_mutex_unlock(&mutex);
	if (ret)
		return ret;
	d = xzalloc(sizeof(*d));
	d->dp = dp;
	d->seen = seq_read(dp->port_news);
	dpif_init(&d->up, class, name, hash_string(name, 0) >> 8, hash_string(name, 0));
	*dpifp = &d->up;
	return 0;
}

static void close_dpif(struct dpif *dpif)
{
	struct dpif_bpf *d = CONTAINER_OF(dpif, struct dpif_bpf, up);
	struct dp_bpf *dp = d->dp;

	ovs_mutex_lock(&mutex);
	if (ovs_refcount_unref(&dp->ref) == 1) {
		shash_find_and_delete(&open_dps, dp->name);
		free_dp(dp);
	}
	ovs_mutex_unlock(&mutex);
	nl_sock_destroy(d->links);
	free(d);
}

/* Ports, programs and pins go with the last handle: with this one, not under a bridge's feet. */
static int destroy(struct dpif *dpif)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	bool last;

	ovs_mutex_lock(&mutex);
	last = ovs_refcount_read(&dp->ref) == 1;
	dp->gone |= last;
	ovs_mutex_unlock(&mutex);
	return last ? 0 : EBUSY;
}

uint32_t dp_bpf_internal_end(const char *name)
{
	struct shash_node *node;
	uint32_t ifindex = 0;

	ovs_mutex_lock(&mutex);
	SHASH_FOR_EACH(node, &open_dps)
	if (!ifindex)
		ifindex = dp_bpf_port_end(node->data, name);
	ovs_mutex_unlock(&mutex);
	return ifindex;
}

static int get_stats(const struct dpif *dpif, struct dpif_dp_stats *s)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);
	uint64_t sum[OVS_STAT_SLOTS];
	int ret = bpfct_counters(dp->stat_fd, sum, OVS_STAT_SLOTS);

	memset(s, 0, sizeof(*s));
	if (ret)
		return -ret;
	s->n_hit = sum[OVS_STAT_HIT];
	s->n_missed = sum[OVS_STAT_MISSED];
	s->n_lost = sum[OVS_STAT_LOST];
	s->n_mask_hit = sum[OVS_STAT_MASK_HIT];
	s->n_cache_hit = sum[OVS_STAT_CACHE_HIT];
	ovs_mutex_lock(&dp->flow_lock);
	s->n_flows = hmap_count(&dp->flows);
	s->n_masks = dp->masks.live;
	ovs_mutex_unlock(&dp->flow_lock);
	return 0;
}

static void operate(struct dpif *dpif, struct dpif_op **ops, size_t n,
		    enum dpif_offload_type offload)
{
	struct dp_bpf *dp = dp_bpf_of(dpif);

	for (size_t i = 0; i < n; i++) {
		struct dpif_op *op = ops[i];

		if (offload == DPIF_OFFLOAD_ALWAYS) {
			op->error = EOPNOTSUPP;
			continue;
		}
		switch (op->type) {
		case DPIF_OP_FLOW_PUT:
			op->error = dp_bpf_flow_put(dp, &op->flow_put);
			break;
		case DPIF_OP_FLOW_DEL:
			op->error = dp_bpf_flow_del(dp, &op->flow_del);
			break;
		case DPIF_OP_EXECUTE:
			op->error = dp_bpf_execute(dpif, &op->execute);
			break;
		case DPIF_OP_FLOW_GET:
			op->error = dp_bpf_flow_get(dp, &op->flow_get);
			break;
		}
	}
}

static char *version(void)
{
	return xstrdup("bpfct");
}

/* OpenFlow queues are classes of the port's qdisc, as the kernel's datapath has it. */
static int queue_to_priority(const struct dpif *dpif OVS_UNUSED, uint32_t queue, uint32_t *priority)
{
	if (queue >= 0xf000)
		return EINVAL;
	*priority = 1 << 16 | (queue + 1);
	return 0;
}

/* other_config:bpf-sip-ports="5060,5080": what of ct(alg=) is SIP's; bpf-sip-fragments=true:
 * without alg= too where the first message comes in fragments (dp_abi.h). */
static int set_config(struct dpif *dpif, const struct smap *other_config)
{
	struct ovs_config *config = dp_bpf_of(dpif)->config;
	const char *text = smap_get_def(other_config, "bpf-sip-ports", "");
	char *ports = xstrdup(text), *rest = ports, *word;
	ovs_be16 port[OVS_SIP_PORTS] = {0};
	unsigned int n = 0;
	int number, ret = 0;

	while (!ret && (word = strsep(&rest, ", ")) != NULL) {
		if (!*word)
			continue;
		if (n == OVS_SIP_PORTS || !str_to_int(word, 10, &number) || number < 1 ||
		    number > UINT16_MAX)
			ret = EINVAL;
		else
			port[n++] = htons(number);
	}
	free(ports);
	for (n = 0; n < OVS_SIP_PORTS && !ret; n++)
		__atomic_store_n(&config->sip_port[n], port[n], __ATOMIC_RELAXED);
	__atomic_store_n(&config->sip_fragments,
			 smap_get_bool(other_config, "bpf-sip-fragments", false), __ATOMIC_RELAXED);
	if (ret)
		VLOG_WARN("bpf-sip-ports=\"%s\": not up to %d ports", text, OVS_SIP_PORTS);
	return ret;
}

/* other_config:vlan-limit, as the main thread has it: how many tags the packets' keys have. */
static bool run(struct dpif *dpif)
{
	struct ovs_config *config = dp_bpf_of(dpif)->config;

	if (config && config->vlan_limit != (uint32_t)flow_vlan_limit)
		__atomic_store_n(&config->vlan_limit, flow_vlan_limit, __ATOMIC_RELAXED);
	return false;
}

const struct dpif_class dpif_bpf_class = {
	.type = "bpf",
	.run = run,
	.enumerate = enumerate,
	.open = open_dpif,
	.close = close_dpif,
	.destroy = destroy,
	.get_stats = get_stats,
	.port_add = dp_bpf_port_add,
	.port_del = dp_bpf_port_del,
	.port_query_by_number = dp_bpf_port_by_number,
	.port_query_by_name = dp_bpf_port_by_name,
	.port_dump_start = dp_bpf_port_dump_start,
	.port_dump_next = dp_bpf_port_dump_next,
	.port_dump_done = dp_bpf_port_dump_done,
	.port_poll = dp_bpf_port_poll,
	.port_poll_wait = dp_bpf_port_poll_wait,
	.flow_flush = dp_bpf_flow_flush,
	.flow_dump_create = dp_bpf_dump_create,
	.flow_dump_destroy = dp_bpf_dump_destroy,
	.flow_dump_thread_create = dp_bpf_dump_thread_create,
	.flow_dump_thread_destroy = dp_bpf_dump_thread_destroy,
	.flow_dump_next = dp_bpf_dump_next,
	.operate = operate,
	.recv_set = dp_bpf_recv_set,
	.handlers_set = dp_bpf_handlers_set,
	.set_config = set_config,
	.queue_to_priority = queue_to_priority,
	.recv = dp_bpf_recv,
	.recv_wait = dp_bpf_recv_wait,
	.recv_purge = dp_bpf_recv_purge,
	.get_datapath_version = version,
	.ct_dump_start = dp_bpf_ct_dump_start,
	.ct_dump_next = dp_bpf_ct_dump_next,
	.ct_dump_done = dp_bpf_ct_dump_done,
	.ct_flush = dp_bpf_ct_flush,
	.ct_set_maxconns = dp_bpf_ct_set_maxconns,
	.ct_get_maxconns = dp_bpf_ct_get_maxconns,
	.ct_get_nconns = dp_bpf_ct_get_nconns,
	.ct_set_tcp_seq_chk = dp_bpf_ct_set_tcp_seq_chk,
	.ct_get_tcp_seq_chk = dp_bpf_ct_get_tcp_seq_chk,
	.ct_set_limits = dp_bpf_ct_set_limits,
	.ct_get_limits = dp_bpf_ct_get_limits,
	.ct_del_limits = dp_bpf_ct_del_limits,
	.ct_set_timeout_policy = dp_bpf_ct_set_timeout_policy,
	.ct_get_timeout_policy = dp_bpf_ct_get_timeout_policy,
	.ct_del_timeout_policy = dp_bpf_ct_del_timeout_policy,
	.ct_timeout_policy_dump_start = dp_bpf_ct_timeout_dump_start,
	.ct_timeout_policy_dump_next = dp_bpf_ct_timeout_dump_next,
	.ct_timeout_policy_dump_done = dp_bpf_ct_timeout_dump_done,
	.ct_get_timeout_policy_name = dp_bpf_ct_timeout_name,
	.ct_get_features = dp_bpf_ct_get_features,
	.ipf_set_enabled = dp_bpf_ipf_set_enabled,
	.ipf_set_min_frag = dp_bpf_ipf_set_min_frag,
	.ipf_set_max_nfrags = dp_bpf_ipf_set_max_nfrags,
	.ipf_get_status = dp_bpf_ipf_get_status,
	.meter_get_features = dp_bpf_meter_features,
	.meter_set = dp_bpf_meter_set,
	.meter_get = dp_bpf_meter_get,
	.meter_del = dp_bpf_meter_del,
};

/* Before main(), and before vswitchd forks: no thread and no BPF here. */
static void __attribute__((constructor)) register_class(void)
{
	dp_register_provider(&dpif_bpf_class);
}
