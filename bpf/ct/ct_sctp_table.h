/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_SCTP_TABLE_H
#define BPFCT_CT_SCTP_TABLE_H

#include <linux/types.h>
#include "../abi/ct_conn.h"

/*
 * What an SCTP chunk does to an association: next[direction][class][state],
 * behaviour of netfilter (REFERENCE 1). DATA, SACK and unknown chunks change
 * nothing. Compiled into the BPF programs and into the unit tests alike.
 */
enum ct_sctp_class {
	CT_SCTP_INIT = 0,
	CT_SCTP_INIT_ACK,
	CT_SCTP_ABORT,
	CT_SCTP_SHUTDOWN,
	CT_SCTP_SHUTDOWN_ACK,
	CT_SCTP_ERROR,
	CT_SCTP_COOKIE_ECHO,
	CT_SCTP_COOKIE_ACK,
	CT_SCTP_SHUTDOWN_COMPLETE,
	CT_SCTP_HEARTBEAT,
	CT_SCTP_HEARTBEAT_ACK,
	CT_SCTP_CLASSES,
	CT_SCTP_OTHER = CT_SCTP_CLASSES
};

#define CT_SCTP_INVALID 15

#define NO CT_SCTP_NONE
#define CL CT_SCTP_CLOSED
#define CW CT_SCTP_COOKIE_WAIT
#define CE CT_SCTP_COOKIE_ECHOED
#define ES CT_SCTP_ESTABLISHED
#define SS CT_SCTP_SHUTDOWN_SENT
#define SR CT_SCTP_SHUTDOWN_RECD
#define SA CT_SCTP_SHUTDOWN_ACK_SENT
#define HS CT_SCTP_HEARTBEAT_SENT
#define iv CT_SCTP_INVALID

/* A table, a row a class. */
/* clang-format off */
#define ROW(no, cl, cw, ce, es, ss, sr, sa, hs) \
	{[NO] = no, [CL] = cl, [CW] = cw, [CE] = ce, [ES] = es, [SS] = ss, [SR] = sr, [SA] = sa, [HS] = hs}
static const __u8 ct_sctp_next[2][16][16] = {
	/* from                                     NO  CL  CW  CE  ES  SS  SR  SA  HS */
	[CT_ORIG][CT_SCTP_INIT]               = ROW(CL, CL, CW, CE, ES, CL, CL, SA, CW),
	[CT_ORIG][CT_SCTP_INIT_ACK]           = ROW(CL, CL, CW, CE, ES, SS, SR, SA, CL),
	[CT_ORIG][CT_SCTP_ABORT]              = ROW(CL, CL, CL, CL, CL, CL, CL, CL, CL),
	[CT_ORIG][CT_SCTP_SHUTDOWN]           = ROW(CL, CL, CW, CE, SS, SS, SR, SA, CL),
	[CT_ORIG][CT_SCTP_SHUTDOWN_ACK]       = ROW(SA, CL, CW, CE, ES, SA, SA, SA, SA),
	[CT_ORIG][CT_SCTP_ERROR]              = ROW(CL, CL, CW, CE, ES, SS, SR, SA, CL),
	[CT_ORIG][CT_SCTP_COOKIE_ECHO]        = ROW(CL, CL, CE, CE, ES, SS, SR, SA, CL),
	[CT_ORIG][CT_SCTP_COOKIE_ACK]         = ROW(CL, CL, CW, ES, ES, SS, SR, SA, CL),
	[CT_ORIG][CT_SCTP_SHUTDOWN_COMPLETE]  = ROW(CL, CL, CW, CE, ES, SS, SR, CL, CL),
	/* A path of a multi-homed association may show itself by a heartbeat first. */
	[CT_ORIG][CT_SCTP_HEARTBEAT]          = ROW(HS, CL, CW, CE, ES, SS, SR, SA, HS),
	[CT_ORIG][CT_SCTP_HEARTBEAT_ACK]      = ROW(CL, CL, CW, CE, ES, SS, SR, SA, HS),
	/* from                                     NO  CL  CW  CE  ES  SS  SR  SA  HS */
	[CT_REPLY][CT_SCTP_INIT]              = ROW(iv, CL, CW, CE, ES, SS, SR, SA, iv),
	[CT_REPLY][CT_SCTP_INIT_ACK]          = ROW(iv, CW, CW, CE, ES, SS, SR, SA, iv),
	[CT_REPLY][CT_SCTP_ABORT]             = ROW(iv, CL, CL, CL, CL, CL, CL, CL, iv),
	[CT_REPLY][CT_SCTP_SHUTDOWN]          = ROW(iv, CL, CW, CE, SR, SS, SR, SA, iv),
	[CT_REPLY][CT_SCTP_SHUTDOWN_ACK]      = ROW(iv, CL, CW, CE, ES, SA, SA, SA, iv),
	[CT_REPLY][CT_SCTP_ERROR]             = ROW(iv, CL, CW, CL, ES, SS, SR, SA, iv),
	[CT_REPLY][CT_SCTP_COOKIE_ECHO]       = ROW(iv, CL, CE, CE, ES, SS, SR, SA, iv),
	[CT_REPLY][CT_SCTP_COOKIE_ACK]        = ROW(iv, CL, CW, ES, ES, SS, SR, SA, iv),
	[CT_REPLY][CT_SCTP_SHUTDOWN_COMPLETE] = ROW(iv, CL, CW, CE, ES, SS, SR, CL, iv),
	[CT_REPLY][CT_SCTP_HEARTBEAT]         = ROW(iv, CL, CW, CE, ES, SS, SR, SA, HS),
	[CT_REPLY][CT_SCTP_HEARTBEAT_ACK]     = ROW(iv, CL, CW, CE, ES, SS, SR, SA, ES),
};
#undef ROW
/* clang-format on */

#undef NO
#undef CL
#undef CW
#undef CE
#undef ES
#undef SS
#undef SR
#undef SA
#undef HS
#undef iv

/* RFC 9260 3.2 */
static inline __u8 ct_sctp_class(__u8 chunk)
{
	switch (chunk) {
	case 1:
		return CT_SCTP_INIT;
	case 2:
		return CT_SCTP_INIT_ACK;
	case 4:
		return CT_SCTP_HEARTBEAT;
	case 5:
		return CT_SCTP_HEARTBEAT_ACK;
	case 6:
		return CT_SCTP_ABORT;
	case 7:
		return CT_SCTP_SHUTDOWN;
	case 8:
		return CT_SCTP_SHUTDOWN_ACK;
	case 9:
		return CT_SCTP_ERROR;
	case 10:
		return CT_SCTP_COOKIE_ECHO;
	case 11:
		return CT_SCTP_COOKIE_ACK;
	case 14:
		return CT_SCTP_SHUTDOWN_COMPLETE;
	}
	return CT_SCTP_OTHER;
}

#endif
