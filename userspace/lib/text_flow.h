/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_TEXT_FLOW_H
#define BPFCT_LIB_TEXT_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "../../bpf/abi/ct_event.h"

/*
 * A flow as people read it: direction resolved, times in seconds. All printing
 * (text, JSON, XML, save) starts from this struct, and text and JSON are two
 * visitors of one walk over it, so they cannot tell different stories.
 */

/* One direction. Ports and ICMP fields in host byte order; addresses point into
 * the flow that the view was made from, network byte order. */
struct ct_view_side {
	const void *src;
	const void *dst;
	uint16_t sport;
	uint16_t dport;
	uint16_t icmp_id;
	uint8_t icmp_type;
	uint8_t icmp_code;
	uint64_t packets;
	uint64_t bytes;
};

/* Which of the fields that not every listing has are shown. */
#define CT_SHOW_EVENT	 0x001 /* [NEW] and so on in front */
#define CT_SHOW_LAYER3	 0x002
#define CT_SHOW_TIMEOUT	 0x004
#define CT_SHOW_COUNTERS 0x008
#define CT_SHOW_MARK	 0x010
#define CT_SHOW_USE	 0x020
#define CT_SHOW_ID	 0x040
#define CT_SHOW_DELTA	 0x080 /* delta-time=, as with nf_conntrack_timestamp=1 */
#define CT_SHOW_TIMES	 0x100 /* [start=] and [stop=] */
/* what `conntrack -L` shows with accounting on */
#define CT_SHOW_LIST (CT_SHOW_TIMEOUT | CT_SHOW_COUNTERS | CT_SHOW_MARK | CT_SHOW_USE)

struct ct_view {
	uint8_t family; /* 4 or 6 */
	uint8_t proto;
	uint8_t state; /* enum ct_tcp_state or ct_sctp_state; 0 for others */
	uint8_t life;  /* enum ct_life */
	uint8_t event; /* enum ct_event_type */
	uint16_t zone;
	uint16_t status; /* CT_S_* */
	uint32_t gen;
	uint32_t timeout; /* seconds left; 0 when past */
	bool expired;
	uint32_t mark;
	uint32_t id;
	uint64_t start_ns; /* since the epoch */
	uint64_t stop_ns;  /* 0: still there */
	struct ct_label label;
	uint32_t vtag[2];	     /* SCTP verification tags by direction */
	struct ct_view_side side[2]; /* CT_ORIG, CT_REPLY */
};

/* What turns ticks into wall-clock time: the kernel's HZ, and one moment in
 * both clocks. Passed in, so tests can fake it. */
struct ct_view_clock {
	uint32_t hz;
	uint32_t now_tick;
	uint64_t now_ns; /* since the epoch, at now_tick */
};

/* Fills a view; flow must outlive it (addresses are not copied). */
void ct_view_fill(struct ct_view *v, const struct ct_flow *flow, const struct ct_view_clock *clock);

/* True for what a listing shows: set up, not dying, not expired. */
bool ct_view_listed(const struct ct_view *v);

/* Fields to show for an event, as the kernel's own events have them: NEW and
 * UPDATE without counters, a mark of 0 never, DESTROY with time-out only when
 * the flow was killed early. */
unsigned int ct_view_event_fields(const struct ct_view *v);

const char *ct_proto_name(uint8_t proto);		 /* "unknown" as conntrack(8) has it */
const char *ct_state_name(uint8_t proto, uint8_t state); /* NULL when it has none */
int ct_state_by_name(uint8_t proto, const char *name);	 /* -1: no such state */

/* The walk. Groups nest the fields of a direction; text ignores them. */
enum ct_field_kind {
	CT_KIND_EVENT,	/* str */
	CT_KIND_PADDED, /* str and num: `tcp      6 ` */
	CT_KIND_BARE,	/* num: `431998 ` */
	CT_KIND_WORD,	/* str: `ESTABLISHED ` */
	CT_KIND_ADDR,	/* addr: `src=1.2.3.4 ` */
	CT_KIND_NUM,	/* num: `sport=80 ` */
	CT_KIND_HEX,	/* num: `srckey=0x1 ` */
	CT_KIND_FLAG,	/* num 0 or 1: `[ASSURED] ` */
	CT_KIND_TIME,	/* num in ns since the epoch: `[start=...] ` */
	CT_KIND_QUIET,	/* flag that conntrack(8)'s text does not have */
};

struct ct_field {
	const char *name; /* JSON key, and text where the kind has a name */
	const char *text; /* FLAG: what is printed */
	enum ct_field_kind kind;
};

struct ct_value {
	uint64_t num;
	const char *str;
	const void *addr;
	uint8_t family;
};

struct ct_visitor {
	void (*field)(void *arg, const struct ct_field *f, const struct ct_value *val);
	void (*group)(void *arg, const char *name); /* NULL name closes; may be NULL */
};

void ct_flow_walk(const struct ct_view *v, unsigned int show, const struct ct_visitor *visitor,
		  void *arg);

/* One line without newline, as conntrack(8) prints it; NUL-terminated. Returns
 * its length. CT_TEXT_MAX bytes are always enough. */
#define CT_TEXT_MAX 1024
size_t ct_flow_text(char *buf, const struct ct_view *v, unsigned int show);

/* One JSON object without newline; the same rules. Every field has a key
 * whatever `show` leaves out of the text, except EVENT and times. */
#define CT_JSON_MAX 2048
size_t ct_flow_json(char *buf, const struct ct_view *v, unsigned int show);

/* The options that make conntrack(8) -R create (command "-A") the flow again.
 * Unlike conntrack 1.4.7 a mark other than 0 is saved too. */
size_t ct_flow_save(char *buf, const struct ct_view *v, const char *command);

/* Address as text at p, at most 46 bytes, no NUL; returns the end. As glibc's
 * inet_ntop, several times faster. */
char *ct_text_addr(char *p, const void *addr, uint8_t family);
char *ct_text_num(char *p, uint64_t n);

#endif
