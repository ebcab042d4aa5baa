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

static const __u8 ct_tcp_next[2][CT_TCP_CLASSES]
			     [16] =
				     {
					     [CT_ORIG] =
						     {
							     /* An open connection cannot be told
							      * from an out-of-date record, so a SYN
							      * passes: the server's answer shows
							      * which it was (RFC 5961). */
							     [CT_TCP_SYN] = {[NO] = SS,
									     [SS] = SS,
									     [SR] = ig,
									     [ES] = ig,
									     [FW] = ig,
									     [CW] = ig,
									     [LA] = ig,
									     [TW] = SS,
									     [CL] = SS,
									     [S2] = S2},
							     /* Only as the second half of a
								simultaneous open. */
							     [CT_TCP_SYNACK] = {[NO] = iv,
										[SS] = iv,
										[SR] = SR,
										[ES] = iv,
										[FW] = iv,
										[CW] = iv,
										[LA] = iv,
										[TW] = iv,
										[CL] = iv,
										[S2] = SR},
							     [CT_TCP_FIN] = {[NO] = iv,
									     [SS] = iv,
									     [SR] = FW,
									     [ES] = FW,
									     [FW] = LA,
									     [CW] = LA,
									     [LA] = LA,
									     [TW] = TW,
									     [CL] = CL,
									     [S2] = iv},
							     /* From nothing: mid-stream pick-up. */
							     [CT_TCP_ACK] = {[NO] = ES,
									     [SS] = iv,
									     [SR] = ES,
									     [ES] = ES,
									     [FW] = CW,
									     [CW] = CW,
									     [LA] = TW,
									     [TW] = TW,
									     [CL] = CL,
									     [S2] = iv},
							     [CT_TCP_RST] = {[NO] = iv,
									     [SS] = CL,
									     [SR] = CL,
									     [ES] = CL,
									     [FW] = CL,
									     [CW] = CL,
									     [LA] = CL,
									     [TW] = CL,
									     [CL] = CL,
									     [S2] = CL},
							     [CT_TCP_FLAGLESS] = {[NO] = iv,
										  [SS] = iv,
										  [SR] = iv,
										  [ES] = iv,
										  [FW] = iv,
										  [CW] = iv,
										  [LA] = iv,
										  [TW] = iv,
										  [CL] = iv,
										  [S2] = iv},
						     },
					     [CT_REPLY] =
						     {
							     /* In SYN_SENT a simultaneous open; in
								TIME_WAIT the server's side opens
								anew. */
							     [CT_TCP_SYN] = {[NO] = iv,
									     [SS] = S2,
									     [SR] = iv,
									     [ES] = iv,
									     [FW] = iv,
									     [CW] = iv,
									     [LA] = iv,
									     [TW] = SS,
									     [CL] = iv,
									     [S2] = S2},
							     /* Late or answering an ignored SYN:
								ct_tcp_ignored() looks closer. */
							     [CT_TCP_SYNACK] =
								     {
									     [NO] = iv,
									     [SS] = SR,
									     [SR] = ig,
									     [ES] = ig,
									     [FW] = ig,
									     [CW] = ig,
									     [LA] = ig,
									     [TW] = ig,
									     [CL] = ig,
									     [S2] = SR},
							     [CT_TCP_FIN] = {[NO] = iv,
									     [SS] = iv,
									     [SR] = FW,
									     [ES] = FW,
									     [FW] = LA,
									     [CW] = LA,
									     [LA] = LA,
									     [TW] = TW,
									     [CL] = CL,
									     [S2] = iv},
							     /* In SYN_SENT perhaps a challenge ACK:
								the peer still has the old
								connection. */
							     [CT_TCP_ACK] = {[NO] = iv,
									     [SS] = ig,
									     [SR] = SR,
									     [ES] = ES,
									     [FW] = CW,
									     [CW] = CW,
									     [LA] = TW,
									     [TW] = TW,
									     [CL] = CL,
									     [S2] = ig},
							     [CT_TCP_RST] = {[NO] = iv,
									     [SS] = CL,
									     [SR] = CL,
									     [ES] = CL,
									     [FW] = CL,
									     [CW] = CL,
									     [LA] = CL,
									     [TW] = CL,
									     [CL] = CL,
									     [S2] = CL},
							     [CT_TCP_FLAGLESS] = {[NO] = iv,
										  [SS] = iv,
										  [SR] = iv,
										  [ES] = iv,
										  [FW] = iv,
										  [CW] = iv,
										  [LA] = iv,
										  [TW] = iv,
										  [CL] = iv,
										  [S2] = iv},
						     },
};

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
