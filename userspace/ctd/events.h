/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_EVENTS_H
#define BPFCT_CTD_EVENTS_H

#include "ctd.h"

/* From the event ring to the subscribers of the control socket. */

struct event_stats {
	uint64_t read; /* from the ring */
};

int events_start(struct ctd *d);
void events_stop(struct ctd *d);

/* What the datapath shall report: 1 << enum ct_event_type; 0: nothing, costs nothing. */
void events_want(struct ctd *d, uint32_t mask);

/* Reads what is in the ring now, up to a batch. */
void events_drain(struct ctd *d);
const struct event_stats *events_stats(const struct ctd *d);

#endif
