/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ALG_IO_H
#define BPFCT_CTD_ALG_IO_H

#include "ctd.h"

/*
 * Helped connections. Their payload comes through a ring (bpf/ct/ct_alg_take.h), is put
 * in order (alg_tcp.c), read by the parsers of alg/ and edited (alg_conn.c), and goes
 * back through the execute device, a tap whose ingress program lets it in again where
 * it was taken. The device is there while ctd is, and only if a rule names a helper.
 */

/* Takes over what a former ctd has left. 0 or -errno, logged. */
int alg_io_start(struct ctd *d);
void alg_io_stop(struct ctd *d);

/* The rules have changed: makes the device if they want one. 0 or -errno, logged. */
int alg_io_rules(struct ctd *d);

/* Is this the name of an execute device, of whatever instance? Such is left alone by
 * the firewall and the guard. */
bool alg_is_device(const char *name);

struct alg_stats {
	uint64_t taken;	     /* packets from the ring */
	uint64_t sent;	     /* packets that went back */
	uint64_t bad;	     /* checksum or lengths wrong: dropped */
	uint64_t ahead;	     /* segments before their turn, kept */
	uint64_t refused;    /* segments for which there was no room: sent again */
	uint64_t again;	     /* segments that had come before */
	uint64_t acked;	     /* acknowledgements of our own */
	uint64_t resent;     /* segments that we owned and sent again */
	uint64_t conns;	     /* now */
	uint64_t reason[64]; /* enum alg_reason */
};
const struct alg_stats *alg_io_stats(const struct ctd *d);

#endif
