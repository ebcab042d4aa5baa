// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The datapath into the kernel: ct_core and ovs_tc share their maps, all pinned under the
 * instance's name. A vswitchd that finds the pins of a former one takes them over: maps keep their
 * contents, programs are replaced where they are attached.
 */
#include "dpif-bpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flow.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/vlog.h"

#include "consumers/ovs/ovs_tc.skel.h"

VLOG_DEFINE_THIS_MODULE(dpif_bpf);

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define QUOTA (OVS_RING_BYTES / 8) /* of a ring, that one port may have filled */

bool dp_bpf_pinned(const char *instance)
{
	char path[BPFCT_PATH_MAX];
	struct stat st;

	bpfct_pin_path(path, instance, "ovs_config_v1");
	return !stat(path, &st);
}

int dp_bpf_map(struct dp_bpf *dp, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(dp->skel->obj, name);

	return map ? bpf_map__fd(map) : -1;
}

int dp_bpf_prog(struct dp_bpf *dp, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(dp->skel->obj, name);

	return prog ? bpf_program__fd(prog) : -1;
}

static size_t mapped_size(const struct bpf_map *map)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return ROUND_UP((size_t)ROUND_UP(bpf_map__value_size(map), 8) * bpf_map__max_entries(map),
			page);
}

/* An array map, in memory. */
static void *map_array(struct dp_bpf *dp, const char *name, uint32_t *entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(dp->skel->obj, name);
	void *at;

	if (!map)
		return NULL;
	if (entries)
		*entries = bpf_map__max_entries(map);
	at = mmap(NULL, mapped_size(map), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	return at == MAP_FAILED ? NULL : at;
}

static void unmap_array(struct dp_bpf *dp, const char *name, void *at)
{
	if (at)
		munmap(at, mapped_size(bpf_object__find_map_by_name(dp->skel->obj, name)));
}

static int map_arrays(struct dp_bpf *dp)
{
	dp->config = map_array(dp, "ovs_config_v1", NULL);
	dp->port = map_array(dp, "ovs_port_v1", NULL);
	dp->near = map_array(dp, "ovs_near_v1", NULL);
	dp->mask = map_array(dp, "ovs_mask_v1", NULL);
	dp->flow = map_array(dp, "ovs_flow_v1", &dp->n_flows);
	dp->action = map_array(dp, "ovs_action_v1", &dp->n_actions);
	dp->meter = map_array(dp, "ovs_meter_v1", NULL);
	dp->far_fd = dp_bpf_map(dp, "ovs_far_v1");
	dp->match_fd = dp_bpf_map(dp, "ovs_match_v1");
	dp->cookie_fd = dp_bpf_map(dp, "ovs_cookie_v1");
	dp->stat_fd = dp_bpf_map(dp, "ovs_stat_v1");
	dp->alg_fd = dp_bpf_map(dp, "ovs_alg_v1");
	if (!dp->config || !dp->port || !dp->near || !dp->mask || !dp->flow || !dp->action ||
	    !dp->meter || dp->far_fd < 0 || dp->match_fd < 0 || dp->cookie_fd < 0 ||
	    dp->stat_fd < 0 || dp->alg_fd < 0)
		return ENOMEM;
	return 0;
}

static void unmap_arrays(struct dp_bpf *dp)
{
	unmap_array(dp, "ovs_config_v1", dp->config);
	unmap_array(dp, "ovs_port_v1", dp->port);
	unmap_array(dp, "ovs_near_v1", dp->near);
	unmap_array(dp, "ovs_mask_v1", dp->mask);
	unmap_array(dp, "ovs_flow_v1", dp->flow);
	unmap_array(dp, "ovs_action_v1", dp->action);
	unmap_array(dp, "ovs_meter_v1", dp->meter);
}

static uint64_t netns_cookie(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd >= 0) {
		getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
		close(fd);
	}
	return cookie;
}

/* The version last (dp_bpf_load): the programs do nothing before. */
static int set_config(struct dp_bpf *dp)
{
	struct ovs_config *c = dp->config;
	uint64_t netns = netns_cookie();

	if (c->abi_version && c->abi_version != OVS_ABI_VERSION) {
		VLOG_ERR("%s: the pinned maps have version %u, this vswitchd has %d", dp->name,
			 c->abi_version, OVS_ABI_VERSION);
		return EPROTO;
	}
	if (c->abi_version && c->netns && c->netns != netns) {
		VLOG_ERR("%s: its ports are in another network namespace", dp->name);
		return EXDEV;
	}
	c->netns = netns;
	c->upcall_quota = QUOTA;
	return 0;
}

/* To the log, not to whatever stderr is. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	struct ds text = DS_EMPTY_INITIALIZER;

	ds_put_format_valist(&text, format, args);
	ds_chomp(&text, '\n');
	if (level == LIBBPF_WARN)
		VLOG_INFO("%s", ds_cstr(&text));
	else
		VLOG_DBG("%s", ds_cstr(&text));
	ds_destroy(&text);
	return 0;
}

/* How many connections of each family the tables are made for: the operator's number, or the
 * library's default. */
static int read_limits(struct bpfct_limits *limits, char *err, size_t errlen)
{
	const char *text = getenv("BPFCT_OVS_CONNECTIONS");
	unsigned int n;

	memset(limits, 0, sizeof(*limits));
	if (!text || !*text)
		return 0;
	if (!str_to_uint(text, 10, &n) || !n) {
		snprintf(err, errlen, "BPFCT_OVS_CONNECTIONS=%s is no number of connections", text);
		return -EINVAL;
	}
	limits->confirmed = n;
	return 0;
}

/* Maps that a former vswitchd has left keep their size: connections are worth more than room. */
static int load_core(struct dp_bpf *dp, struct bpfct_limits *limits, char *err, size_t errlen)
{
	int ret = bpfct_core_load(&dp->core, dp->instance, limits, err, errlen);

	if (ret != -EPROTO || !limits->confirmed)
		return ret;
	VLOG_WARN("%s: %s; BPFCT_OVS_CONNECTIONS is for new maps: they stay as they are", dp->name,
		  err);
	limits->confirmed = 0;
	return bpfct_core_load(&dp->core, dp->instance, limits, err, errlen);
}

static int load_objects(struct dp_bpf *dp, char *err, size_t errlen)
{
	struct bpfct_limits limits;
	int ret = read_limits(&limits, err, errlen);

	libbpf_set_print(print_libbpf);
	if (!ret)
		ret = bpffs_ensure(err, errlen);
	if (!ret)
		ret = load_core(dp, &limits, err, errlen);
	if (ret)
		return ret;
	dp->skel = ovs_tc__open();
	if (!dp->skel) {
		snprintf(err, errlen, "cannot open the datapath's object");
		return -ENOMEM;
	}
	ret = bpfct_core_share(&dp->core, dp->skel->obj, err, errlen);
	if (ret)
		return ret;
	ret = ovs_tc__load(dp->skel);
	if (ret)
		snprintf(err, errlen, "cannot load the datapath's programs: %s",
			 ovs_strerror(-ret));
	return ret;
}

/* From here on those who look for the instance see what we have loaded. */
static int pin_objects(struct dp_bpf *dp, char *err, size_t errlen)
{
	int ret = bpfct_core_pin(&dp->core, err, errlen);

	return ret ? ret : bpfct_core_pin_maps(&dp->core, dp->skel->obj, err, errlen);
}

/* A second vswitchd, or a ctd, would give out slots and names that are ours. */
static int take_instance(struct dp_bpf *dp, char *err, size_t errlen)
{
	int ret;

	dp->lock.fd = -1;
	ret = run_lock_take(&dp->lock, dp->instance, err, errlen);
	return ret ? ret : run_lock_write(&dp->lock);
}

int dp_bpf_load(struct dp_bpf *dp)
{
	char err[256] = "";
	int ret = -take_instance(dp, err, sizeof(err));

	if (!ret)
		ret = -load_objects(dp, err, sizeof(err));
	if (ret) {
		VLOG_ERR("%s: %s", dp->name, *err ? err : ovs_strerror(ret));
		return ret;
	}
	/* What is pinned stays as it was until we know that we can take it over. */
	ret = map_arrays(dp);
	if (!ret)
		ret = set_config(dp);
	if (ret)
		return ret;
	ret = -pin_objects(dp, err, sizeof(err));
	if (!ret)
		ret = dp_bpf_rings_open(dp);
	if (ret) {
		VLOG_ERR("%s: %s", dp->name, *err ? err : ovs_strerror(ret));
		return ret;
	}
	dp_bpf_flows_init(dp);
	ret = dp_bpf_exec_open(dp);
	if (!ret)
		ret = dp_bpf_keep_start(dp);
	if (!ret)
		ret = dp_bpf_alg_start(dp);
	if (ret) {
		VLOG_ERR("%s: cannot set up the datapath: %s", dp->name, ovs_strerror(ret));
		return ret;
	}
	dp_bpf_ports_adopt(dp);
	dp->config->vlan_limit = flow_vlan_limit;
	dp->config->abi_version = OVS_ABI_VERSION;
	VLOG_INFO("%s: datapath %s, %" PRIuSIZE " flows", dp->name,
		  dp->core.adopted ? "taken over" : "made", hmap_count(&dp->flows));
	return 0;
}

void dp_bpf_unload(struct dp_bpf *dp)
{
	bool pinned = dp->core.pinned;
	char err[256];

	dp_bpf_alg_stop(dp);
	dp_bpf_keep_stop(dp);
	if (dp->gone && dp->port)
		dp_bpf_ports_drop(dp);
	dp_bpf_exec_close(dp);
	dp_bpf_flows_destroy(dp);
	dp_bpf_rings_close(dp);
	if (dp->skel)
		unmap_arrays(dp);
	ovs_tc__destroy(dp->skel);
	dp->skel = NULL;
	bpfct_core_close(&dp->core);
	if (dp->gone && pinned && bpfct_unpin(dp->instance, err, sizeof(err)))
		VLOG_WARN("%s: %s", dp->name, err);
	run_lock_drop(&dp->lock, dp->gone);
}
