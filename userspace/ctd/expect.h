/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_EXPECT_H
#define BPFCT_CTD_EXPECT_H

#include <linux/types.h>

#include "../../alg/alg.h"
#include "../../bpf/abi/expect_abi.h"
#include "ctd.h"

/*
 * Expectations (expect_abi.h). ctd is the only one that enters and deletes them; packets
 * claim them. All of it is in pinned maps: what is kept here beside them is read again
 * from there at start. ct_expect_v1 is swept twice a second: what was claimed, what timed
 * out and whose master has ended goes, and with it the external port, once nothing uses it.
 */

/* A connection that has a helper. */
struct expect_master {
	struct ct_label_key conn; /* key and generation of its record (ct_label_key()) */
	struct ct_tuple tuple[2]; /* as struct alg_session.tuple */
	uint8_t helper;		  /* enum alg_helper: which of them announces */
};

/* Reads what a former ctd has left; before nat_start(). The timer. 0 or -errno. */
int expect_start(struct ctd *d);
int expect_run(struct ctd *d);
void expect_stop(struct ctd *d);

/*
 * Enters an expectation: afterwards a packet can match it. One of the same tuple and
 * master is replaced. Its external port, if expect_port() gave it, belongs to the
 * expectation's group from now on. 0; -EINVAL: port under 1024, or tuples that do not
 * go together; -EBUSY: another master expects this tuple and translates it otherwise; -ENOSPC,
 * -EMLINK: limit in all, limit of this master; -ENOENT: the master has ended.
 */
int expect_add(struct ctd *d, const struct expect_master *m, const struct alg_expect *x);

/* ALG_WITHDRAW, ALG_CLOSE: drops a group's expectations and gives its ports back once
 * nothing uses them; CLOSE ends the connections they made as well. */
void expect_withdraw(struct ctd *d, const struct ct_label_key *master, uint32_t group);
void expect_close(struct ctd *d, const struct ct_label_key *master, uint32_t group);

/* All of a master's that do not outlive it, and its ports. The connections live on. */
void expect_del_of(struct ctd *d, const struct ct_label_key *master);

/* Carries out a parser's event. As expect_add(); 0 for the others. */
int expect_event(struct ctd *d, const struct expect_master *m, const struct alg_event *e);

/* struct alg_ops of a master: both must stay while the parser runs. */
struct expect_ops {
	struct ctd *d;
	const struct expect_master *m;
};
void expect_ops(struct expect_ops *ctx, struct alg_ops *ops);

/* May this master have so many more? Room for what ports set aside are meant for is taken. 0;
 * -EMLINK, -ENOSPC: as expect_add(). */
int expect_admit(struct ctd *d, const struct ct_label_key *master, unsigned int more);
unsigned int expect_named_by(uint8_t proto); /* expectations to come for a port set aside */

/* The operator's: enters x under key whatever the helpers' rules say (its generation is
 * made here); deletes one, or all. 0, -EEXIST, -ENOENT, -ENOSPC, -EMLINK. */
int expect_put(struct ctd *d, const struct ct_tuple *key, const struct ct_expect *x);
int expect_del(struct ctd *d, const struct ct_tuple *key);
unsigned int expect_flush(struct ctd *d);

/* The record of a flow by its name, as it is now. 0 or -ENOENT. */
int expect_name(struct ctd *d, const struct ct_flow *flow, struct ct_label_key *conn);
/* Ends a connection, if it is that one still. */
void expect_end(struct ctd *d, const struct ct_label_key *conn);

/* Does this life of this connection go on? */
bool expect_alive(struct ctd *d, const struct ct_label_key *conn);

/* Does an expectation stand for this external endpoint? */
bool expect_refers(const struct ctd *d, const struct ct_xport_key *k);

#endif
