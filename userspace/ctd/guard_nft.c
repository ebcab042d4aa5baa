// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "guard_nft.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define SET	    "open"
#define SET_ID	    1
#define IFACE_INDEX 20 /* nft's number for the set's type: `nft list` needs it to print names */
#define HOST_ORDER  1  /* nft's number again */
#define PRIORITY    (-500)
#define ROOM	    (64 * 1024)
#define ELEMENTS    1024 /* a message: an attribute holds 64 KiB */

/* The messages of one transaction. The library asserts room; none is built without. */
struct batch {
	char *buf;
	size_t len;
	uint32_t seq;
	struct nlmsghdr *last; /* the kernel is asked for an answer to this one only */
};

void guard_table_name(char name[GUARD_NAME_MAX], const char *instance)
{
	snprintf(name, GUARD_NAME_MAX, "bpfct_guard_%s", instance);
}

static int begin(struct batch *b, unsigned int elements)
{
	memset(b, 0, sizeof(*b));
	b->buf = malloc(ROOM + elements * 32);
	if (!b->buf)
		return -ENOMEM;
	b->seq = time(NULL);
	b->len = nftnl_batch_begin(b->buf, b->seq++)->nlmsg_len;
	return 0;
}

static struct nlmsghdr *add(struct batch *b, uint16_t type, uint16_t family, uint16_t flags)
{
	b->last = nftnl_nlmsg_build_hdr(b->buf + b->len, type, family, flags, b->seq++);
	return b->last;
}

static void added(struct batch *b)
{
	b->len += NLMSG_ALIGN(b->last->nlmsg_len);
}

/* Errors come for each message that failed, success for the last one only; all
 * of it is there when the send returns. */
static int read_answers(struct mnl_socket *nl)
{
	char buf[8192];
	const struct nlmsghdr *nlh;
	const struct nlmsgerr *err;
	bool answered = false;
	int ret = 0, left;
	ssize_t n;

	while ((n = recv(mnl_socket_get_fd(nl), buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		left = n;
		for (nlh = (void *)buf; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			err = mnl_nlmsg_get_payload(nlh);
			answered = true;
			if (!ret)
				ret = err->error;
		}
	}
	if (n < 0 && errno != EAGAIN)
		return -errno;
	return answered ? ret : -EIO;
}

static int commit(struct batch *b, struct mnl_socket *nl)
{
	int ret = 0;

	b->last->nlmsg_flags |= NLM_F_ACK;
	b->len += nftnl_batch_end(b->buf + b->len, b->seq)->nlmsg_len;
	if (mnl_socket_sendto(nl, b->buf, b->len) < 0)
		ret = -errno;
	free(b->buf);
	return ret ? ret : read_answers(nl);
}

static int put_table(struct batch *b, const char *name, uint16_t type, uint16_t flags)
{
	struct nftnl_table *t = nftnl_table_alloc();

	if (!t)
		return -ENOMEM;
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, name);
	nftnl_table_nlmsg_build_payload(add(b, type, NFPROTO_INET, flags), t);
	added(b);
	nftnl_table_free(t);
	return 0;
}

static struct nftnl_set *open_set(const char *table)
{
	struct nftnl_set *s = nftnl_set_alloc();

	if (!s)
		return NULL;
	nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, SET);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(s, NFTNL_SET_ID, SET_ID);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, IFACE_INDEX);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sizeof(uint32_t));
	return s;
}

/* For `nft list`, which takes a key for big-endian if nobody says otherwise. */
static void say_host_order(struct nftnl_set *s)
{
	struct nftnl_udata_buf *note = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);

	if (note && nftnl_udata_put_u32(note, NFTNL_UDATA_SET_KEYBYTEORDER, HOST_ORDER))
		nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(note),
				   nftnl_udata_buf_len(note));
	if (note)
		nftnl_udata_buf_free(note);
}

static int put_set(struct batch *b, const char *table)
{
	struct nftnl_set *s = open_set(table);

	if (!s)
		return -ENOMEM;
	say_host_order(s);
	nftnl_set_nlmsg_build_payload(add(b, NFT_MSG_NEWSET, NFPROTO_INET, NLM_F_CREATE), s);
	added(b);
	nftnl_set_free(s);
	return 0;
}

/* Without elements, as a message to delete: all that are in it. */
static int put_elements(struct batch *b, const char *table, uint16_t type, const uint32_t *ifindex,
			unsigned int n)
{
	struct nftnl_set *s = open_set(table);
	struct nftnl_set_elem *e;
	unsigned int i;

	for (i = 0; s && i < n; i++) {
		e = nftnl_set_elem_alloc();
		if (!e) {
			nftnl_set_free(s);
			return -ENOMEM;
		}
		nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, &ifindex[i], sizeof(ifindex[i]));
		nftnl_set_elem_add(s, e);
	}
	if (!s)
		return -ENOMEM;
	nftnl_set_elems_nlmsg_build_payload(
		add(b, type, NFPROTO_INET, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0), s);
	added(b);
	nftnl_set_free(s);
	return 0;
}

static int put_open(struct batch *b, const char *table, const uint32_t *ifindex, unsigned int n)
{
	unsigned int i, some;
	int ret = 0;

	for (i = 0; i < n && !ret; i += some) {
		some = n - i < ELEMENTS ? n - i : ELEMENTS;
		ret = put_elements(b, table, NFT_MSG_NEWSETELEM, ifindex + i, some);
	}
	return ret;
}

static int put_chain(struct batch *b, const char *table, const char *name, uint32_t hook)
{
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (!c)
		return -ENOMEM;
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook);
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, PRIORITY);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	nftnl_chain_nlmsg_build_payload(add(b, NFT_MSG_NEWCHAIN, NFPROTO_INET, NLM_F_CREATE), c);
	added(b);
	nftnl_chain_free(c);
	return 0;
}

/* An expression of up to three numbers; false: no memory. */
static bool put_expr(struct nftnl_rule *r, const char *name, const uint32_t what[][2],
		     unsigned int n, const char *set)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);
	unsigned int i;

	if (!e)
		return false;
	for (i = 0; i < n; i++)
		nftnl_expr_set_u32(e, what[i][0], what[i][1]);
	if (set)
		nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	nftnl_rule_add_expr(r, e);
	return true;
}

/* KEY != @open counter drop */
static int put_rule(struct batch *b, const char *table, const char *chain, uint32_t key)
{
	const uint32_t meta[][2] = {{NFTNL_EXPR_META_KEY, key}, {NFTNL_EXPR_META_DREG, NFT_REG_1}};
	const uint32_t lookup[][2] = {{NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1},
				      {NFTNL_EXPR_LOOKUP_SET_ID, SET_ID},
				      {NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV}};
	const uint32_t verdict[][2] = {{NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT},
				       {NFTNL_EXPR_IMM_VERDICT, NF_DROP}};
	struct nftnl_rule *r = nftnl_rule_alloc();
	bool done;

	if (!r)
		return -ENOMEM;
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_INET);
	done = put_expr(r, "meta", meta, 2, NULL) && put_expr(r, "lookup", lookup, 3, SET) &&
	       put_expr(r, "counter", NULL, 0, NULL) && put_expr(r, "immediate", verdict, 2, NULL);
	if (done) {
		nftnl_rule_nlmsg_build_payload(
			add(b, NFT_MSG_NEWRULE, NFPROTO_INET, NLM_F_CREATE | NLM_F_APPEND), r);
		added(b);
	}
	nftnl_rule_free(r);
	return done ? 0 : -ENOMEM;
}

/* Made first so that it can be deleted, whether it was there or not. */
static int put_no_table(struct batch *b, const char *table)
{
	int ret = put_table(b, table, NFT_MSG_NEWTABLE, NLM_F_CREATE);

	return ret ? ret : put_table(b, table, NFT_MSG_DELTABLE, 0);
}

int guard_nft_replace(struct mnl_socket *nl, const char *table, const uint32_t *ifindex,
		      unsigned int n)
{
	struct batch b;
	int ret = begin(&b, n);

	if (ret)
		return ret;
	ret = put_no_table(&b, table);
	if (!ret)
		ret = put_table(&b, table, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	if (!ret)
		ret = put_set(&b, table);
	if (!ret)
		ret = put_chain(&b, table, "in", NF_INET_PRE_ROUTING);
	if (!ret)
		ret = put_chain(&b, table, "forward", NF_INET_FORWARD);
	if (!ret)
		ret = put_rule(&b, table, "in", NFT_META_IIF);
	if (!ret)
		ret = put_rule(&b, table, "forward", NFT_META_OIF);
	if (!ret)
		ret = put_open(&b, table, ifindex, n);
	if (!ret)
		return commit(&b, nl);
	free(b.buf);
	return ret;
}

int guard_nft_open(struct mnl_socket *nl, const char *table, const uint32_t *ifindex,
		   unsigned int n)
{
	struct batch b;
	int ret = begin(&b, n);

	if (ret)
		return ret;
	ret = put_elements(&b, table, NFT_MSG_DELSETELEM, NULL, 0);
	if (!ret)
		ret = put_open(&b, table, ifindex, n);
	if (!ret)
		return commit(&b, nl);
	free(b.buf);
	return ret;
}

int guard_nft_delete(struct mnl_socket *nl, const char *table)
{
	struct batch b;
	int ret = begin(&b, 0);

	if (ret)
		return ret;
	ret = put_no_table(&b, table);
	if (!ret)
		return commit(&b, nl);
	free(b.buf);
	return ret;
}

int guard_nft_exists(struct mnl_socket *nl, const char *table)
{
	char buf[1024];
	struct batch b = {.buf = buf, .seq = time(NULL)};
	int ret = put_table(&b, table, NFT_MSG_GETTABLE, NLM_F_ACK);

	if (!ret && mnl_socket_sendto(nl, buf, b.len) < 0)
		ret = -errno;
	if (!ret)
		ret = read_answers(nl);
	return ret == -ENOENT ? 0 : ret ? ret : 1;
}

bool guard_nft_concerns(const struct nlmsghdr *nlh, const char *table)
{
	const struct nlattr *attr;

	if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    (nlh->nlmsg_type & 0xff) == NFT_MSG_NEWGEN)
		return false;
	/* The table's name is attribute 1 of tables, chains, rules, sets and elements. */
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) if (
		mnl_attr_get_type(attr) ==
		NFTA_TABLE_NAME) return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
		!strcmp(mnl_attr_get_str(attr), table);
	return false;
}
