/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ALG_H
#define BPFCT_ALG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi/ct_key.h"

/*
 * Application level gateways: pure parsers of FTP, TFTP, SIP and PPTP. Bytes of one
 * connection go in; edits of those bytes and expectations of further connections
 * come out. No I/O, no globals, no clock, no allocation that outlives a call.
 *
 * ctd keeps one struct alg_session for each connection that a rule gave a helper.
 * For each direction it keeps a buffer: what the speaker sent and alg_feed() has
 * not consumed. It appends what arrives in order and calls alg_feed() with the
 * whole buffer, drops the consumed bytes from its front, carries out the
 * events *in order* (expectations are in their map before the bytes leave), applies
 * the edits and passes the consumed bytes on. What is not consumed is held.
 * Whatever the segmentation, the same events and edits come out.
 *
 * Directions are CT_ORIG and CT_REPLY of the master. An address has two forms: the
 * one its owner knows (`own`) and the one that the peer sees (`seen`); where nothing
 * is translated they are the same, and nothing is edited.
 */

enum alg_helper {
	ALG_NONE,
	ALG_FTP,  /* TCP 21 */
	ALG_TFTP, /* UDP 69 */
	ALG_SIP,  /* UDP and TCP 5060 */
	ALG_PPTP, /* TCP 1723 */
	ALG_HELPERS,
};

/*
 * Why the parser granted nothing, or gave up. The only such list: enum, counters and
 * docs/alg.md come from it. X(NAME, text, what happens, meaning). Append only.
 *   OFF   the helper leaves the connection, whose bytes pass unedited from then on
 *   PASS  these bytes pass; no expectation, and no edit of what was refused
 *   NOTE  nothing is wrong
 */
#define ALG_REASONS(X)                                                                             \
	X(NONE, "none", NOTE, "not a reason; never counted")                                       \
	X(NOT_PROTOCOL, "not_protocol", OFF, "the first bytes are not the protocol")               \
	X(EARLY, "early", OFF, "FTP: the client spoke before the server's banner")                 \
	X(TLS, "tls", OFF, "FTP: the server agreed to TLS on the control channel")                 \
	X(FRAMING, "framing", OFF, "SIP over TCP, PPTP: where the next message begins is unknown") \
	X(STATE, "state", OFF, "a restored session is damaged or of another version")              \
	X(PIPELINE, "pipeline", OFF, "FTP: more than 64 commands without a reply")                 \
	X(SYNTAX, "syntax", PASS, "malformed, or two parsers disagree about it")                   \
	X(NUL, "nul", PASS, "a NUL where text must be")                                            \
	X(BARE_CR, "bare_cr", PASS, "a carriage return that does not end a line")                  \
	X(LINE_LONG, "line_long", PASS, "FTP line above 512 bytes, TFTP request above 512")        \
	X(HEADER_LONG, "header_long", PASS, "SIP header section above 6 KiB, or 128 headers")      \
	X(BODY_LONG, "body_long", PASS, "SDP in a message above the limit: headers edited only")   \
	X(RANGE, "range", PASS, "a number out of its range")                                       \
	X(OTHER_HOST, "other_host", PASS, "an address that is not the speaker's (bounce)")         \
	X(PORT_LOW, "port_low", PASS, "a port under 1024")                                         \
	X(UNASKED, "unasked", PASS, "an answer to nothing: 227 without PASV, SDP without offer")   \
	X(REFUSED, "refused", PASS, "the peer did not agree; what was reserved is given back")     \
	X(STALE, "stale", PASS, "SIP: CSeq lower than one already seen; PPTP: a known call")       \
	X(CHANGED, "changed", PASS, "SIP: a repeated message with another content")                \
	X(AMBIGUOUS, "ambiguous", PASS, "two readings: two addresses in a 227, two SDP parts")     \
	X(NO_PORT, "no_port", PASS, "no external port, or no room to expect what comes to it")     \
	X(FLOOD, "flood", PASS, "more calls, streams or registrations than a session may hold")    \
	X(EDITS, "edits", PASS, "more edits than one message may need")                            \
	X(NO_ROOM, "no_room", PASS, "what is agreed upon cannot be expected: limit, or another's")

enum alg_reason {
#define X(name, text, what, meaning) ALG_R_##name,
	ALG_REASONS(X)
#undef X
		ALG_R_COUNT
};

enum alg_class {
	ALG_CLASS_DATA, /* FTP, TFTP data, PPTP's GRE */
	ALG_CLASS_SIP,	/* further signalling, to what was registered */
	ALG_CLASS_RTP,
	ALG_CLASS_RTCP,
	ALG_CLASSES,
};

/* struct alg_expect.flags */
#define ALG_X_ANY_SPORT 0x01 /* any source port: sport is 0 in both tuples and is kept */
#define ALG_X_PERMANENT 0x02 /* may be used often, until its time-out */
/* The far end is not one of the two speakers (a media server named in SDP): the
 * expectation says how such a connection is translated; the rules must admit it. */
#define ALG_X_POLICY 0x04

/*
 * A connection that is to come. `tuple` is its first packet as it arrives, before
 * any translation; `nat` is what that packet must be translated to. Equal fields are
 * left alone. Both have the zone of the master. With the expectation ctd takes over
 * the external port (tuple.dport, where it was got from alg_ops.port): it stays
 * reserved until its group is closed or withdrawn and no connection uses it, or until
 * a permanent expectation times out.
 */
struct alg_expect {
	struct ct_tuple tuple;
	struct ct_tuple nat;
	uint32_t group; /* for ALG_CLOSE and ALG_WITHDRAW; one master's own numbers */
	uint32_t timeout_s;
	uint8_t dir; /* who opens it: CT_ORIG: the master's originator (or its media) */
	uint8_t class;
	uint8_t flags;
	uint8_t pad[5];
};
_Static_assert(sizeof(struct alg_expect) == 96, "alg_expect");

enum alg_event_kind {
	ALG_EXPECT,   /* add it; one of the same tuple is replaced */
	ALG_WITHDRAW, /* drop the group's expectations; connections they made live on */
	ALG_CLOSE,    /* the same, and end these connections */
};

struct alg_event {
	uint32_t kind;
	uint32_t group; /* WITHDRAW, CLOSE */
	struct alg_expect expect;
};

/* Replace old_len bytes at off (of the bytes given to alg_feed) by new_len bytes of
 * alg_out.text at text. In order of off, never overlapping, below `consumed`. */
struct alg_edit {
	uint32_t off;
	uint16_t old_len;
	uint16_t new_len;
	uint16_t text;
	uint16_t pad;
};

#define ALG_EDITS_MAX  160
#define ALG_TEXT_MAX   8192
#define ALG_EVENTS_MAX 160 /* all streams of all calls of a SIP session end at once */

enum alg_verdict {
	ALG_GO,	  /* pass what was consumed; nothing is left or more can follow */
	ALG_HOLD, /* keep what was not consumed: it is the beginning of something */
	ALG_MORE, /* the lists are full: carry these out, then call again with the rest */
	ALG_OFF,  /* as GO with all bytes consumed; feed this connection no more */
};

struct alg_out {
	size_t consumed;
	enum alg_verdict verdict;
	uint16_t why; /* of ALG_OFF: enum alg_reason */
	uint16_t n_edits, n_events, n_text;
	uint16_t count[ALG_R_COUNT]; /* reasons met in this call */
	struct alg_edit edits[ALG_EDITS_MAX];
	struct alg_event events[ALG_EVENTS_MAX];
	char text[ALG_TEXT_MAX];
};

/* struct alg_in.flags */
#define ALG_F_EOF      0x01 /* the speaker ends here (FIN): nothing can complete a partial line */
#define ALG_F_DATAGRAM 0x02 /* bytes are one datagram, whole */

struct alg_in {
	const uint8_t *bytes;
	size_t len;
	uint64_t now_s; /* any clock that does not go back and outlives a restart */
	uint8_t dir;	/* the speaker: CT_ORIG or CT_REPLY */
	uint8_t flags;
};

/* What a parser may ask while it runs. None may block. */
struct alg_ops {
	void *ctx;
	/*
	 * Reserve an external port of this address and protocol: `wish` if it is free,
	 * else another >= 1024. pair: the port is even and port + 1 is reserved too
	 * (RTP and RTCP). Returns the port, host byte order, or 0: there is none.
	 */
	uint16_t (*port)(void *ctx, const __be32 addr[4], uint8_t family, uint8_t proto,
			 uint16_t wish, bool pair);
	/* Give back one port that was reserved and never became an expectation's. */
	void (*unport)(void *ctx, const __be32 addr[4], uint8_t family, uint8_t proto,
		       uint16_t port);
	/*
	 * Is this external endpoint reserved here, for some session (a caller and a
	 * callee behind one NAT)? Then its inside endpoint is filled in: media goes from
	 * inside to inside. May be NULL: no.
	 */
	bool (*known)(void *ctx, const __be32 addr[4], uint8_t family, uint8_t proto, uint16_t port,
		      __be32 inside[4], uint16_t *inside_port);
	/*
	 * FTP: what a client that is logged in announces by PORT or EPRT is expected when it is
	 * passed on, and withdrawn if the server refuses it. For servers that connect before
	 * they answer, as OVS's own tests have one. Else nothing is before the server's 2xx.
	 */
	bool port_at_once;
};

/* FTP: the commands whose replies are to come, oldest first. */
#define ALG_FTP_QUEUE 64
struct alg_ftp {
	uint8_t queue[ALG_FTP_QUEUE];
	uint8_t head, queued;
	uint8_t in_line[2]; /* the rest of the line is of no interest */
	uint8_t banner;	    /* 0: not seen, 1: within, 2: seen */
	uint8_t begun;	    /* the client's first command was FTP */
	uint16_t multi;	    /* code of the multi-line reply that we are in */
	uint16_t port;	    /* of the PORT or EPRT that waits for its reply; 0: none */
	uint16_t ext;	    /* and its external port, reserved if it is not ours as it is */
	uint8_t reserved;
	uint8_t login;	/* the server has let the client in */
	uint8_t early;	/* the last expectation is a PORT's that waits for its reply */
	uint8_t shut;	/* and was withdrawn */
	uint32_t group; /* of the last expectation; 0: none yet */
};

/* SIP. A session is one signalling connection: a phone's, or a trunk's with many calls. */
#define ALG_SIP_CALLS	 32 /* calls at once over one signalling connection */
#define ALG_SIP_STREAMS	 4  /* m= lines of a call */
#define ALG_SIP_REGS	 8  /* registrations (Call-IDs) */
#define ALG_SIP_BINDINGS 4  /* ports that contacts were registered with */

/* struct alg_sip_media.flags */
#define ALG_SM_RESERVED	 0x01 /* ext is ours to give back */
#define ALG_SM_RESERVED2 0x02 /* ext_rtcp likewise */
#define ALG_SM_OWN	 0x04 /* addr is the speaker's own */
#define ALG_SM_DIRECT	 0x08 /* an endpoint behind the same NAT: media goes straight */
#define ALG_SM_MUX	 0x10 /* a=rtcp-mux */
#define ALG_SM_NO_RTCP	 0x20 /* not RTP (T.38 over UDPTL) */
#define ALG_SM_HELD	 0x40 /* c=0.0.0.0: the address of before counts */
#define ALG_SM_ALL	 0x7f

struct alg_sip_media {
	__be32 addr[4];	     /* where it really is */
	__be32 ext_addr[4];  /* what the other side is told; the same: not translated */
	uint16_t port, rtcp; /* host byte order; port 0: no such stream; rtcp 0: none */
	uint16_t ext, ext_rtcp;
	uint8_t flags;
	uint8_t family;
	uint8_t pad[2];
};

struct alg_sip_call {
	uint64_t id;	  /* hash of the Call-ID; 0: free */
	uint64_t at;	  /* last heard of, s */
	uint32_t cseq[2]; /* highest of each side's requests */
	uint32_t offer_cseq, invite_cseq, bye_cseq;
	uint32_t group; /* streams have group + index */
	uint32_t pad;
	uint8_t offer_dir;
	uint8_t offer_state;	/* ALG_SIP_NO_OFFER and so on */
	uint8_t offer_in_reply; /* the offer came in a response (INVITE without SDP) */
	uint8_t offer_method;
	uint8_t confirmed;  /* an INVITE was answered with 2xx */
	uint8_t bye;	    /* 0: none; 1 + direction of who said BYE */
	uint8_t opened;	    /* bit i: stream i had expectations */
	uint8_t invite_dir; /* of the newest INVITE */
	uint8_t invite_sdp; /* it made the offer */
	uint8_t pad2[3];
	struct alg_sip_media offer[ALG_SIP_STREAMS];
	struct alg_sip_media agreed[2][ALG_SIP_STREAMS];
};
enum { ALG_SIP_NO_OFFER, ALG_SIP_OFFERED, ALG_SIP_ANSWERED };

struct alg_sip_reg {
	uint64_t id;	/* hash of the Call-ID; 0: free */
	uint64_t until; /* s; 0: the registrar has not agreed yet */
	uint64_t at;	/* last heard of, s */
	uint32_t cseq;
	uint8_t dir, binding;
	uint8_t pending; /* the answer to cseq is to come */
	uint8_t pad;
};

/* Where a registered contact really is, and as what the registrar knows it. */
struct alg_sip_binding {
	uint64_t until;
	uint32_t group;
	uint16_t port, ext; /* host byte order; port 0: free */
	uint8_t dir, reserved, pad[6];
};

struct alg_sip {
	uint64_t key;	       /* of the Call-ID hash */
	uint64_t body_left[2]; /* of a body that passes unread */
	uint32_t scanned[2];   /* bytes of what is held that do not end the header */
	uint32_t need[2];      /* bytes that the held message has; 0: not known yet */
	uint32_t next_group;
	uint8_t begun[2]; /* a SIP message was seen */
	uint8_t pad[2];
	struct alg_sip_reg regs[ALG_SIP_REGS];
	struct alg_sip_binding bindings[ALG_SIP_BINDINGS];
	struct alg_sip_call calls[ALG_SIP_CALLS];
};

/* PPTP: calls of one control connection. */
#define ALG_PPTP_CALLS 32
#define ALG_PPTP_HOLD  256
enum {
	ALG_PPTP_FREE,
	ALG_PPTP_ASKED,
	ALG_PPTP_OPEN,
	ALG_PPTP_CLEARED,
	ALG_PPTP_DROPPED, /* cleared before the other side has answered */
};

/* Of each direction's speaker the id that it chose, and as what the other side knows that. */
struct alg_pptp_call {
	uint32_t at;	   /* s: asked for; once open: announced */
	uint16_t own[2];   /* host byte order; the answerer's counts once it has answered */
	uint16_t shown[2]; /* reserved where the speaker is translated, or it is not its own */
	uint8_t state;
	uint8_t dir;	  /* who asked for it */
	uint8_t incoming; /* by Incoming-Call-Request */
	uint8_t pad;
};

struct alg_pptp {
	uint8_t begun[2]; /* the direction's first message was right */
	uint8_t started;  /* the control connection is agreed upon */
	uint8_t pad;
	struct alg_pptp_call calls[ALG_PPTP_CALLS]; /* call i has group i + 1 */
};

/*
 * State of one helped connection: plain bytes without pointers, so ctd keeps it in a
 * pinned map and goes on after a restart. Only the first alg_session_size() bytes
 * are used by a helper.
 */
#define ALG_SESSION_VERSION 1
struct alg_session {
	uint16_t version;
	uint8_t helper;
	uint8_t off; /* the reason for which the helper left; 0: at work */
	uint32_t pad;
	/* What packets of each direction look like at their sender: tuple[CT_ORIG] before
	 * translation, tuple[CT_REPLY] likewise. So the peer of dir's speaker sees it
	 * as the destination of tuple[!dir]. */
	struct ct_tuple tuple[2];
	union {
		struct alg_ftp ftp;
		struct alg_sip sip;
		struct alg_pptp pptp;
	};
};

/* Begins a session. key: any unguessable number. -EINVAL: tuples or helper are not
 * such as the helper works on (family, protocol, zones, TFTP over TCP). */
int alg_session_init(struct alg_session *s, enum alg_helper helper, const struct ct_tuple tuple[2],
		     uint64_t key);
/* Bytes of struct alg_session that need to be kept. */
size_t alg_session_size(enum alg_helper helper);
/* Most bytes that this helper leaves unconsumed, per direction. */
size_t alg_hold_max(enum alg_helper helper);
/* Is this a session that alg_feed() may work on, whatever bytes it was read from? */
bool alg_session_valid(const struct alg_session *s);

/*
 * Parses what dir's speaker sent. Never consumes part of an edit; leaves at most
 * alg_hold_max() bytes unconsumed. A session that is not valid is switched off.
 */
void alg_feed(struct alg_session *s, const struct alg_in *in, const struct alg_ops *ops,
	      struct alg_out *out);
/* The connection ends: gives back what was reserved; closes or withdraws the rest. */
void alg_end(struct alg_session *s, const struct alg_ops *ops, struct alg_out *out);

/* The consumed bytes with the edits applied, into to[size]. Returns the length, or
 * -EMSGSIZE; nothing else can fail. */
long alg_apply(const struct alg_out *out, const uint8_t *bytes, uint8_t *to, size_t size);

const char *alg_reason_name(enum alg_reason reason);
const char *alg_helper_name(enum alg_helper helper);

#endif
