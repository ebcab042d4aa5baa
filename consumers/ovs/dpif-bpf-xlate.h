/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DPIF_BPF_XLATE_H
#define BPFCT_OVS_DPIF_BPF_XLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consumers/ovs/dp_abi.h"
#include "hash.h"

/*
 * Between Open vSwitch's netlink attributes and the fixed structs of the datapath (dp_abi.h). What
 * the datapath does not have is refused with EINVAL. Pure but for the cookies.
 */
struct flow;
struct odp_support;
struct flow_tnl;
struct nlattr;
struct ofpbuf;

/* dpif-bpf-key.c. k is within its mask m; a missing mask is an exact one. 0 or EINVAL. */
int dp_key_from_nlattrs(const struct nlattr *key, size_t key_len, const struct nlattr *mask,
			size_t mask_len, struct ovs_key *k, struct ovs_key *m);
/* m and mask may be NULL. */
void dp_key_to_nlattrs(const struct ovs_key *k, const struct ovs_key *m, struct ofpbuf *key,
		       struct ofpbuf *mask);
extern const struct odp_support dp_key_fields; /* what a key can say */
void dp_key_to_flow(const struct ovs_key *k, struct flow *f);
void dp_key_from_flow(struct ovs_key *k, const struct flow *f);
void dp_tun_from_flow(struct ovs_key_tun *k, const struct flow_tnl *t, bool v6, bool mask);
bool dp_tun_is_sized(const struct nlattr *tunnel);
void dp_tun_to_flow(const struct ovs_key_tun *k, struct flow_tnl *t, bool v6);

/* Where the contents of USERSPACE actions are kept: ref() finds or makes their number. */
struct dp_cookies {
	int (*ref)(void *arg, const struct ovs_cookie *c, uint32_t *index);
	const struct ovs_cookie *(*get)(void *arg, uint32_t index);
	void *arg;
};

/*
 * dpif-bpf-action.c: actions into the flat array. 0, EINVAL: not in this datapath (or
 * not well-formed, or more than OVS_FLOW_ACTIONS), ENOSPC: no room for cookies. Cookies that were
 * referred to before a failure are those of a[0 .. *n - 1] with type USERSPACE.
 */
int dp_actions_from_nlattrs(const struct nlattr *actions, size_t len, const struct dp_cookies *c,
			    struct ovs_action a[OVS_FLOW_ACTIONS], unsigned int *n);

int dp_action_check(const struct nlattr *action); /* 0: the datapath has it, as it is */

/* dpif-bpf-action-user.c: where the rest begins that odp_execute_actions() has to do, len: there is
 * none; and whether it may be given that rest (0 or EINVAL). */
size_t dp_user_begin(const struct nlattr *list, size_t len);
int dp_user_check(const struct nlattr *list, size_t len);

/* Is it one for which a flow's list goes on there? */
bool dp_user_is_header(const struct nlattr *action);

/* ovs_user.flags of that rest: the cookie of an upcall that has waited may be another's by then. */
static inline uint32_t dp_rest_flags(const void *rest, size_t len)
{
	return OVS_USER_REST | (hash_bytes(rest, len, 0) & OVS_USER_HASH);
}

/* dpif-bpf-action-back.c: and as Open vSwitch would have written them. */
void dp_actions_to_nlattrs(const struct ovs_action *const a[], unsigned int n,
			   const struct dp_cookies *c, struct ofpbuf *out);
/* What ct(alg=) calls it (OVS_ALG_*), NULL: none. */
const char *dp_helper_name(uint8_t helper);

#endif
