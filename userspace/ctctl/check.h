/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTCTL_CHECK_H
#define BPFCT_CTCTL_CHECK_H

#include "ctctl.h"

/*
 * The invariants of DESIGN section 3 on a copy of one family's tables. IPv4
 * keys are kept in the shape of IPv6 ones, address in word 0.
 */
struct check_record {
	struct ct_key6 key;
	struct ct_key6 reply; /* canonical key of the reply tuple */
	uint64_t word;
	uint32_t expires;
	uint32_t reply_src; /* which endpoint of that key replies come from */
};

struct check_stub {
	struct ct_key6 key; /* as check_stub_key() makes it */
	struct ct_key6 conn;
	uint32_t gen;
	uint32_t born;
};

/* What the counters said before and after the copy was made, and how much came
 * and went meanwhile: with traffic the copy is of no single moment. */
struct check_counts {
	uint32_t confirmed, half_open, nodes, stubs;
};

struct check_tables {
	int family;
	uint32_t now;	/* ticks */
	uint32_t grace; /* ticks that a stub may wait for its record */
	__u64 secret[2];
	struct check_record *rec;
	size_t recs;
	struct check_stub *stub;
	size_t stubs;
	struct check_counts before, after;
	uint64_t churn;
};

enum check_kind {
	CHECK_STUB_ORPHAN,	/* I1: leads to no record, or to another life of it */
	CHECK_STUB_OTHER_TUPLE, /* I1: its key is not its record's reply tuple */
	CHECK_TUPLE_TWICE, /* I2: a live record's key is also a live stub's, in one direction */
	CHECK_NO_STUB,	   /* I1: translated, and replies do not find it */
	CHECK_REPLY_TUPLE, /* I1: untranslated, and the reply tuple is not its own */
	CHECK_STUCK,	   /* I4: stays SETUP or DEAD */
	CHECK_COUNT,	   /* I8: counter and walk differ */
	CHECK_ZONE,
	CHECK_LEASE,  /* I2: a port lies in the rings twice, or is not of the pool */
	CHECK_MASTER, /* expectation whose master has ended, and that does not outlive it */
	CHECK_PORT,   /* expectation whose external port nothing holds */
	CHECK_USE,    /* I2: uses of a port and what holds it differ; gen: by how much */
};

struct check_finding {
	enum check_kind kind;
	int family;
	struct ct_key6 key;
	uint32_t gen;
	const char *what;     /* CHECK_COUNT */
	uint64_t walk, count; /* CHECK_COUNT, CHECK_ZONE */
};

struct check_findings {
	struct check_finding *v;
	size_t n, room;
};

/* Copies one family's maps. 0 or -errno. */
int check_read(struct bpfct_pins *p, int family, struct check_tables *t);
void check_free(struct check_tables *t);

/* Where a reply tuple's stub lies: under the tuple; of IPv6 under its hash, in addr[0]. */
void check_stub_key(const struct check_tables *t, const struct ct_key6 *reply, struct ct_key6 *out);

/* Holds nat_use_v1 against stubs and bindings. 0 or -errno. */
int check_nat(struct bpfct_pins *p, struct check_findings *out);

/* Expectations: masters, ports, their number. 0 or -errno. */
int check_expect(struct bpfct_pins *p, struct check_findings *out);

/* Appends what is wrong; adds each zone's live records to zones[65536].
 * 0 or -ENOMEM. */
int check_verify(const struct check_tables *t, uint32_t *zones, struct check_findings *out);
int check_add(struct check_findings *out, const struct check_finding *f);

/* The same thing seen in two passes: a count that is off stays off, a record
 * keeps its key and generation. */
bool check_same(const struct check_finding *a, const struct check_finding *b);

/* ct_key.h's order over the reply tuple of a record. Returns which endpoint
 * replies come from, 0 or 1. */
int check_reply_key(const struct ct_flow *flow, struct ct_key6 *out);
/* A flow's key in the shape of IPv6. */
void check_flow_key(const struct ct_flow *flow, struct ct_key6 *out);

#endif
