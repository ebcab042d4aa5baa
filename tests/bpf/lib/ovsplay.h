/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_OVSPLAY_H
#define BPFCT_TESTS_OVSPLAY_H

#include "consumers/ovs/dp_abi.h"
#include "play.h"
#include "tests/bpf/ovs_hooks.h"

/*
 * Packets through the OVS datapath by BPF_PROG_RUN. Ports 1 to 3 are veth devices p1 to p3 of
 * a namespace of the test's own; what a port sends by a copy comes out of the peer, where a
 * packet socket is read. The execute device is there too, so copies run as they do in earnest.
 */
#define OVS_TEST_PORTS 3

extern struct ovs_config *ovs_config;
extern struct ovs_port *ovs_ports;
extern struct ovs_key *ovs_masks;
extern struct ovs_flow *ovs_flows;
extern struct ovs_action *ovs_actions;
extern struct ovs_meter *ovs_meters;
extern unsigned int ovs_ifindex[OVS_TEST_PORTS + 1]; /* by port number */
extern int ovs_match_fd, ovs_alg_fd;
extern struct ovs_hook ovs_hook; /* for the packets to come; reset clears it */
extern bool ovs_complete;	 /* they have CHECKSUM_COMPLETE, which has to hold behind the run */

/* Group fixtures; before each test: no flows, no masks, no upcalls waiting. */
int ovs_up(void **state);
int ovs_down(void **state);
int ovs_reset(void **state);
/* The same in the middle of a test; connections stay. */
void ovs_flush(void);

/* Opens a flow whose key and mask are as they are but for in_port and recirc_id, which
 * always count. Its slot. */
uint32_t ovs_flow_put(struct ovs_key key, struct ovs_key mask, const struct ovs_action *a,
		      unsigned int n);

/* A flow for all packets of a port with this recirc_id. */
uint32_t ovs_flow_all(uint32_t in_port, uint32_t recirc_id, const struct ovs_action *a,
		      unsigned int n);
#define OVS_ALL(in_port, recirc_id, ...)                                                           \
	ovs_flow_all((in_port), (recirc_id), (const struct ovs_action[]){__VA_ARGS__},             \
		     sizeof((const struct ovs_action[]){__VA_ARGS__}) / sizeof(struct ovs_action))

/* The result of a run. */
struct ovs_run {
	int action;	      /* TC_ACT_* */
	unsigned int ifindex; /* REDIRECT: to where; 0: the packet has ended */
	uint8_t out[2048];
	size_t len;
	struct __sk_buff ctx; /* as the program left it: mark, vlan_tci */
	struct ovs_hook hook;
};

/* Runs a frame as received by port; ctx NULL: as it comes from a wire. */
struct ovs_run ovs_run(uint32_t port, const uint8_t *frame, size_t len,
		       const struct __sk_buff *ctx);
struct ovs_run ovs_packet(uint32_t port, const struct packet *p);

/* Wants the packet to leave by port, as `want` (NULL: whatever). */
void ovs_wants(uint32_t in, const struct packet *p, uint32_t out, const struct packet *want,
	       int line);
#define WANTS(in, p, out, want) ovs_wants((in), (p), (out), (want), __LINE__)

/* Wants it to be dropped for this reason, counted once. */
void ovs_wants_drop(uint32_t in, const struct packet *p, enum ct_drop reason, int line);
#define WANTS_DROP(in, p, reason) ovs_wants_drop((in), (p), (reason), __LINE__)

/* The next frame that came out of a port's peer; its length, 0: none within the time. */
size_t ovs_peer(uint32_t port, uint8_t *frame, size_t room, int ms);
/* Wants this packet there. */
void ovs_peer_wants(uint32_t port, const struct packet *want, int line);
#define PEER_WANTS(port, want) ovs_peer_wants((port), (want), __LINE__)

/* The next upcall, NULL: none. Valid until the next call; counted as done. */
const struct ovs_upcall *ovs_upcall_next(void);

/* Key that the datapath takes from a packet of port 1, by way of its upcall. */
struct ovs_key ovs_key_of(const uint8_t *frame, size_t len, const struct __sk_buff *ctx);

/* The frame at the execute device with a token, by BPF_PROG_RUN. */
struct ovs_run ovs_run_token(uint32_t token, const uint8_t *frame, size_t len);

/* Sends a frame to the execute device with a token. 0 or -1. */
int ovs_send_token(uint32_t token, const uint8_t *frame, size_t n);

uint64_t ovs_stat_of(enum ovs_stat stat);

#endif
