/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_FWT_H
#define BPFCT_TESTS_FWT_H

#include <netinet/in.h>

#include "consumers/firewall/fw_conf.h"
#include "packet.h"
#include "tests/bpf/fw_policy_test.h"

/* Rule files compiled, loaded into the maps, and asked about packets by
 * BPF_PROG_RUN of fw_policy_test.bpf.c: for cmocka tests. */

/* Interfaces: eth0 outside, eth1 and eth2 inside, wg0 without address. */
#define ETH0 11
#define ETH1 12
#define ETH2 13
#define WG0  14

extern struct fw_fds fds;
extern struct fw_ifs ifs; /* the four above */
extern int switch_fd;	  /* program fw_policy_switch */
extern int case_fd;	  /* its struct fwt_case, and fw_policy_test's */

/* Group fixtures. */
int fwt_open(void **state);
int fwt_close(void **state);

/* Text to rules, and to the maps as well; a failed assertion if it is wrong. */
void compile(const char *text, struct fw_rules *rules);
void load(const char *text);

/* What the rules say of a packet. */
struct fwt_case ask(const struct packet *p, const struct fwt_case *question);

#define TCP4(s, sp, d, dp)                                                                         \
	{                                                                                          \
		.src = s, .dst = d, .proto = IPPROTO_TCP, .sport = sp, .dport = dp                 \
	}
#define UDP4(s, sp, d, dp)                                                                         \
	{                                                                                          \
		.src = s, .dst = d, .proto = IPPROTO_UDP, .sport = sp, .dport = dp                 \
	}
#define PROTO(s, d, pr)                                                                            \
	{                                                                                          \
		.src = s, .dst = d, .proto = pr                                                    \
	}
#define ICMP(s, d, pr, t, c)                                                                       \
	{                                                                                          \
		.src = s, .dst = d, .proto = pr, .type = t, .code = c                              \
	}
#define WEB TCP4("198.51.100.7", 40000, "203.0.113.5", 80)

#endif
