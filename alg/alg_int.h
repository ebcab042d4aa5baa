/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ALG_INT_H
#define BPFCT_ALG_INT_H

#include "alg.h"

/* What the parsers share. A view of text is a pointer and a length, never a C string:
 * the bytes come from the network and may hold anything. */

struct alg_text {
	const char *p;
	size_t len;
};

/* An address as it is written: family 4 or 6, IPv4 in addr[0]. */
struct alg_addr {
	__be32 addr[4];
	uint8_t family;
};

struct alg_run {
	struct alg_session *s;
	const struct alg_in *in;
	const struct alg_ops *ops;
	struct alg_out *out;
};

#define ALG_TIMEOUT_DATA 30 /* s: FTP and TFTP open their data connection at once */
#define ALG_PORT_MIN	 1024

void alg_count(struct alg_run *r, enum alg_reason why);
/* The helper leaves: everything passes unedited. */
void alg_off(struct alg_run *r, enum alg_reason why);
/* Replace old_len bytes at off by text. False: no room; what was added stays. */
bool alg_edit(struct alg_run *r, size_t off, size_t old_len, const char *text, size_t len);
/* NULL when the list is full. */
struct alg_event *alg_event(struct alg_run *r, enum alg_event_kind kind, uint32_t group);

/* The speaker of direction dir as it knows itself, and as its peer sees it. */
void alg_own(const struct alg_session *s, int dir, struct alg_addr *a);
void alg_seen(const struct alg_session *s, int dir, struct alg_addr *a);
bool alg_addr_is(const struct alg_addr *a, const struct alg_addr *b);
/* Is this address the speaker's, in either form? */
bool alg_is_speaker(const struct alg_session *s, int dir, const struct alg_addr *a);
/* Does NAT stand between the speaker and its peer? */
bool alg_translated(const struct alg_session *s, int dir);
/* Literal without brackets. False: not an address. */
bool alg_addr_parse(struct alg_text t, struct alg_addr *a);
/* to[46]; returns the length. */
size_t alg_addr_print(const struct alg_addr *a, char *to);

/*
 * An expectation: `from` of direction dir opens a connection to `to`, whose owner is
 * the other side. Ports 0 of from: any. The `own` forms are where packets really
 * go, the `shown` forms what the other side was told.
 */
struct alg_end {
	struct alg_addr own, shown;
	uint16_t own_port, shown_port;
};
struct alg_expect *alg_expect(struct alg_run *r, int dir, uint8_t proto, const struct alg_end *from,
			      const struct alg_end *to, uint32_t group);
/* The ends of the speakers themselves, ports 0. */
void alg_speaker_end(const struct alg_session *s, int dir, struct alg_end *e);

/* Up to 5 digits, a value of at most 65,535. Returns digits read, 0: none or too large. */
size_t alg_number(struct alg_text t, unsigned int *value);

void alg_ftp_feed(struct alg_run *r);
void alg_ftp_end(struct alg_run *r);
bool alg_ftp_valid(const struct alg_ftp *f);
void alg_tftp_feed(struct alg_run *r);
void alg_sip_feed(struct alg_run *r);
void alg_sip_end(struct alg_run *r);
bool alg_sip_valid(const struct alg_sip *sip);
void alg_pptp_feed(struct alg_run *r);
void alg_pptp_end(struct alg_run *r);
bool alg_pptp_valid(const struct alg_pptp *p);
void alg_sip_init(struct alg_sip *sip, uint64_t key);

#endif
