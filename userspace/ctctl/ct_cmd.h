/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTCTL_CT_CMD_H
#define BPFCT_CTCTL_CT_CMD_H

#include <getopt.h>

#include "ctctl.h"

/* The conntrack(8) command line, version 1.4.7: what was asked for. */
#define CT_VERSION "1.4.7"

enum ct_command {
	CT_CMD_NONE,
	CT_CMD_LIST,
	CT_CMD_CREATE,
	CT_CMD_ADD,
	CT_CMD_UPDATE,
	CT_CMD_DELETE,
	CT_CMD_GET,
	CT_CMD_FLUSH,
	CT_CMD_EVENT,
	CT_CMD_COUNT,
	CT_CMD_STATS,
	CT_CMD_LOAD,
	CT_CMD_VERSION,
	CT_CMD_HELP,
	CT_CMD_MAX
};

enum ct_table_name {
	CT_TABLE_CONNTRACK,
	CT_TABLE_EXPECT,
	CT_TABLE_DYING,
	CT_TABLE_UNCONFIRMED,
};

/* Options, in the order in which conntrack(8) checks and names them. */
#define CT_OPTIONS(X)                                                                              \
	X(SRC, "src")                                                                              \
	X(DST, "dst")                                                                              \
	X(REPLY_SRC, "reply-src")                                                                  \
	X(REPLY_DST, "reply-dst")                                                                  \
	X(PROTO, "protonum")                                                                       \
	X(TIMEOUT, "timeout")                                                                      \
	X(STATUS, "status")                                                                        \
	X(ZERO, "zero")                                                                            \
	X(EVENT_MASK, "event-mask")                                                                \
	X(TUPLE_SRC, "tuple-src")                                                                  \
	X(TUPLE_DST, "tuple-dst")                                                                  \
	X(MASK_SRC, "mask-src")                                                                    \
	X(MASK_DST, "mask-dst")                                                                    \
	X(NAT_RANGE, "nat-range")                                                                  \
	X(MARK, "mark")                                                                            \
	X(ID, "id")                                                                                \
	X(FAMILY, "family")                                                                        \
	X(SRC_NAT, "src-nat")                                                                      \
	X(DST_NAT, "dst-nat")                                                                      \
	X(OUTPUT, "output")                                                                        \
	X(SECMARK, "secmark")                                                                      \
	X(BUFFER_SIZE, "buffer-size")                                                              \
	X(ANY_NAT, "any-nat")                                                                      \
	X(ZONE, "zone")                                                                            \
	X(LABEL, "label")                                                                          \
	X(LABEL_ADD, "label-add")                                                                  \
	X(LABEL_DEL, "label-del")                                                                  \
	X(ORIG_ZONE, "orig-zone")                                                                  \
	X(REPLY_ZONE, "reply-zone")

enum ct_option {
#define X(name, text) CT_OPT_##name,
	CT_OPTIONS(X)
#undef X
		CT_OPT_MAX
};

#define CT_BIT(option) (1U << CT_OPT_##option)

/* -o */
#define CT_OUT_XML	  0x01
#define CT_OUT_EXTENDED	  0x02
#define CT_OUT_TIMESTAMP  0x04
#define CT_OUT_ID	  0x08
#define CT_OUT_KTIMESTAMP 0x10
#define CT_OUT_LABELS	  0x20
#define CT_OUT_USERSPACE  0x40
#define CT_OUT_SAVE	  0x80

/* What a protocol's own options say about a flow. */
enum ct_l4_field {
	CT_L4_SPORT,
	CT_L4_DPORT,
	CT_L4_REPLY_SPORT,
	CT_L4_REPLY_DPORT,
	CT_L4_STATE,
	CT_L4_ICMP_TYPE,
	CT_L4_ICMP_CODE,
	CT_L4_ICMP_ID,
	CT_L4_ORIG_VTAG,
	CT_L4_REPLY_VTAG,
	CT_L4_TUPLE_SPORT, /* expectations */
	CT_L4_TUPLE_DPORT,
	CT_L4_MASK_SPORT,
	CT_L4_MASK_DPORT,
	CT_L4_MAX
};

struct ct_addr_match {
	bool set;
	uint8_t addr[16]; /* network byte order */
	uint8_t mask[16];
};

struct ct_nat_match {
	bool addr_set;
	uint8_t addr[16];
	uint16_t port; /* 0: any */
};

struct ct_cmd {
	struct ctctl *c;
	enum ct_command command;
	enum ct_table_name table;
	uint32_t options; /* 1 << enum ct_option */
	uint32_t output;
	uint32_t event_mask; /* 1 << enum ct_event_type */
	int family;	     /* 0 any, 4, 6 */
	int proto;	     /* -1 any */
	struct ct_addr_match src, dst, reply_src, reply_dst, tuple_src, tuple_dst;
	struct ct_nat_match snat, dnat, anynat;
	uint32_t l4_set; /* 1 << enum ct_l4_field */
	uint32_t l4[CT_L4_MAX];
	uint32_t mark, mark_mask;
	uint32_t status;
	uint32_t timeout;
	uint16_t zone, orig_zone, reply_zone;
	struct ct_label label, label_add, label_del;
	const char *load_file;
	struct bpfct_pins *pins; /* opened by ct_run() */
	unsigned long *done;	 /* -R: counts by command instead of summaries */
};

/* Runs a whole conntrack(8) command line. */
int ct_main(struct ctctl *c, int argc, char **argv);

/* Parses one; CTCTL_OK, or CTCTL_USAGE / CTCTL_FAILED with the reason on err. */
int ct_parse(struct ct_cmd *cmd, struct ctctl *c, int argc, char **argv);
int ct_run(struct ct_cmd *cmd);

/* Walks the listed flows that match; stops when fn returns non-zero, and
 * returns that. -errno when the dump fails. */
typedef int (*ct_flow_fn)(struct ct_cmd *cmd, const struct ct_flow *flow, struct ct_view *v,
			  void *arg);
int ct_walk(struct ct_cmd *cmd, const struct ct_view_clock *clock, ct_flow_fn fn, void *arg);

/* conntrack(8)'s error lines: prefix, text, and for usage the hint. */
int ct_usage(struct ctctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ct_failed(struct ctctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "Operation failed: " and conntrack(8)'s words for -err. */
int ct_failed_errno(struct ctctl *c, enum ct_command command, int err);
/* "conntrack v1.4.7 (conntrack-tools): N flow entries have been shown." */
void ct_summary(const struct ct_cmd *cmd, unsigned long n);

/* ct_args.c: one option's argument. CTCTL_OK or CTCTL_USAGE. */
int ct_arg_addr(struct ct_cmd *cmd, struct ct_addr_match *m, const char *option, const char *arg,
		bool cidr);
int ct_arg_mask(struct ct_cmd *cmd, struct ct_addr_match *m, const char *arg);
int ct_arg_nat(struct ct_cmd *cmd, struct ct_nat_match *m, const char *arg);
int ct_arg_family(struct ct_cmd *cmd, const char *arg);
int ct_arg_mark(struct ct_cmd *cmd, const char *arg);
int ct_arg_status(struct ct_cmd *cmd, const char *arg);
int ct_arg_output(struct ct_cmd *cmd, const char *arg);
int ct_arg_events(struct ct_cmd *cmd, const char *arg);
int ct_arg_u32(struct ct_cmd *cmd, const char *option, const char *arg, uint32_t max,
	       uint32_t *out);
int ct_arg_label(struct ct_cmd *cmd, struct ct_label *label, const char *arg);

/* ct_proto.c: the options that -p adds, as getopt_long wants them. */
#define CT_PROTO_BASE 512 /* val of a protocol option: this + index */
const struct option *ct_proto_options(uint8_t proto);
int ct_proto_number(const char *name); /* -1: unknown */
/* Takes protocol option `index`; CTCTL_OK or CTCTL_USAGE. */
int ct_proto_arg(struct ct_cmd *cmd, int index, const char *arg);
/* What -I, -A and -G need of a protocol's options. */
int ct_proto_check(struct ct_cmd *cmd);
void ct_proto_help(FILE *out, uint8_t proto);

/* ct_table.c: which options a command takes, or needs. */
int ct_check_options(struct ct_cmd *cmd);
const char *ct_command_name(enum ct_command command);
const char *ct_option_name(enum ct_option option);

/* ct_filter.c */
bool ct_filter(const struct ct_cmd *cmd, const struct ct_view *v);

/* ct_print.c */
struct ct_print {
	const struct ct_cmd *cmd;
	struct ct_view_clock clock;
	unsigned int show; /* CT_SHOW_* of a listing */
	const char *save;  /* "-A" and so on */
	void *labelmap;
	unsigned long printed;
	bool opened;   /* XML or JSON header is out */
	bool headless; /* XML without header, JSON one object a line */
};

void ct_print_start(struct ct_print *pr, const struct ct_cmd *cmd, struct bpfct_pins *p);
void ct_print_flow(struct ct_print *pr, const struct ct_view *v, unsigned int show);
void ct_print_event(struct ct_print *pr, const struct ct_view *v);
void ct_print_end(struct ct_print *pr);

/* ct_read.c, ct_write.c, ct_create.c, ct_event.c, ct_load.c: the commands. */
int ct_cmd_list(struct ct_cmd *cmd);
int ct_cmd_get(struct ct_cmd *cmd);
int ct_cmd_count(struct ct_cmd *cmd);
int ct_cmd_stats(struct ct_cmd *cmd);
int ct_cmd_delete(struct ct_cmd *cmd);
int ct_cmd_flush(struct ct_cmd *cmd);
int ct_cmd_update(struct ct_cmd *cmd);
int ct_cmd_create(struct ct_cmd *cmd);
int ct_cmd_event(struct ct_cmd *cmd);
int ct_cmd_load(struct ct_cmd *cmd);
int ct_cmd_expect(struct ct_cmd *cmd); /* table expect */
void ct_expect_print_event(struct ct_cmd *cmd, const struct ct_expect_event *ev, unsigned long nth);
/* -I's flow from its options; expires holds seconds. 0 or -EINVAL. */
int ct_create_flow(const struct ct_cmd *cmd, struct ct_flow *flow);
void ct_cmd_help(struct ct_cmd *cmd);

#endif
