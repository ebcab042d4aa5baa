/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_CONTROL_H
#define BPFCT_CTD_CONTROL_H

#include "ctd.h"

/*
 * /run/bpfct/<instance>.sock, SOCK_SEQPACKET, 0660 root:bpfct. One message is
 * one JSON object, at most CONTROL_REQUEST_MAX bytes; so is each answer, at
 * most CONTROL_ANSWER_MAX. After {"op":"events"} is answered, messages are raw
 * struct ct_flow; after {"op":"expect_events"} struct ct_expect_event. Peers other than root and
 * ctd's user may look and not touch.
 */
#define CONTROL_REQUEST_MAX 65536
#define CONTROL_ANSWER_MAX  (1 << 20)
#define CONTROL_CLIENTS	    64
/* What a client has not read yet; more events than that are lost to it, and counted. */
#define CONTROL_CLIENT_BUFFER (8 << 20)

int control_start(struct ctd *d);
void control_stop(struct ctd *d);

/* Sends an event to every subscriber that wants its type. */
void control_broadcast(struct ctd *d, const struct ct_flow *flow);

/* The same for expectations: to those who asked by {"op":"expect_events"}. */
void control_broadcast_expect(struct ctd *d, const struct ct_expect_event *ev);

struct control_stats {
	unsigned int clients;
	unsigned int subscribers;
	uint64_t requests;
	uint64_t events_sent;
	uint64_t events_lost; /* to clients that read too slowly */
};
void control_stats(const struct ctd *d, struct control_stats *out);

#endif
