// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* How FTP writes addresses and ports. */
#include "ftp_text.h"

#include <stdio.h>
#include <string.h>

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* h1,h2,h3,h4,p1,p2 at off */
static enum alg_reason six_numbers(struct alg_text line, size_t off, struct alg_ftp_place *p)
{
	uint8_t *byte, low[2];
	size_t at = off;

	memset(p, 0, sizeof(*p));
	byte = (uint8_t *)p->addr.addr;
	for (int i = 0; i < 6; i++) {
		unsigned int v;
		size_t n;

		if (i && (at == line.len || line.p[at++] != ','))
			return ALG_R_SYNTAX;
		n = alg_number((struct alg_text){line.p + at, line.len - at}, &v);
		if (!n)
			return at < line.len && digit(line.p[at]) ? ALG_R_RANGE : ALG_R_SYNTAX;
		if (n > 3 || v > 255)
			return ALG_R_RANGE;
		if (i < 4)
			byte[i] = (uint8_t)v;
		else
			low[i - 4] = (uint8_t)v;
		at += n;
	}
	p->addr.family = 4;
	p->port = (unsigned int)low[0] << 8 | low[1];
	p->off = off;
	p->len = at - off;
	return ALG_R_NONE;
}

static size_t blanks(struct alg_text line, size_t off)
{
	size_t n = 0;

	while (off + n < line.len && line.p[off + n] == ' ')
		n++;
	return n;
}

enum alg_reason alg_ftp_port(struct alg_text line, size_t off, struct alg_ftp_place *p)
{
	enum alg_reason why;

	off += blanks(line, off);
	why = six_numbers(line, off, p);
	if (why)
		return why;
	off = p->off + p->len;
	return off + blanks(line, off) == line.len ? ALG_R_NONE : ALG_R_SYNTAX;
}

/* The text from *at to the next delimiter, behind which *at is left */
static bool field(struct alg_text line, size_t *at, char delim, struct alg_text *t)
{
	const char *end = memchr(line.p + *at, delim, line.len - *at);

	if (!end)
		return false;
	t->p = line.p + *at;
	t->len = (size_t)(end - t->p);
	*at += t->len + 1;
	return true;
}

/* All of the text, as a port */
static enum alg_reason whole_port(struct alg_text t, unsigned int *port)
{
	size_t n = alg_number(t, port);

	if (!n)
		return t.len && digit(t.p[0]) ? ALG_R_RANGE : ALG_R_SYNTAX;
	return n == t.len ? ALG_R_NONE : ALG_R_SYNTAX;
}

/* |1|192.0.2.1|6446| or |2|2001:db8::1|6446| with any printable delimiter */
enum alg_reason alg_ftp_eprt(struct alg_text line, size_t off, struct alg_ftp_place *p)
{
	struct alg_text family, addr, port;
	enum alg_reason why;
	size_t at;

	memset(p, 0, sizeof(*p));
	off += blanks(line, off);
	if (off == line.len)
		return ALG_R_SYNTAX;
	p->delim = line.p[off];
	if (p->delim < 33 || p->delim > 126 || digit(p->delim))
		return ALG_R_SYNTAX;
	at = off + 1;
	if (!field(line, &at, p->delim, &family) || !field(line, &at, p->delim, &addr) ||
	    !field(line, &at, p->delim, &port))
		return ALG_R_SYNTAX;
	if (family.len != 1 || (family.p[0] != '1' && family.p[0] != '2'))
		return ALG_R_SYNTAX;
	if (!alg_addr_parse(addr, &p->addr) || p->addr.family != (family.p[0] == '1' ? 4 : 6))
		return ALG_R_SYNTAX;
	why = whole_port(port, &p->port);
	if (why)
		return why;
	p->off = off;
	p->len = at - off;
	return at + blanks(line, at) == line.len ? ALG_R_NONE : ALG_R_SYNTAX;
}

/*
 * Servers differ in the words and some leave out the brackets: six numbers wherever
 * they are. Where two are there, client and gateway might choose different ones.
 */
enum alg_reason alg_ftp_227(struct alg_text line, struct alg_ftp_place *p)
{
	enum alg_reason why = ALG_R_SYNTAX;

	for (size_t i = 4; i < line.len; i++) {
		struct alg_ftp_place found;
		enum alg_reason err;

		if (!digit(line.p[i]) || digit(line.p[i - 1]) || line.p[i - 1] == ',')
			continue;
		err = six_numbers(line, i, &found);
		if (err == ALG_R_RANGE)
			return err;
		if (err)
			continue;
		if (why == ALG_R_NONE)
			return ALG_R_AMBIGUOUS;
		why = ALG_R_NONE;
		*p = found;
		i += found.len;
		if (i < line.len && (digit(line.p[i]) || line.p[i] == ','))
			return ALG_R_SYNTAX;
	}
	return why;
}

/* (|||6446|): RFC 2428 3 leaves family and address empty. */
enum alg_reason alg_ftp_229(struct alg_text line, struct alg_ftp_place *p)
{
	const char *open = memchr(line.p, '(', line.len);
	enum alg_reason why;
	struct alg_text port;
	size_t at;

	memset(p, 0, sizeof(*p));
	if (!open)
		return ALG_R_SYNTAX;
	at = (size_t)(open - line.p) + 1;
	if (line.len - at < 4)
		return ALG_R_SYNTAX;
	p->delim = line.p[at];
	if (p->delim < 33 || p->delim > 126 || digit(p->delim) || line.p[at + 1] != p->delim ||
	    line.p[at + 2] != p->delim)
		return ALG_R_SYNTAX;
	at += 3;
	p->off = at;
	if (!field(line, &at, p->delim, &port) || at == line.len || line.p[at] != ')')
		return ALG_R_SYNTAX;
	p->len = port.len;
	why = whole_port(port, &p->port);
	if (why)
		return why;
	return memchr(line.p + at, '(', line.len - at) ? ALG_R_AMBIGUOUS : ALG_R_NONE;
}

size_t alg_ftp_print_six(const struct alg_addr *a, unsigned int port, char *to)
{
	const uint8_t *b = (const uint8_t *)a->addr;

	return (size_t)snprintf(to, ALG_FTP_TEXT, "%u,%u,%u,%u,%u,%u", b[0], b[1], b[2], b[3],
				port >> 8 & 0xff, port & 0xff);
}

size_t alg_ftp_print_eprt(const struct alg_addr *a, unsigned int port, char delim, char *to)
{
	char addr[46];

	alg_addr_print(a, addr);
	return (size_t)snprintf(to, ALG_FTP_TEXT, "%c%c%c%s%c%u%c", delim,
				a->family == 4 ? '1' : '2', delim, addr, delim, port & 0xffff,
				delim);
}
