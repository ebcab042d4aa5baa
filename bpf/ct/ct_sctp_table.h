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

static const __u8
	ct_sctp_next
		[2][16][16] =
			{
				[CT_ORIG] =
					{
						[CT_SCTP_INIT] = {[NO] = CL,
								  [CL] = CL,
								  [CW] = CW,
								  [CE] = CE,
								  [ES] = ES,
								  [SS] = CL,
								  [SR] = CL,
								  [SA] = SA,
								  [HS] = CW},
						[CT_SCTP_INIT_ACK] = {[NO] = CL,
								      [CL] = CL,
								      [CW] = CW,
								      [CE] = CE,
								      [ES] = ES,
								      [SS] = SS,
								      [SR] = SR,
								      [SA] = SA,
								      [HS] = CL},
						[CT_SCTP_ABORT] = {[NO] = CL,
								   [CL] = CL,
								   [CW] = CL,
								   [CE] = CL,
								   [ES] = CL,
								   [SS] = CL,
								   [SR] = CL,
								   [SA] = CL,
								   [HS] = CL},
						[CT_SCTP_SHUTDOWN] =
							{
								[NO] =
									CL,
								[CL] = CL,
								[CW] = CW,
								[CE] = CE,
								[ES] = SS,
								[SS] = SS,
								[SR] = SR,
								[SA] = SA,
								[HS] = CL},
						[CT_SCTP_SHUTDOWN_ACK] =
							{
								[NO] = SA,
								[CL] = CL,
								[CW] = CW,
								[CE] = CE,
								[ES] = ES,
								[SS] = SA,
								[SR] = SA,
								[SA] = SA,
								[HS] = SA},
						[CT_SCTP_ERROR] = {[NO] = CL,
								   [CL] = CL,
								   [CW] = CW,
								   [CE] = CE,
								   [ES] = ES,
								   [SS] = SS,
								   [SR] = SR,
								   [SA] = SA,
								   [HS] = CL},
						[CT_SCTP_COOKIE_ECHO] =
							{
								[NO] = CL,
								[CL] = CL,
								[CW] = CE,
								[CE] = CE,
								[ES] = ES,
								[SS] = SS,
								[SR] = SR,
								[SA] = SA,
								[HS] = CL},
						[CT_SCTP_COOKIE_ACK] = {[NO] = CL,
									[CL] = CL,
									[CW] = CW,
									[CE] = ES,
									[ES] = ES,
									[SS] = SS,
									[SR] = SR,
									[SA] = SA,
									[HS] = CL},
						[CT_SCTP_SHUTDOWN_COMPLETE] =
							{
								[NO] = CL,
								[CL] = CL,
								[CW] = CW,
								[CE] = CE,
								[ES] = ES,
								[SS] = SS,
								[SR] = SR,
								[SA] = CL,
								[HS] = CL},
						/* A path of a multi-homed association may show
						   itself by a heartbeat first. */
						[CT_SCTP_HEARTBEAT] = {[NO] = HS,
								       [CL] = CL,
								       [CW] = CW,
								       [CE] = CE,
								       [ES] = ES,
								       [SS] = SS,
								       [SR] = SR,
								       [SA] = SA,
								       [HS] = HS},
						[CT_SCTP_HEARTBEAT_ACK] = {[NO] = CL,
									   [CL] = CL,
									   [CW] = CW,
									   [CE] = CE,
									   [ES] = ES,
									   [SS] = SS,
									   [SR] = SR,
									   [SA] = SA,
									   [HS] = HS},
					},
				[CT_REPLY] =
					{
						[CT_SCTP_INIT] = {[NO] = iv,
								  [CL] = CL,
								  [CW] = CW,
								  [CE] = CE,
								  [ES] = ES,
								  [SS] = SS,
								  [SR] = SR,
								  [SA] = SA,
								  [HS] = iv},
						[CT_SCTP_INIT_ACK] =
							{
								[NO] = iv,
								[CL] = CW,
								[CW] = CW,
								[CE] = CE,
								[ES] = ES,
								[SS] = SS,
								[SR] = SR,
								[SA] = SA,
								[HS] = iv},
						[CT_SCTP_ABORT] =
							{
								[NO] = iv,
								[CL] = CL,
								[CW] = CL,
								[CE] = CL,
								[ES] = CL,
								[SS] = CL,
								[SR] = CL,
								[SA] = CL,
								[HS] = iv},
						[CT_SCTP_SHUTDOWN] =
							{
								[NO] = iv,
								[CL] = CL,
								[CW] = CW,
								[CE] = CE,
								[ES] = SR,
								[SS] = SS,
								[SR] = SR,
								[SA] = SA,
								[HS] = iv},
						[CT_SCTP_SHUTDOWN_ACK] = {[NO] = iv,
									  [CL] = CL,
									  [CW] = CW,
									  [CE] = CE,
									  [ES] = ES,
									  [SS] = SA,
									  [SR] = SA,
									  [SA] = SA,
									  [HS] = iv},
						[CT_SCTP_ERROR] =
							{
								[NO] = iv,
								[CL] = CL,
								[CW] = CW,
								[CE] = CL,
								[ES] = ES,
								[SS] = SS,
								[SR] = SR,
								[SA] = SA,
								[HS] = iv},
						[CT_SCTP_COOKIE_ECHO] = {[NO] = iv,
									 [CL] = CL,
									 [CW] = CE,
									 [CE] = CE,
									 [ES] = ES,
									 [SS] = SS,
									 [SR] = SR,
									 [SA] = SA,
									 [HS] = iv},
						[CT_SCTP_COOKIE_ACK] = {[NO] = iv,
									[CL] = CL,
									[CW] = CW,
									[CE] = ES,
									[ES] = ES,
									[SS] = SS,
									[SR] = SR,
									[SA] = SA,
									[HS] = iv},
						[CT_SCTP_SHUTDOWN_COMPLETE] = {[NO] = iv,
									       [CL] = CL,
									       [CW] = CW,
									       [CE] = CE,
									       [ES] = ES,
									       [SS] = SS,
									       [SR] = SR,
									       [SA] = CL,
									       [HS] = iv},
						[CT_SCTP_HEARTBEAT] = {[NO] = iv,
								       [CL] = CL,
								       [CW] = CW,
								       [CE] = CE,
								       [ES] = ES,
								       [SS] = SS,
								       [SR] = SR,
								       [SA] = SA,
								       [HS] = HS},
						[CT_SCTP_HEARTBEAT_ACK] =
							{
								[NO] = iv,
								[CL] = CL,
								[CW] = CW,
								[CE] = CE,
								[ES] = ES,
								[SS] = SS,
								[SR] = SR,
								[SA] = SA,
								[HS] = ES},
					},
};

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
