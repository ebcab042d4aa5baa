// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The thread that reads what helped connections say (dpif-bpf-alg-ctd.c), and its packets on
 * their way back: an EXECUTE of what was left to be done when the last packet of that connection
 * and direction was taken.
 */
#include "dpif-bpf.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "dp-packet.h"
#include "dpif-bpf-alg.h"
#include "ofproto/ofproto-dpif-rid.h"
#include "openvswitch/vlog.h"
#include "ovs-atomic.h"
#include "ovs-rcu.h"

VLOG_DEFINE_THIS_MODULE(dpif_bpf_alg);

/* ctd's code is one thread's: there is one datapath that has it. ofproto opens no second. */
static atomic_flag taken = ATOMIC_FLAG_INIT;

void dp_alg_log(int level, const char *text)
{
	static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 20);
	enum vlog_level vl = level <= 3	  ? VLL_ERR
			     : level <= 4 ? VLL_WARN
			     : level <= 6 ? VLL_INFO
					  : VLL_DBG;

	VLOG_RL(&rl, vl, "%s", text);
}

static void *run(void *arg)
{
	struct dp_bpf *dp = arg;
	int ret;

	ovsrcu_quiesce_start(); /* but for dp_alg_send() */
	ret = dp_alg_run(dp, &dp->core, dp->alg_stop[0]);
	if (ret)
		VLOG_ERR("%s: helpers of connections do not run: %s", dp->name, ovs_strerror(-ret));
	return NULL;
}

int dp_bpf_alg_start(struct dp_bpf *dp)
{
	if (atomic_flag_test_and_set(&taken)) {
		VLOG_WARN("%s: another datapath has the helpers of connections: payload of "
			  "ct(alg=) is dropped here",
			  dp->name);
		return 0;
	}
	if (pipe2(dp->alg_stop, O_CLOEXEC)) {
		atomic_flag_clear(&taken);
		return errno;
	}
	dp->alg_life = dp->config->life;
	dp->alg = ovs_thread_create("bpf_alg", run, dp);
	dp->alg_runs = true;
	return 0;
}

void dp_bpf_alg_stop(struct dp_bpf *dp)
{
	if (!dp->alg_runs)
		return;
	close(dp->alg_stop[1]);
	xpthread_join(dp->alg, NULL);
	close(dp->alg_stop[0]);
	dp->alg_runs = false;
	atomic_flag_clear(&taken);
}

/* Does the rest of the actions still lead where it did? After a flush a recirc_id means
 * something else, or nothing; before this vswitchd's first one they are the former's, whose flows
 * forward. */
static bool leads_on(struct dp_bpf *dp, const struct ovs_alg *way)
{
	if (way->life != __atomic_load_n(&dp->config->life, __ATOMIC_RELAXED) || !way->n_actions ||
	    way->n_actions > OVS_FLOW_ACTIONS)
		return false;
	for (uint32_t i = 0; i < way->n_actions; i++)
		if (way->action[i].type == OVS_ACT_RECIRC && way->life != dp->alg_life &&
		    !recirc_id_node_find(way->action[i].id))
			return false;
	return way->action[0].type == OVS_ACT_CT;
}

/* A way that leads nowhere any more, of a packet that nothing had been done to: from the start,
 * where flows of now take it. Their ct() of this connection knows it by its mark. */
static bool from_the_start(struct dp_bpf *dp, struct ovs_alg *way)
{
	const struct ovs_port *port = &dp->port[way->key.in_port % OVS_PORTS];

	if (!way->first || !(port->flags & OVS_PORT_LIVE))
		return false;
	way->action[0] = (struct ovs_action){.type = OVS_ACT_RECIRC};
	way->n_actions = 1;
	way->key.dp_hash = way->key.ct_state = way->key.ct_proto = 0;
	way->key.ct_zone = 0;
	way->key.ct_mark = 0;
	memset(way->key.ct_label, 0, sizeof(way->key.ct_label));
	return true;
}

/* The frame as it was when the last one was taken, with the tag that was beside it. */
static struct dp_packet *packet_of(const struct ovs_alg *way, const uint8_t *frame, size_t len)
{
	struct dp_packet *packet = dp_packet_clone_data_with_headroom(frame, len, VLAN_HEADER_LEN);

	if (way->vlan_tpid)
		eth_push_vlan(packet, way->vlan_tpid, way->vlan_tci & ~htons(VLAN_CFI));
	return packet;
}

/* Goes on at the ct() that took it, which does not track or commit again. */
static int execute(struct dp_bpf *dp, struct ovs_alg *way, uint32_t mark, const uint8_t *frame,
		   size_t len)
{
	struct ovs_flow now = {.key = way->key, .n_actions = way->n_actions};
	struct ovs_ct *ct = &way->action[0].ct;
	struct dp_packet *packet;
	int ret;

	if (way->action[0].type == OVS_ACT_CT)
		ct->flags = (ct->flags & OVS_CT_NAT) | OVS_CT_RESUME;
	now.key.skb_mark = mark;
	ovs_mutex_lock(&dp->flow_lock);
	ret = dp_bpf_actions_keep(dp, way->action, way->n_actions, now.action);
	ovs_mutex_unlock(&dp->flow_lock);
	if (ret)
		return ret;
	packet = packet_of(way, frame, len);
	ret = dp_bpf_execute_flow(dp, packet, 0, &now);
	dp_packet_delete(packet);
	ovs_mutex_lock(&dp->flow_lock);
	dp_bpf_actions_unref(dp, now.action, now.n_actions);
	ovs_mutex_unlock(&dp->flow_lock);
	return ret;
}

/* Of the frame that is sent next; of one thread, as all of this. */
static struct ovs_alg way;

int dp_alg_enter(struct dp_bpf *dp, int algexec_fd, uint32_t mark, struct alg_exec *e)
{
	struct ovs_alg_key key = {.conn = e->conn, .dir = e->dir};
	bool leads;

	if (bpf_map_lookup_elem(dp->alg_fd, &key, &way))
		return -ENOENT;
	ovsrcu_quiesce_end();
	leads = leads_on(dp, &way);
	ovsrcu_quiesce_start();
	if (!leads && !from_the_start(dp, &way))
		return -ENOENT;
	e->ifindex = dp->config->exec_ifindex;
	e->mark = way.key.skb_mark;
	return bpf_map_update_elem(algexec_fd, &mark, e, BPF_ANY) ? -errno : 0;
}

int dp_alg_send(struct dp_bpf *dp, uint32_t mark, const uint8_t *frame, size_t len)
{
	int ret;

	ovsrcu_quiesce_end();
	ret = execute(dp, &way, mark, frame, len);
	ovsrcu_quiesce_start();
	return -ret;
}

void dp_alg_sweep(struct dp_bpf *dp, int alg_fd)
{
	struct ovs_alg_key key, next;
	struct ct_alg alg;
	bool more = !bpf_map_get_next_key(dp->alg_fd, NULL, &next);

	for (unsigned int left = OVS_ALGS; more && left; left--) {
		key = next;
		more = !bpf_map_get_next_key(dp->alg_fd, &key, &next);
		if (bpf_map_lookup_elem(alg_fd, &key.conn, &alg))
			bpf_map_delete_elem(dp->alg_fd, &key);
	}
}
