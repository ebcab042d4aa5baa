/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ALG_SIP_INT_H
#define BPFCT_ALG_SIP_INT_H

#include <osipparser2/osip_parser.h>

#include "alg_int.h"

/*
 * A SIP message is read twice. libosip2 parses it and says whether it is one and what
 * it means; the tokeniser here says where things stand in the original text, as only
 * addresses are to change and not a byte more. Where the two disagree nothing is done.
 */

#define SIP_HEADER_MAX	6144 /* bytes of start line and headers */
#define SIP_MESSAGE_MAX 8192 /* as above and a body that has to be read */
#define SIP_HEADERS_MAX 128
#define SIP_EDITS_MAX	120 /* of one message */
#define SIP_PORT	5060

enum sip_name {
	SIP_H_OTHER,
	SIP_H_VIA,
	SIP_H_FROM,
	SIP_H_TO,
	SIP_H_CONTACT,
	SIP_H_CALL_ID,
	SIP_H_CSEQ,
	SIP_H_CONTENT_LENGTH,
	SIP_H_CONTENT_TYPE,
	SIP_H_CONTENT_ENCODING,
	SIP_H_EXPIRES,
	SIP_H_URIS, /* others that hold URIs: routes, identities, Refer-To */
	SIP_H_NAMES,
};

enum sip_method {
	SIP_OTHER,
	SIP_INVITE,
	SIP_ACK,
	SIP_BYE,
	SIP_CANCEL,
	SIP_REGISTER,
	SIP_UPDATE,
	SIP_PRACK,
	SIP_METHODS,
};

struct sip_header {
	enum sip_name name;
	size_t off, len; /* of the value: blanks around it left out, folds within it kept */
};

struct sip_msg {
	const char *p;	 /* the message */
	size_t at;	 /* its offset in what alg_feed() was given */
	size_t head;	 /* length of start line and headers, the empty line included */
	size_t body_len; /* as Content-Length says, or to the end of the datagram */
	size_t start_len;
	struct sip_header h[SIP_HEADERS_MAX];
	unsigned int n;
	int content_length; /* index of the header; -1: none */
	int content_type;
	osip_message_t *osip;
	enum sip_method method; /* of the request, or of the CSeq */
	int status;		/* 0: a request */
	uint32_t cseq;
	uint64_t id;
	unsigned int first_edit;
	long delta; /* of the body's length */
};

/* sip_text.c */
/* Could these bytes be the beginning of a start line? *known: of a method we know. */
bool sip_begins(struct alg_text t, bool *known);
/* Splits the header section. 0 or the reason. */
enum alg_reason sip_split(struct sip_msg *m);
/* Content-Length. False: there is none that can be believed. */
bool sip_length(const struct sip_msg *m, uint64_t *len);
/* Does the body have to be read? */
bool sip_body_matters(const struct sip_msg *m);
/* The next comma-separated part of a header's value; *at starts at 0. */
bool sip_next_part(struct alg_text value, size_t *at, struct alg_text *part);
/* host and port in a URI within a part of Contact, From, Route... False: none. */
struct sip_hostport {
	struct alg_text host;  /* brackets left out */
	struct alg_text whole; /* host and port as they stand, brackets included */
	unsigned int port;     /* 0: none given */
};
bool sip_find_uri(struct alg_text part, struct sip_hostport *hp);
bool sip_find_via(struct alg_text part, struct sip_hostport *hp);
bool sip_host_at(struct alg_text t, struct sip_hostport *hp);
struct alg_text sip_trim(struct alg_text t);
/* Value of ;name= behind the URI of a part. */
bool sip_param(struct alg_text part, const char *name, struct alg_text *value);

/* sip_map.c */
/* What of the speaker's addresses the listener must read instead. False: as it is. */
bool sip_map(const struct alg_run *r, struct alg_addr *a, unsigned int *port);
/* Edits all addresses of the header. 0 or the reason; edits are undone then. */
enum alg_reason sip_edit_head(struct alg_run *r, struct sip_msg *m);
bool sip_edit_length(struct alg_run *r, const struct sip_msg *m);

/* sip_reg.c */
void sip_register(struct alg_run *r, struct sip_msg *m);
void sip_registered(struct alg_run *r, const struct sip_msg *m);
struct alg_sip_binding *sip_binding(struct alg_sip *sip, int dir, unsigned int port,
				    unsigned int ext);
void sip_regs_end(struct alg_run *r);

/* sdp.c */
struct sdp_place {
	size_t off, len; /* in the message; len 0: absent */
};
struct sdp_stream {
	struct sdp_place m_port, c_addr, rtcp_port, rtcp_addr;
	struct alg_addr addr; /* family 0: not a literal */
	unsigned int port, rtcp;
	bool mux, udp, no_rtcp;
};
struct sdp {
	struct sdp_place o_addr, c_addr;
	struct alg_addr origin, addr;
	struct sdp_stream s[ALG_SIP_STREAMS];
	unsigned int n;
};
/* Finds the SDP of a body. ALG_R_NONE and n 0: there is none. */
enum alg_reason sdp_find(const struct sip_msg *m, struct sdp *sdp);

/* sip_call.c, sip_media.c */
void sip_call(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp);
void sip_calls_end(struct alg_run *r);
/* Fills streams from what dir's speaker said; reserves ports. 0 or the reason, then
 * nothing is reserved. */
enum alg_reason sip_media_read(struct alg_run *r, const struct alg_sip_call *c,
			       const struct sdp *sdp, struct alg_sip_media *to);
bool sip_media_same(const struct alg_sip_media *a, const struct alg_sip_media *b);
/* Clears it and gives back what was reserved, unless one of the kept has it. */
void sip_media_drop(struct alg_run *r, struct alg_sip_media *m, const struct alg_sip_media *kept,
		    const struct alg_sip_media *kept2);
enum alg_reason sip_media_edit(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
			       const struct alg_sip_media *streams);
/* Offer and answer are there: expectations for each stream, both ways. */
void sip_media_open(struct alg_run *r, struct alg_sip_call *c, unsigned int i);

#endif
