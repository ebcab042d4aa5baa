// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * FTP control channel (RFC 959, 2428, 4217).
 *
 * Commands are queued and each final reply takes one from the queue, so it is known
 * what a reply answers: a 227 counts only after a PASV, and a PORT opens nothing before the server
 * has agreed (but for alg_ops.port_at_once). Only lines that may matter are held until they are
 * whole; of all others the first bytes decide and the rest flows.
 */
#include "ftp_text.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_FTP 512 /* without the line feed; also what is held at most */
#define WORD	     5	 /* bytes that tell the command: four letters and what follows */
#define IAC	     0xff

enum { CMD_OTHER, CMD_PASV, CMD_EPSV, CMD_PORT, CMD_EPRT, CMD_AUTH, CMD_COUNT };

static const char *const special[CMD_COUNT] = {
	[CMD_PASV] = "PASV", [CMD_EPSV] = "EPSV", [CMD_PORT] = "PORT",
	[CMD_EPRT] = "EPRT", [CMD_AUTH] = "AUTH",
};

/* What a client may begin with. "GET", "POST" or "PUT" is not among it. */
static const char *const first_words[] = {
	"USER", "PASS", "ACCT", "AUTH", "ADAT", "PBSZ", "PROT", "CCC",	"FEAT", "SYST", "HELP",
	"NOOP", "QUIT", "HOST", "LANG", "OPTS", "CLNT", "CSID", "REIN", "STAT", "PORT", "EPRT",
	"PASV", "EPSV", "TYPE", "MODE", "STRU", "PWD",	"XPWD", "CWD",	"ABOR",
};

bool alg_ftp_valid(const struct alg_ftp *f)
{
	if (f->head >= ALG_FTP_QUEUE || f->queued > ALG_FTP_QUEUE || f->banner > 2)
		return false;
	for (int i = 0; i < ALG_FTP_QUEUE; i++)
		if (f->queue[i] >= CMD_COUNT)
			return false;
	return !f->reserved || f->ext;
}

/* The PORT that waits will not be agreed: its external port goes back, by itself or with what
 * is expected there. */
static void port_forget(struct alg_run *r)
{
	struct alg_ftp *f = &r->s->ftp;
	struct alg_addr seen;

	if (f->early) {
		alg_event(r, ALG_WITHDRAW, f->group);
		f->early = 0;
		f->shut = 1;
	}
	if (f->reserved) {
		alg_seen(r->s, CT_ORIG, &seen);
		r->ops->unport(r->ops->ctx, seen.addr, seen.family, IPPROTO_TCP, f->ext);
	}
	f->port = f->ext = 0;
	f->reserved = 0;
}

/* One data connection is expected at a time: a newer announcement takes the older's place. */
static void announce(struct alg_run *r, int opener, const struct alg_end *to)
{
	struct alg_ftp *f = &r->s->ftp;
	struct alg_end from;

	if (f->group && !f->shut)
		alg_event(r, ALG_WITHDRAW, f->group);
	if (!++f->group)
		f->group = 1;
	f->early = f->shut = 0;
	alg_speaker_end(r->s, opener, &from);
	/* The list has room: alg_ftp_feed() sees to it before each line. */
	alg_expect(r, opener, IPPROTO_TCP, &from, to, f->group);
}

/* May this announcement of dir's speaker be granted? Gets the external port. */
static enum alg_reason grant(struct alg_run *r, int dir, const struct alg_ftp_place *p,
			     uint16_t *ext, bool *reserved)
{
	struct alg_addr seen;

	*ext = (uint16_t)p->port;
	*reserved = false;
	if (p->addr.family && !alg_is_speaker(r->s, dir, &p->addr))
		return ALG_R_OTHER_HOST;
	if (p->port < ALG_PORT_MIN)
		return ALG_R_PORT_LOW;
	if (!alg_translated(r->s, dir))
		return ALG_R_NONE;
	alg_seen(r->s, dir, &seen);
	*ext = r->ops->port(r->ops->ctx, seen.addr, seen.family, IPPROTO_TCP, (uint16_t)p->port,
			    false);
	*reserved = *ext != 0;
	return *ext ? ALG_R_NONE : ALG_R_NO_PORT;
}

/* Writes what the peer must read over what the speaker said, if that differs. */
static void rewrite(struct alg_run *r, size_t line_off, struct alg_text line,
		    const struct alg_ftp_place *p, const char *text, size_t len)
{
	if (len != p->len || memcmp(line.p + p->off, text, len))
		alg_edit(r, line_off + p->off, p->len, text, len);
}

static void port_agreed(struct alg_run *r)
{
	struct alg_ftp *f = &r->s->ftp;
	struct alg_end to;

	if (f->early) { /* it is expected already */
		f->early = 0;
		return;
	}
	alg_speaker_end(r->s, CT_ORIG, &to);
	to.own_port = f->port;
	to.shown_port = f->ext;
	f->reserved = 0; /* the expectation's from now on */
	f->port = f->ext = 0;
	announce(r, CT_REPLY, &to);
}

static enum alg_reason command_port(struct alg_run *r, size_t off, struct alg_text line,
				    size_t word, int cmd)
{
	struct alg_ftp *f = &r->s->ftp;
	struct alg_ftp_place p;
	char text[ALG_FTP_TEXT];
	struct alg_addr seen;
	enum alg_reason why;
	bool reserved;
	uint16_t ext;
	size_t len;

	why = cmd == CMD_PORT ? alg_ftp_port(line, word, &p) : alg_ftp_eprt(line, word, &p);
	if (!why)
		why = grant(r, CT_ORIG, &p, &ext, &reserved);
	if (why)
		return why;
	f->port = (uint16_t)p.port;
	f->ext = ext;
	f->reserved = reserved;
	if (f->login && r->ops->port_at_once) {
		port_agreed(r);
		f->early = 1;
	}
	if (!alg_translated(r->s, CT_ORIG))
		return ALG_R_NONE;
	alg_seen(r->s, CT_ORIG, &seen);
	if (cmd == CMD_PORT)
		len = alg_ftp_print_six(&seen, ext, text);
	else
		len = alg_ftp_print_eprt(&seen, ext, p.delim, text);
	rewrite(r, off, line, &p, text, len);
	return ALG_R_NONE;
}

static enum alg_reason reply_passive(struct alg_run *r, size_t off, struct alg_text line, int cmd)
{
	struct alg_ftp_place p;
	char text[ALG_FTP_TEXT];
	enum alg_reason why;
	struct alg_end to;
	bool reserved;
	uint16_t ext;
	size_t len;

	why = cmd == CMD_PASV ? alg_ftp_227(line, &p) : alg_ftp_229(line, &p);
	if (!why)
		why = grant(r, CT_REPLY, &p, &ext, &reserved);
	if (why)
		return why;
	alg_speaker_end(r->s, CT_REPLY, &to);
	to.own_port = (uint16_t)p.port;
	to.shown_port = ext;
	announce(r, CT_ORIG, &to);
	if (!reserved)
		return ALG_R_NONE;
	if (cmd == CMD_PASV)
		len = alg_ftp_print_six(&to.shown, ext, text);
	else
		len = (size_t)snprintf(text, sizeof(text), "%u", ext);
	rewrite(r, off, line, &p, text, len);
	return ALG_R_NONE;
}

static enum alg_reason text_is_clean(struct alg_text line)
{
	if (memchr(line.p, 0, line.len))
		return ALG_R_NUL;
	return memchr(line.p, '\r', line.len) ? ALG_R_BARE_CR : ALG_R_NONE;
}

/* Letters at the start, behind Telnet's IAC pairs (ABOR comes with some). */
static struct alg_text first_word(struct alg_text line)
{
	struct alg_text w = line;
	size_t n = 0;

	while (w.len >= 2 && (uint8_t)w.p[0] == IAC) {
		w.p += 2;
		w.len -= 2;
	}
	while (n < w.len && n < WORD && ((w.p[n] | 0x20) >= 'a' && (w.p[n] | 0x20) <= 'z'))
		n++;
	w.len = n;
	return w;
}

static int command_of(struct alg_text line, struct alg_text w)
{
	const char *after = w.p + w.len;

	if (after < line.p + line.len && *after != ' ')
		return CMD_OTHER;
	for (int c = CMD_OTHER + 1; c < CMD_COUNT; c++)
		if (w.len == 4 && !strncasecmp(w.p, special[c], 4))
			return c;
	return CMD_OTHER;
}

static bool begins_as_ftp(struct alg_text line, struct alg_text w)
{
	const char *after = w.p + w.len;

	if (after < line.p + line.len && *after != ' ')
		return false;
	for (size_t i = 0; i < sizeof(first_words) / sizeof(first_words[0]); i++)
		if (w.len == strlen(first_words[i]) && !strncasecmp(w.p, first_words[i], w.len))
			return true;
	return false;
}

/* Only the newest PORT counts: the replies to older ones mean nothing now. */
static void port_is_replaced(struct alg_run *r)
{
	struct alg_ftp *f = &r->s->ftp;

	port_forget(r);
	for (int i = 0; i < f->queued; i++) {
		uint8_t *q = &f->queue[(f->head + i) % ALG_FTP_QUEUE];

		if (*q == CMD_PORT)
			*q = CMD_OTHER;
	}
}

/* A command. `whole`: the line is all there, else it is of no interest beyond its word. */
static void command(struct alg_run *r, size_t off, struct alg_text line, bool whole)
{
	struct alg_ftp *f = &r->s->ftp;
	struct alg_text w = first_word(line);
	int cmd = command_of(line, w);
	enum alg_reason why = ALG_R_NONE;

	if (f->banner != 2) {
		alg_off(r, ALG_R_EARLY);
		return;
	}
	if (!f->begun && !begins_as_ftp(line, w)) {
		alg_off(r, ALG_R_NOT_PROTOCOL);
		return;
	}
	f->begun = 1;
	if (f->queued == ALG_FTP_QUEUE) {
		port_forget(r);
		alg_off(r, ALG_R_PIPELINE);
		return;
	}
	if (cmd != CMD_OTHER)
		why = whole ? text_is_clean(line) : ALG_R_LINE_LONG;
	if (!why && (cmd == CMD_PORT || cmd == CMD_EPRT)) {
		port_is_replaced(r);
		why = command_port(r, off, line, (size_t)(w.p + w.len - line.p), cmd);
		cmd = CMD_PORT;
	}
	if (why) {
		alg_count(r, why);
		cmd = CMD_OTHER;
	}
	f->queue[(f->head + f->queued++) % ALG_FTP_QUEUE] = (uint8_t)cmd;
}

static int unqueue(struct alg_ftp *f)
{
	int cmd = f->queue[f->head];

	f->head = (f->head + 1) % ALG_FTP_QUEUE;
	f->queued--;
	return cmd;
}

/* Takes commands up to the one that this reply answers. False: it answers none such,
 * and was the final reply to the oldest. */
static bool answers(struct alg_run *r, int cmd)
{
	struct alg_ftp *f = &r->s->ftp;
	int i;

	for (i = 0; i < f->queued; i++)
		if (f->queue[(f->head + i) % ALG_FTP_QUEUE] == cmd)
			break;
	if (i == f->queued) {
		if (f->queued && unqueue(f) == CMD_PORT)
			port_forget(r);
		return false;
	}
	for (; i >= 0; i--)
		if (unqueue(f) == CMD_PORT)
			port_forget(r);
	return true;
}

static void reply_passive_line(struct alg_run *r, size_t off, struct alg_text line, bool whole,
			       int cmd)
{
	enum alg_reason why = whole ? text_is_clean(line) : ALG_R_LINE_LONG;

	if (!answers(r, cmd))
		why = ALG_R_UNASKED;
	else if (!why)
		why = reply_passive(r, off, line, cmd);
	if (why)
		alg_count(r, why);
}

static void reply_final(struct alg_run *r, size_t off, struct alg_text line, bool whole, int code)
{
	struct alg_ftp *f = &r->s->ftp;

	f->login |= f->banner == 2 && code == 230;
	if (f->banner != 2) {
		f->banner = 2;
	} else if (code == 227) {
		reply_passive_line(r, off, line, whole, CMD_PASV);
	} else if (code == 229) {
		reply_passive_line(r, off, line, whole, CMD_EPSV);
	} else if (f->queued) {
		int cmd = unqueue(f);

		if (cmd == CMD_PORT && code / 100 == 2) {
			port_agreed(r);
		} else if (cmd == CMD_PORT) {
			port_forget(r);
			alg_count(r, ALG_R_REFUSED);
		} else if (cmd == CMD_AUTH && (code == 234 || code == 334)) {
			port_forget(r);
			alg_off(r, ALG_R_TLS);
		}
	}
}

/* Three digits, the first from 1 to 5, then a blank, a dash or the end. -1: none */
static int reply_code(struct alg_text line)
{
	if (line.len < 3 || line.p[0] < '1' || line.p[0] > '5')
		return -1;
	for (int i = 1; i < 3; i++)
		if (line.p[i] < '0' || line.p[i] > '9')
			return -1;
	if (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return -1;
	return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
}

/* Within a multi-line reply only its own code and a blank end it (RFC 959 4.2):
 * a line of text that looks like a 227 is text. */
static bool reply_ends(const struct alg_ftp *f, struct alg_text line, int code)
{
	bool dash = line.len > 3 && line.p[3] == '-';

	return f->multi ? code == f->multi && !dash : code > 0 && !dash;
}

static void reply(struct alg_run *r, size_t off, struct alg_text line, bool whole)
{
	struct alg_ftp *f = &r->s->ftp;
	int code = reply_code(line);

	if (!f->banner) {
		if (code < 0) {
			alg_off(r, ALG_R_NOT_PROTOCOL);
			return;
		}
		f->banner = 1;
	}
	if (!reply_ends(f, line, code)) {
		if (!f->multi && code > 0)
			f->multi = (uint16_t)code;
		return;
	}
	f->multi = 0;
	if (code >= 200) /* a preliminary reply is followed by another */
		reply_final(r, off, line, whole, code);
}

/* Enough of a line to know that the rest does not matter? */
static bool line_decided(const struct alg_run *r, struct alg_text line)
{
	if (r->in->dir == CT_ORIG) {
		struct alg_text w = first_word(line);
		size_t have = (size_t)(line.p + line.len - w.p);

		/* A carriage return may yet be the end of the line. */
		if (have < WORD || (have == WORD && line.p[line.len - 1] == '\r'))
			return false;
		return command_of(line, w) == CMD_OTHER;
	}
	/* The fourth byte decides, unless it may yet be the end of the line. */
	if (line.len < 4 || (line.len == 4 && line.p[3] == '\r'))
		return false;
	return !reply_ends(&r->s->ftp, line, reply_code(line)) ||
	       (memcmp(line.p, "227", 3) && memcmp(line.p, "229", 3));
}

static void one_line(struct alg_run *r, size_t off, struct alg_text line, bool whole)
{
	if (whole && line.len && line.p[line.len - 1] == '\r')
		line.len--;
	if (r->in->dir == CT_ORIG)
		command(r, off, line, whole);
	else
		reply(r, off, line, whole);
}

/* A line without its end. Returns true when it is held. */
static bool partial_line(struct alg_run *r, size_t off, struct alg_text line)
{
	if (!line_decided(r, line) && line.len < LINE_MAX_FTP) {
		if (!(r->in->flags & ALG_F_EOF)) {
			r->out->verdict = ALG_HOLD;
			return true;
		}
	} else {
		one_line(r, off, line, false);
	}
	r->s->ftp.in_line[r->in->dir] = 1;
	return false;
}

void alg_ftp_feed(struct alg_run *r)
{
	struct alg_ftp *f = &r->s->ftp;
	const char *bytes = (const char *)r->in->bytes;
	size_t len = r->in->len, at = 0;

	while (at < len && r->out->verdict == ALG_GO) {
		struct alg_text line = {bytes + at, len - at};
		const char *end = memchr(line.p, '\n', line.len);
		bool whole = end != NULL;

		if (r->out->n_edits == ALG_EDITS_MAX || r->out->n_events > ALG_EVENTS_MAX - 2 ||
		    r->out->n_text > ALG_TEXT_MAX - ALG_FTP_TEXT) {
			r->out->verdict = ALG_MORE;
			break;
		}
		if (whole)
			line.len = (size_t)(end - line.p);
		if (!f->in_line[r->in->dir]) {
			if (!whole && partial_line(r, at, line))
				break;
			if (whole)
				one_line(r, at, line, line.len < LINE_MAX_FTP);
		}
		if (whole)
			f->in_line[r->in->dir] = 0;
		at += line.len + whole;
	}
	if (r->out->verdict != ALG_OFF)
		r->out->consumed = at;
}

void alg_ftp_end(struct alg_run *r)
{
	port_forget(r);
	if (r->s->ftp.group && !r->s->ftp.shut)
		alg_event(r, ALG_WITHDRAW, r->s->ftp.group);
}
