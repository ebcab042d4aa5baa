/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_CONF_H
#define BPFCT_FW_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../bpf/abi/ct_table.h"
#include "../../bpf/abi/frag_abi.h"
#include "fw_abi.h"

/*
 * The firewall's language, docs/man/ctd.conf.5. A file is parsed into a struct
 * fw_conf (names of interfaces only, no look at the machine), and compiled
 * against the machine's interfaces into what goes into the BPF maps.
 *
 *	struct fw_conf *conf;
 *	struct fw_ifs ifs = {0};
 *	struct fw_rules rules = {0};
 *
 *	err = fw_conf_parse(path, &conf, stderr);
 *	err = fw_ifs_read(&ifs);
 *	err = fw_conf_compile(conf, &ifs, &rules, stderr);
 *	err = fw_rules_install(&rules, &fds);
 *	fw_rules_iface(&rules, &ifs.v[i], &value) for each interface
 */
struct fw_conf;

/* Every error is one line, `file:line:col: text, expected ...`; at most this many. */
#define FW_MAX_ERRORS 10

/*
 * Parses a file. 0, *out is the caller's; or with lines on err (may be NULL)
 * and *out NULL: -EINVAL the file is wrong, -ENOMEM, -EFBIG over FW_MAX_TEXT
 * bytes, other -errno it cannot be read (one line says so).
 */
#define FW_MAX_TEXT (1024 * 1024)
int fw_conf_parse(const char *path, struct fw_conf **out, FILE *err);

/* The same with text in memory (need not end in 0); name appears in errors. */
int fw_conf_parse_text(const char *name, const char *text, size_t len, struct fw_conf **out,
		       FILE *err);

void fw_conf_free(struct fw_conf *conf);

/* The canonical form: macros, settings, rules; parses to the same conf. */
void fw_conf_print(const struct fw_conf *conf, FILE *out);

/* Rules of the file of all kinds, numbered from 1. */
unsigned int fw_conf_rules(const struct fw_conf *conf);
/* Line of rule n in its file; prints its text without newline if out is set. 0: no such rule. */
unsigned int fw_conf_rule(const struct fw_conf *conf, unsigned int n, FILE *out);

/* Settings. Those with a default here always hold a value. */
enum fw_limit {
	FW_LIMIT_CONFIRMED,
	FW_LIMIT_HALF_OPEN,
	FW_LIMIT_HALF_OPEN_OUTSIDE,
	FW_LIMIT_HALF_OPEN_INSIDE,
	FW_LIMIT_RETRY,
	FW_LIMIT_NAT,
	FW_LIMIT_MAX
};

struct fw_zone_limit {
	uint16_t zone;
	uint32_t limit;
};

struct fw_port_range {
	uint16_t min; /* host byte order, inclusive */
	uint16_t max;
};

/* `set fragments ...` with numbers; in order of the language's table. */
enum fw_frag {
	FW_FRAG_TIMEOUT,
	FW_FRAG_DATAGRAMS,
	FW_FRAG_BYTES,
	FW_FRAG_ZONE_DATAGRAMS,
	FW_FRAG_ZONE_BYTES,
	FW_FRAG_SOURCE_DATAGRAMS,
	FW_FRAG_SOURCE_BYTES,
	FW_FRAG_MIN4,
	FW_FRAG_MIN6,
	FW_FRAG_NUMBERS
};

struct fw_settings {
	bool default_pass;		  /* false */
	bool timeout_set[CT_TIMEOUT_MAX]; /* false: timeout[] holds netfilter's default */
	uint32_t timeout[CT_TIMEOUT_MAX]; /* seconds, 1 or more */
	uint32_t limit[FW_LIMIT_MAX];	  /* 0: not set, ctd decides */
	const struct fw_zone_limit *zone; /* by zone, ascending */
	unsigned int zones;
	uint8_t fragments[2];			  /* enum frag_mode of IPv4, IPv6: reassemble */
	uint32_t frag[FW_FRAG_NUMBERS];		  /* 0: not set, ctd decides */
	bool frag_icmp;				  /* false */
	bool tcp_loose;				  /* true */
	bool tcp_be_liberal;			  /* false */
	bool tcp_ignore_invalid_rst;		  /* false */
	uint8_t tcp_max_retrans;		  /* 3 */
	bool checksum;				  /* true */
	bool import;				  /* true */
	const struct fw_port_range *nat_reserved; /* never handed out, beside the host's own */
	unsigned int nat_reserveds;
	uint32_t nat_hold_down; /* seconds, 120: RFC 6888 REQ-8 */
	uint32_t nat_pools;	/* how many there may be, 1024 */
	uint8_t antispoof;	/* FW_SPOOF_*: strict */
	bool mss_clamp;		/* false */
};

/* Lives as long as conf. */
const struct fw_settings *fw_conf_settings(const struct fw_conf *conf);

/* "confirmed", "half-open" ... as in the language. */
const char *fw_limit_text(enum fw_limit limit);
/* "timeout", "source bytes" ... as in the language. */
const char *fw_frag_text(enum fw_frag which);

/* The machine's interfaces, filled by fw_ifs_read() or by hand. */
struct fw_ifaddr {
	uint8_t family; /* 4 or 6 */
	uint8_t prefixlen;
	uint8_t scope;	/* RT_SCOPE_* */
	uint32_t flags; /* IFA_F_* */
	__be32 addr[4]; /* IPv4: word 0 */
};

#define FW_IFNAME 16 /* IFNAMSIZ, whose headers exclude each other */

struct fw_if {
	char name[FW_IFNAME];
	uint32_t ifindex;
	uint32_t mtu;
	uint8_t mac[6];
	bool loopback;
	bool no_l2; /* tun, ppp, wireguard: no link header */
	struct fw_ifaddr *addr;
	unsigned int addrs;
};

struct fw_ifs {
	struct fw_if *v;
	unsigned int n;
};

/* Reads links and addresses of the calling thread's network namespace by
 * netlink. 0 or -errno. Free with fw_ifs_free() in both cases. */
int fw_ifs_read(struct fw_ifs *ifs);
void fw_ifs_free(struct fw_ifs *ifs);
const struct fw_if *fw_ifs_find(const struct fw_ifs *ifs, const char *name);

/* Adds an interface (zeroed but for the name and index) or an address; for
 * tests and for callers with their own netlink code. NULL / -ENOMEM. */
struct fw_if *fw_ifs_add(struct fw_ifs *ifs, const char *name, uint32_t ifindex);
int fw_if_add_addr(struct fw_if *iface, const struct fw_ifaddr *addr);

/* Address for masquerading: the first that is neither tentative, deprecated
 * nor link-local; IPv6: a temporary one only if there is no other. */
bool fw_if_masquerade(const struct fw_if *iface, int family, __be32 addr[4]);

/* Classes of protocols, each with a port space of its own. */
#define FW_CLASS_TCP   0x01
#define FW_CLASS_UDP   0x02 /* and UDP-Lite */
#define FW_CLASS_ICMP  0x04
#define FW_CLASS_SCTP  0x08
#define FW_CLASS_OTHER 0x10 /* without ports */
#define FW_CLASS_ALL   0x1f

/* From first to last, network byte order, IPv4 in word 0. */
struct fw_span {
	__be32 first[4];
	__be32 last[4];
	uint32_t addrs;
};

/*
 * What source NAT rules hand out from; rules that name the same addresses, ports
 * and options share one. ctd makes pools of nat_pool_v1 of it, one for each
 * address, in the order of the spans, and class of protocols, and writes into
 * fw_nat_rule.pool_base of the rules whose .pool is this one the index of the first,
 * plus NAT_CLASSES * addr_from of the rule.
 */
struct fw_pool {
	uint32_t number;     /* of the first rule that it is for */
	uint32_t line;	     /* in its file */
	uint32_t flags;	     /* FW_N_* of that rule */
	uint32_t to_ifindex; /* masquerade: whose address this is; 0: written in the file */
	uint8_t family;	     /* 4 or 6 */
	uint8_t classes;     /* FW_CLASS_* that its rules can match */
	uint16_t port_min;   /* 0: each class's whole range */
	uint16_t port_max;
	uint16_t block; /* ports, 0: none; then with the inside network: */
	uint8_t inside_plen;
	__be32 inside[4];
	struct fw_span *span;
	unsigned int spans;
	uint32_t addrs; /* in all spans; 0: the interface has no address now */
};

/* A table with what the file puts into it. */
struct fw_table_net {
	uint8_t family; /* 4, 6 */
	uint8_t plen;
	__be32 addr[4];
};

#define FW_TABLE_NAME 32

struct fw_table {
	char name[FW_TABLE_NAME];
	uint32_t number; /* fw_table_number() */
	bool persist;	 /* what was added stays over a reload */
	struct fw_table_net *net;
	unsigned int nets;
};

/* The number by which the maps know a table: a hash of its name, never 0. */
uint32_t fw_table_number(const char *name);

/* An entry of fw_alg_v1. */
struct fw_alg_entry {
	struct fw_alg_key key;
	struct fw_alg alg;
};

struct fw_if_zone {
	uint32_t ifindex;
	uint16_t zone;
};

/* What goes into the maps. */
struct fw_rules {
	struct fw_rule *rule; /* n_rules <= FW_RULES */
	unsigned int n_rules;
	struct fw_nat_rule *nat; /* n_nats <= FW_NATS */
	unsigned int n_nats;
	struct fw_pool *pool;
	unsigned int n_pools;
	bool default_pass;
	uint8_t antispoof; /* FW_SPOOF_* */
	bool mss_clamp;
	uint32_t *inside; /* interface indexes of the trusted side */
	unsigned int n_inside;
	uint32_t *nets; /* those whose addresses or networks the rules hold */
	unsigned int n_nets;
	uint32_t *skip; /* interface indexes of `set skip on` that are there now */
	unsigned int n_skip;
	struct fw_if_zone *zone; /* of `set zone N on`, those that are there now */
	unsigned int n_zones;
	struct fw_table *table;
	unsigned int n_tables;
	struct fw_alg_entry *alg; /* n_algs <= FW_ALGS */
	unsigned int n_algs;
};

/*
 * Compiles for these interfaces; ctd does so again when addresses change, as
 * `$macro.net` and the trusted side depend on them. 0, out to be freed with
 * fw_rules_free(); warnings (`warning:` after the position) may be on err.
 * -ENODEV an interface does not exist, -E2BIG too many rules after expansion or
 * more pools than `set nat pools`, -EINVAL pools overlap or are empty, -ENOMEM;
 * with a line on err and out empty.
 */
int fw_conf_compile(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out,
		    FILE *err);
void fw_rules_free(struct fw_rules *rules);

/* Does `set skip on` name this interface? It is left without our programs. */
bool fw_conf_skips(const struct fw_conf *conf, const char *name);

/* Value of fw_iface_v2 for an interface; `attached` is the caller's to say. */
void fw_rules_iface(const struct fw_rules *rules, const struct fw_if *iface, bool attached,
		    struct fw_iface *out);

/* Descriptors of the maps, whoever loaded them. */
struct fw_fds {
	int config;
	int rule;
	int nat;
	int hit;
	int iface;
	int near; /* fw_near_v2 */
	int table;
	int over; /* fw_over_v1 */
	int alg;
};

/* Writes the rules into the half that is not active, zeroes its counters, and
 * switches. 0 or -errno; on error the old rules stay in force. One caller at a time. */
int fw_rules_install(const struct fw_rules *rules, const struct fw_fds *fds);

/* Brings fw_alg_v1 in line with the rules; connections keep the helper that they have.
 * 0 or -errno. */
int fw_algs_install(const struct fw_rules *rules, const struct fw_fds *fds);

/* Brings fw_iface_v2 in line with ifs: adds, changes, deletes. `attached`
 * names the interfaces with our programs, by index; NULL: all but loopback. `changes` is
 * what fw_changes() said before ifs was read. */
int fw_ifs_install(const struct fw_rules *rules, const struct fw_ifs *ifs, uint32_t changes,
		   const uint32_t *attached, unsigned int n_attached, const struct fw_fds *fds);

/* How many changes of addresses the watch has counted (struct fw_late). */
uint32_t fw_changes(const struct fw_fds *fds);

/* Counters of rule `number` of the active half, summed over CPUs; 0: the default. */
int fw_hits(const struct fw_fds *fds, unsigned int number, struct fw_hit *out);

#endif
