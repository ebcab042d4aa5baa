/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DPIF_BPF_H
#define BPFCT_OVS_DPIF_BPF_H

#include "dpif-provider.h"
#include "openvswitch/thread.h"
#include "ovs-thread.h"
#include "util.h"

#include "consumers/ovs/dp_abi.h"
#include "dpif-bpf-store.h"
#include "dpif-bpf-xlate.h"
#include "userspace/ctd/rundir.h"
#include "userspace/lib/loader.h"

/*
 * The dpif class `bpf`: what ovs-vswitchd knows of a datapath that is made of BPF programs and
 * maps. Linked into an unpatched Open vSwitch 3.1, whose internal headers it uses. A file a duty;
 * all functions return 0 or a positive errno, as Open vSwitch has it, unless they say otherwise.
 *
 * One struct dp_bpf a datapath, shared by all its dpif handles. Everything that has to
 * outlive vswitchd is in pinned maps; what is here can be found again from those.
 */
#define DP_BARE_MAX 64 /* packets */

struct dp_bpf {
	char *name;
	struct ovs_refcount ref;
	bool gone; /* destroyed: the last one to close takes away the pins */
	char instance[64];
	struct run_lock lock;	   /* no other process has the instance */
	struct bpfct_core core;	   /* connection tracking: maps, sweeps, control */
	struct ovs_tc *skel;	   /* the datapath's programs and maps */
	struct bpfct_sweep *sweep; /* dpif-bpf-keep.c */
	pthread_t keeper;
	int keeper_stop[2]; /* a pipe: closing it ends the thread */
	bool keeper_runs;

	pthread_t alg; /* dpif-bpf-alg.c */
	int alg_stop[2];
	bool alg_runs;
	int alg_fd;	   /* ovs_alg_v1 */
	uint32_t alg_life; /* ovs_config.life when this vswitchd came */

	/* Maps, mapped into memory. */
	struct ovs_config *config;
	struct ovs_port *port;
	struct dp_near {
		uint64_t number; /* of the port, + 1; 0: none */
	} * near;
	struct ovs_key *mask;
	struct ovs_flow *flow;
	struct ovs_action *action;
	struct ovs_meter *meter;
	uint32_t n_flows, n_actions; /* elements of the two */
	int far_fd, match_fd, cookie_fd, stat_fd;

	/* dpif-bpf-flow.c: who is where in the maps; all found again at a start. */
	struct ovs_mutex flow_lock;
	struct hmap flows; /* struct dp_flow by UFID */
	struct hmap lists; /* struct dp_list: masks of ports */
	struct dp_slots flow_slots;
	struct dp_store masks, actions, cookies;

	/* dpif-bpf-port.c */
	struct ovs_mutex port_lock;
	bool clsact;	       /* programs are on qdiscs: a kernel without TCX */
	struct seq *port_news; /* ports have come or gone */

	/* dpif-bpf-upcall.c */
	struct dp_ring {
		struct ovs_mutex lock;
		int fd;
		uint64_t *consumer; /* its position */
		const uint64_t *producer;
		const uint8_t *data; /* twice in a row, so that no record wraps */
	} ring[OVS_RINGS];
	atomic_uint32_t handlers;
	atomic_bool receive;

	/* dpif-bpf-bare.c: packets without an Ethernet header, on their way to a handler */
	struct {
		struct ovs_mutex lock;
		struct seq *news;
		struct dp_packet *packet[DP_BARE_MAX];
		unsigned int first, end; /* they run on; modulo DP_BARE_MAX */
	} bare;

	/* dpif-bpf-execute.c */
	struct ovs_mutex exec_lock;
	pthread_cond_t exec_free;
	uint64_t exec_busy; /* a bit a slot */
	int exec_sock;
	uint32_t exec_serial;
};

struct dpif_bpf {
	struct dpif up;
	struct dp_bpf *dp;
	struct nl_sock *links; /* dpif-bpf-port.c: news of devices */
	uint64_t seen;	       /* of dp_bpf.port_news */
};

static inline struct dp_bpf *dp_bpf_of(const struct dpif *dpif)
{
	return CONTAINER_OF(dpif, struct dpif_bpf, up)->dp;
}

static inline struct ovs_meter *dpif_bpf_meters(const struct dpif *dpif)
{
	return dp_bpf_of(dpif)->meter;
}

/* What dpif calls the hash of an upcall's packet, and gives back with its EXECUTE: how to send a
 * packet that is to be cut into segments. 0: it is none. */
enum { DP_GSO_TCP4 = 1, DP_GSO_TCP6, DP_GSO_UDP };
union dp_hash {
	uint64_t word;
	struct {
		uint16_t gso_size;
		uint16_t csum_start;
		uint8_t csum_offset;
		uint8_t gso; /* DP_GSO_* */
		uint16_t pad;
	};
};

extern const struct dpif_class dpif_bpf_class;

/* dpif-bpf.c. The datapath's end of an internal port of any open datapath; 0: there is none. */
uint32_t dp_bpf_internal_end(const char *name);

/* dpif-bpf-netdev.c. Before any port is opened. */
void dp_bpf_netdev_register(void);

/* dpif-bpf-load.c: maps and programs of a new instance, or those of a former vswitchd. */
bool dp_bpf_pinned(const char *instance);
int dp_bpf_load(struct dp_bpf *dp);
void dp_bpf_unload(struct dp_bpf *dp);		     /* with dp->gone: the pins too */
int dp_bpf_map(struct dp_bpf *dp, const char *name); /* descriptors; -1: no such */
int dp_bpf_prog(struct dp_bpf *dp, const char *name);

/* dpif-bpf-link.c: devices, by rtnetlink. */
int dp_link_add_pair(const char *name, const char *peer, unsigned int mtu);
int dp_link_del(const char *name);
int dp_link_flags(unsigned int ifindex, unsigned int set, unsigned int clear);
int dp_link_no_ipv6(const char *name);
/* Whether it can be a port: EINVAL: no Ethernet, or loopback; EBUSY: it belongs to a bridge, a
 * bond or a VRF of the kernel's. And whether somebody has made it promiscuous. */
int dp_link_usable(unsigned int ifindex, bool *promisc);

/* dpif-bpf-port.c */
int dp_bpf_port_add(struct dpif *, struct netdev *, odp_port_t *);
int dp_bpf_port_del(struct dpif *, odp_port_t);
int dp_bpf_port_by_number(const struct dpif *, odp_port_t, struct dpif_port *);
int dp_bpf_port_by_name(const struct dpif *, const char *, struct dpif_port *);
int dp_bpf_port_dump_start(const struct dpif *, void **);
int dp_bpf_port_dump_next(const struct dpif *, void *, struct dpif_port *);
int dp_bpf_port_dump_done(const struct dpif *, void *);
int dp_bpf_port_poll(const struct dpif *, char **);
void dp_bpf_port_poll_wait(const struct dpif *);
uint32_t dp_bpf_port_end(struct dp_bpf *dp, const char *name); /* as dp_bpf_internal_end() */
void dp_bpf_ports_adopt(struct dp_bpf *dp); /* programs on what is there, the rest goes */
void dp_bpf_ports_drop(struct dp_bpf *dp);  /* all of them */

/* dpif-bpf-flow.c */
void dp_bpf_flows_init(struct dp_bpf *dp);
void dp_bpf_flows_destroy(struct dp_bpf *dp);
int dp_bpf_flow_put(struct dp_bpf *dp, struct dpif_flow_put *);
int dp_bpf_flow_del(struct dp_bpf *dp, struct dpif_flow_del *);
int dp_bpf_flow_get(struct dp_bpf *dp, struct dpif_flow_get *);
int dp_bpf_flow_flush(struct dpif *);
/* Slots of these actions, each with a reference; nothing is referred to after a failure. */
int dp_bpf_actions_ref(struct dp_bpf *dp, const struct nlattr *actions, size_t len,
		       uint32_t slot[OVS_FLOW_ACTIONS], uint32_t *n);
int dp_bpf_actions_keep(struct dp_bpf *dp, const struct ovs_action *a, uint32_t n,
			uint32_t slot[OVS_FLOW_ACTIONS]); /* as they stand in the maps */
void dp_bpf_actions_unref(struct dp_bpf *dp, const uint32_t *slot, uint32_t n);

/* dpif-bpf-dump.c */
struct dpif_flow_dump *dp_bpf_dump_create(const struct dpif *, bool, struct dpif_flow_dump_types *);
int dp_bpf_dump_destroy(struct dpif_flow_dump *);
struct dpif_flow_dump_thread *dp_bpf_dump_thread_create(struct dpif_flow_dump *);
void dp_bpf_dump_thread_destroy(struct dpif_flow_dump_thread *);
int dp_bpf_dump_next(struct dpif_flow_dump_thread *, struct dpif_flow *, int);
void dp_bpf_flow_stats(struct dp_bpf *dp, const struct ovs_flow *f, struct dpif_flow_stats *s);
/* Key, mask and actions of a flow, behind one another in buf. */
void dp_bpf_flow_fill(struct dp_bpf *dp, const struct ovs_flow *f, struct ofpbuf *buf,
		      struct dpif_flow *out);

/* dpif-bpf-upcall.c */
int dp_bpf_rings_open(struct dp_bpf *dp);
void dp_bpf_rings_close(struct dp_bpf *dp);
int dp_bpf_recv_set(struct dpif *, bool);
int dp_bpf_handlers_set(struct dpif *, uint32_t);
int dp_bpf_recv(struct dpif *, uint32_t, struct dpif_upcall *, struct ofpbuf *);
void dp_bpf_recv_wait(struct dpif *, uint32_t);
void dp_bpf_recv_purge(struct dpif *);

/* dpif-bpf-bare.c */
void dp_bpf_bare_open(struct dp_bpf *dp);
void dp_bpf_bare_close(struct dp_bpf *dp);
/* The packet, if all that is to be done with it is a recirculation. EINVAL: there is more;
 * ENOBUFS: too many wait already. */
int dp_bpf_bare_recirc(struct dp_bpf *dp, const struct dpif_execute *);
int dp_bpf_bare_recv(struct dp_bpf *dp, struct dpif_upcall *, struct ofpbuf *); /* or EAGAIN */
void dp_bpf_bare_wait(struct dp_bpf *dp);
void dp_bpf_bare_purge(struct dp_bpf *dp);

/* dpif-bpf-execute.c */
int dp_bpf_exec_open(struct dp_bpf *dp);
void dp_bpf_exec_close(struct dp_bpf *dp);
int dp_bpf_execute(struct dpif *, struct dpif_execute *);
int dp_bpf_execute_helped(struct dpif *,
			  const struct dpif_execute *); /* by odp_execute_actions() */
/* Metadata and actions are those of `flow`; hash: union dp_hash. */
int dp_bpf_execute_flow(struct dp_bpf *dp, struct dp_packet *, uint64_t hash,
			const struct ovs_flow *flow);

/* dpif-bpf-segment.c: packets that are to be cut into segments, which the packet remembers. */
void dp_super_note(struct dp_packet *, uint16_t gso_size,
		   uint32_t gso_type);		    /* behind Ethernet and tags there is IP */
uint16_t dp_super_size(const struct dp_packet *);   /* of its segments; 0: it is none */
bool dp_super_is_wrapped(const struct dp_packet *); /* nobody else can cut it */
/* Each segment with all headers; until one is refused. */
int dp_super_cut(const struct dp_packet *, int (*send)(struct dp_packet *, void *arg), void *arg);
/* Of the pseudo-header, whatever headers of options are between; len: behind them. */
uint32_t dp_super_sum6(const struct ovs_16aligned_ip6_hdr *, uint8_t proto, size_t len);

/* dpif-bpf-meter.c */
void dp_bpf_meter_features(const struct dpif *, struct ofputil_meter_features *);
int dp_bpf_meter_set(struct dpif *, ofproto_meter_id, struct ofputil_meter_config *);
int dp_bpf_meter_get(const struct dpif *, ofproto_meter_id, struct ofputil_meter_stats *, uint16_t);
int dp_bpf_meter_del(struct dpif *, ofproto_meter_id, struct ofputil_meter_stats *, uint16_t);

/* dpif-bpf-keep.c: ends expired connections, bindings and fragments, as ctd does for its instance.
 */
int dp_bpf_keep_start(struct dp_bpf *dp);
void dp_bpf_keep_stop(struct dp_bpf *dp);

/* dpif-bpf-alg.c: who reads the payload of connections that have a helper. */
int dp_bpf_alg_start(struct dp_bpf *dp);
void dp_bpf_alg_stop(struct dp_bpf *dp);

/* dpif-bpf-ct.c */
int dp_bpf_ct_dump_start(struct dpif *, struct ct_dpif_dump_state **, const uint16_t *zone, int *);
int dp_bpf_ct_dump_next(struct dpif *, struct ct_dpif_dump_state *, struct ct_dpif_entry *);
int dp_bpf_ct_dump_done(struct dpif *, struct ct_dpif_dump_state *);
int dp_bpf_ct_flush(struct dpif *, const uint16_t *zone, const struct ct_dpif_tuple *);
int dp_bpf_ct_set_maxconns(struct dpif *, uint32_t);
int dp_bpf_ct_get_maxconns(struct dpif *, uint32_t *);
int dp_bpf_ct_get_nconns(struct dpif *, uint32_t *);
int dp_bpf_ct_set_tcp_seq_chk(struct dpif *, bool);
int dp_bpf_ct_get_tcp_seq_chk(struct dpif *, bool *);
int dp_bpf_ct_set_limits(struct dpif *, const uint32_t *, const struct ovs_list *);
int dp_bpf_ct_get_limits(struct dpif *, uint32_t *, const struct ovs_list *, struct ovs_list *);
int dp_bpf_ct_del_limits(struct dpif *, const struct ovs_list *);
int dp_bpf_ct_get_features(struct dpif *, enum ct_features *);

/* dpif-bpf-ct-timeout.c */
int dp_bpf_ct_set_timeout_policy(struct dpif *, const struct ct_dpif_timeout_policy *);
int dp_bpf_ct_get_timeout_policy(struct dpif *, uint32_t id, struct ct_dpif_timeout_policy *);
int dp_bpf_ct_del_timeout_policy(struct dpif *, uint32_t id);
int dp_bpf_ct_timeout_dump_start(struct dpif *, void **);
int dp_bpf_ct_timeout_dump_next(struct dpif *, void *, struct ct_dpif_timeout_policy *);
int dp_bpf_ct_timeout_dump_done(struct dpif *, void *);
int dp_bpf_ct_timeout_name(struct dpif *, uint32_t id, uint16_t dl_type, uint8_t nw_proto,
			   char **name, bool *is_generic);

/* dpif-bpf-ipf.c */
int dp_bpf_ipf_set_enabled(struct dpif *, bool v6, bool enabled);
int dp_bpf_ipf_set_min_frag(struct dpif *, bool v6, uint32_t);
int dp_bpf_ipf_set_max_nfrags(struct dpif *, uint32_t);
int dp_bpf_ipf_get_status(struct dpif *, struct dpif_ipf_status *);

#endif
