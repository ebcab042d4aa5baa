/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_TCP_TABLE_H
#define BPFCT_CT_TCP_TABLE_H

#include <linux/types.h>
#include "../abi/ct_conn.h"

/*
 * What a TCP packet does to a connection: next[direction][class][state]. The
 * behaviour is netfilter's (REFERENCE 1), the oracle suite holds us to it.
 * Compiled into the BPF programs and into the unit tests alike.
 */
enum ct_tcp_class {
	CT_TCP_SYN = 0,
	CT_TCP_SYNACK,
	CT_TCP_FIN,
	CT_TCP_ACK,
	CT_TCP_RST,
	CT_TCP_FLAGLESS,
	CT_TCP_CLASSES
};

/* Outcomes beside a new state. */
#define CT_TCP_IGNORE  14 /* pass, change nothing but what last_* remember */
#define CT_TCP_INVALID 15 /* the packet cannot be part of the connection */

#define NO CT_TCP_NONE
#define SS CT_TCP_SYN_SENT
#define SR CT_TCP_SYN_RECV
#define ES CT_TCP_ESTABLISHED
#define FW CT_TCP_FIN_WAIT
#define CW CT_TCP_CLOSE_WAIT
#define LA CT_TCP_LAST_ACK
#define TW CT_TCP_TIME_WAIT
#define CL CT_TCP_CLOSE
#define S2 CT_TCP_SYN_SENT2
#define ig CT_TCP_IGNORE
#define iv CT_TCP_INVALID

/* A table, a row a class. */
/* clang-format off */
#define ROW(no, ss, sr, es, fw, cw, la, tw, cl, s2) \
	{[NO] = no, [SS] = ss, [SR] = sr, [ES] = es, [FW] = fw, [CW] = cw, [LA] = la, [TW] = tw, [CL] = cl, [S2] = s2}
static const __u8 ct_tcp_next[2][CT_TCP_CLASSES][16] = {
	/* from                           NO  SS  SR  ES  FW  CW  LA  TW  CL  S2 */
	/* An open connection cannot be told from an out-of-date record, so a SYN
	 * passes: the server's answer shows which it was (RFC 5961). */
	[CT_ORIG][CT_TCP_SYN]       = ROW(SS, SS, ig, ig, ig, ig, ig, SS, SS, S2),
	/* Only as the second half of a simultaneous open. */
	[CT_ORIG][CT_TCP_SYNACK]    = ROW(iv, iv, SR, iv, iv, iv, iv, iv, iv, SR),
	[CT_ORIG][CT_TCP_FIN]       = ROW(iv, iv, FW, FW, LA, LA, LA, TW, CL, iv),
	/* From nothing: mid-stream pick-up. */
	[CT_ORIG][CT_TCP_ACK]       = ROW(ES, iv, ES, ES, CW, CW, TW, TW, CL, iv),
	[CT_ORIG][CT_TCP_RST]       = ROW(iv, CL, CL, CL, CL, CL, CL, CL, CL, CL),
	[CT_ORIG][CT_TCP_FLAGLESS]  = ROW(iv, iv, iv, iv, iv, iv, iv, iv, iv, iv),
	/* from                           NO  SS  SR  ES  FW  CW  LA  TW  CL  S2 */
	/* In SYN_SENT a simultaneous open; in TIME_WAIT the server's side opens anew. */
	[CT_REPLY][CT_TCP_SYN]      = ROW(iv, S2, iv, iv, iv, iv, iv, SS, iv, S2),
	/* Late or answering an ignored SYN: ct_tcp_ignored() looks closer. */
	[CT_REPLY][CT_TCP_SYNACK]   = ROW(iv, SR, ig, ig, ig, ig, ig, ig, ig, SR),
	[CT_REPLY][CT_TCP_FIN]      = ROW(iv, iv, FW, FW, LA, LA, LA, TW, CL, iv),
	/* In SYN_SENT perhaps a challenge ACK: the peer still has the old connection. */
	[CT_REPLY][CT_TCP_ACK]      = ROW(iv, ig, SR, ES, CW, CW, TW, TW, CL, ig),
	[CT_REPLY][CT_TCP_RST]      = ROW(iv, CL, CL, CL, CL, CL, CL, CL, CL, CL),
	[CT_REPLY][CT_TCP_FLAGLESS] = ROW(iv, iv, iv, iv, iv, iv, iv, iv, iv, iv),
};
#undef ROW
/* clang-format on */

#undef NO
#undef SS
#undef SR
#undef ES
#undef FW
#undef CW
#undef LA
#undef TW
#undef CL
#undef S2
#undef ig
#undef iv

#define CT_TH_FIN 0x01
#define CT_TH_SYN 0x02
#define CT_TH_RST 0x04
#define CT_TH_PSH 0x08
#define CT_TH_ACK 0x10
#define CT_TH_URG 0x20

/* PSH, ECE and CWR go with anything. SYN and ACK may carry URG (the latter
 * with FIN too); SYN with FIN, a FIN without ACK, nothing and everything are
 * probes. Returns 0 when the combination is impossible. */
static inline int ct_tcp_flags_ok(__u8 flags)
{
	switch (flags & (CT_TH_FIN | CT_TH_SYN | CT_TH_RST | CT_TH_ACK | CT_TH_URG)) {
	case CT_TH_SYN:
	case CT_TH_SYN | CT_TH_URG:
	case CT_TH_SYN | CT_TH_ACK:
	case CT_TH_RST:
	case CT_TH_RST | CT_TH_ACK:
	case CT_TH_FIN | CT_TH_ACK:
	case CT_TH_FIN | CT_TH_ACK | CT_TH_URG:
	case CT_TH_ACK:
	case CT_TH_ACK | CT_TH_URG:
		return 1;
	}
	return 0;
}

static inline __u8 ct_tcp_class(__u8 flags)
{
	if (flags & CT_TH_RST)
		return CT_TCP_RST;
	if (flags & CT_TH_SYN)
		return flags & CT_TH_ACK ? CT_TCP_SYNACK : CT_TCP_SYN;
	if (flags & CT_TH_FIN)
		return CT_TCP_FIN;
	if (flags & CT_TH_ACK)
		return CT_TCP_ACK;
	return CT_TCP_FLAGLESS;
}

#endif
