/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_PLAY_H
#define BPFCT_TESTS_PLAY_H

#include <netinet/in.h>

#include <bpf/bpf.h>

#include "bpf/abi/ct_drop.h"
#include "packet.h"
#include "tests/bpf/ct_packets.h"
#include "userspace/lib/loader.h"

/* Packets through the stages by BPF_PROG_RUN of ct_packets.bpf.c: for cmocka tests. */

/* as ct_result.h and ct_pkt.h, which only BPF programs can include */
enum { UNTRACKED, NEW, OPENING, ESTABLISHED, REPLIED, RELATED };
#define S_NEW  0x01
#define S_EST  0x02
#define S_REL  0x04
#define S_RPL  0x08
#define S_INV  0x10
#define S_TRK  0x20
#define S_SNAT 0x40
#define S_DNAT 0x80

#define ICMP_OF(six) ((six) ? IPPROTO_ICMPV6 : IPPROTO_ICMP)

extern struct bpfct_core core;
extern struct bpf_object *packets_obj;	       /* ct_packets.bpf.c */
extern int packet_fd, mispaired_fd, dumped_fd; /* its programs */
extern int pair_fd, pkt_case_fd;	       /* what the others are about */
extern struct pkt_case how;		       /* for the packets to come; reset() clears it */
extern uint8_t last_out[600];		       /* the frame that came out last */

/* Client, server, external address, inside server, a router on the way: IPv4, IPv6. */
extern const char *const C[2], *const S[2], *const E[2], *const I[2], *const M[2];

/* Group fixtures: ct_core alone, or with ct_packets; test fixture: an empty table,
 * default settings. */
int core_up(void **state);
int core_down(void **state);
int set_up(void **state);
int set_up_with(void **state, const struct bpfct_limits *limits);
int tear_down(void **state);
int reset(void **state);

/* Loads an object on core's maps, by its path from the test program's folder. Ends
 * the program if it cannot. And the descriptor of one of its programs. */
struct bpf_object *open_shared(const char *name);
int prog(const struct bpf_object *o, const char *name);

/* Seconds on the instance's clock. One pass of the sweep. */
void age(int64_t secs);
void sweep(void);

uint64_t drops(enum ct_drop reason);

/* The first record of a family (4, 6) as the dump gives it. */
struct ct_flow flow_of(int family);

void set_addr(__be32 *a, const char *text);

/* What commit translates to from now on: CT_NAT_SRC or CT_NAT_DST; port 0: any. */
void translate(uint32_t flags, const char *addr, uint16_t port);

/* Runs a program on a frame that carries the sum of the whole packet, as a network
 * card gives it (CHECKSUM_COMPLETE); the kernel checks that the sum is still right
 * afterwards, -EBADMSG if not. l2: it has a link header, else no sum. */
int run_summed(int fd, struct bpf_test_run_opts *opts, bool l2);

/* Runs one frame; out has room for 600 bytes. */
struct pkt_case play_frame(const uint8_t *in, size_t len, uint8_t *out, size_t *outlen);
void dump(const char *what, const uint8_t *b, size_t n);

/* Plays one packet and wants the verdict, and the other packet out of it (NULL: whatever). */
struct pkt_case through(const struct packet *in, int verdict, const struct packet *want, int line);
#define THROUGH(in, verdict, want) through((in), (verdict), (want), __LINE__)
/* comes out as it went in */
#define SAME(in, verdict) through((in), (verdict), (in), __LINE__)

/* Source port of the packet that came out last; plain shape. */
unsigned int last_sport(int six);

/* Opens a translated exchange and gives both forms of its first packet. */
void open_flow(int six, uint8_t proto, struct packet *inside, struct packet *outside);

/* One of many connections of the client, and its first packet played. */
struct packet numbered(int six, unsigned int n);
void play_numbered_at(int six, unsigned int n, int verdict, int line);
#define play_numbered(six, n, verdict) play_numbered_at((six), (n), (verdict), __LINE__)

#endif
