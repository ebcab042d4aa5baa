// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Where things stand in a SIP message (RFC 3261 7, 25). */
#include "sip_int.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *full, *compact;
	enum sip_name name;
} names[] = {
	{"Via", "v", SIP_H_VIA},
	{"From", "f", SIP_H_FROM},
	{"To", "t", SIP_H_TO},
	{"Contact", "m", SIP_H_CONTACT},
	{"Call-ID", "i", SIP_H_CALL_ID},
	{"CSeq", NULL, SIP_H_CSEQ},
	{"Content-Length", "l", SIP_H_CONTENT_LENGTH},
	{"Content-Type", "c", SIP_H_CONTENT_TYPE},
	{"Content-Encoding", "e", SIP_H_CONTENT_ENCODING},
	{"Expires", NULL, SIP_H_EXPIRES},
	{"Record-Route", NULL, SIP_H_URIS},
	{"Route", NULL, SIP_H_URIS},
	{"Path", NULL, SIP_H_URIS},
	{"Service-Route", NULL, SIP_H_URIS},
	{"Refer-To", "r", SIP_H_URIS},
	{"Referred-By", "b", SIP_H_URIS},
	{"P-Asserted-Identity", NULL, SIP_H_URIS},
	{"P-Preferred-Identity", NULL, SIP_H_URIS},
};

static const char *const starts[] = {
	"SIP/2.0 ", "INVITE ", "ACK ",	 "BYE ",    "CANCEL ",	"REGISTER ",  "OPTIONS ", "UPDATE ",
	"PRACK ",   "INFO ",   "REFER ", "NOTIFY ", "MESSAGE ", "SUBSCRIBE ", "PUBLISH ",
};

bool sip_begins(struct alg_text t, bool *known)
{
	size_t n = 0;

	*known = false;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t len = strlen(starts[i]);

		if (!memcmp(t.p, starts[i], t.len < len ? t.len : len)) {
			*known = true;
			return true;
		}
	}
	/* Another method: a word of capitals, as there is none with others. */
	while (n < t.len && n < 32 && t.p[n] >= 'A' && t.p[n] <= 'Z')
		n++;
	return n && n < 32 && (n == t.len || t.p[n] == ' ');
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct alg_text sip_trim(struct alg_text t)
{
	while (t.len && blank(t.p[0])) {
		t.p++;
		t.len--;
	}
	while (t.len && blank(t.p[t.len - 1]))
		t.len--;
	return t;
}

static bool is_word(struct alg_text t, const char *word)
{
	return word && t.len == strlen(word) && !strncasecmp(t.p, word, t.len);
}

static enum sip_name name_of(struct alg_text t)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_word(t, names[i].full) || is_word(t, names[i].compact))
			return names[i].name;
	return SIP_H_OTHER;
}

/* Line ends are CR LF, both and only together: other parsers would split elsewhere. */
static enum alg_reason lines_are_clean(struct alg_text t)
{
	for (size_t i = 0; i < t.len; i++) {
		if (!t.p[i])
			return ALG_R_NUL;
		if (t.p[i] == '\r' && (i + 1 == t.len || t.p[i + 1] != '\n'))
			return ALG_R_BARE_CR;
		if (t.p[i] == '\n' && (!i || t.p[i - 1] != '\r'))
			return ALG_R_SYNTAX;
	}
	return ALG_R_NONE;
}

/* Length of the line at off with its folds, CR LF not counted. A line of blanks only is
 * a fold to some and the end of the header to others. */
static bool header_line(struct alg_text t, size_t off, size_t *len)
{
	size_t end = off;

	for (;;) {
		const char *cr = memchr(t.p + end, '\r', t.len - end);
		size_t i;

		if (!cr)
			return false;
		end = (size_t)(cr - t.p);
		if (end + 2 >= t.len || (t.p[end + 2] != ' ' && t.p[end + 2] != '\t'))
			break;
		for (i = end + 2; i < t.len && (t.p[i] == ' ' || t.p[i] == '\t'); i++)
			;
		if (i == t.len || t.p[i] == '\r')
			return false;
		end += 2;
	}
	*len = end - off;
	return true;
}

/* Those that may be there only once */
static bool singular(enum sip_name name)
{
	return name == SIP_H_CALL_ID || name == SIP_H_CSEQ || name == SIP_H_CONTENT_LENGTH ||
	       name == SIP_H_CONTENT_TYPE || name == SIP_H_FROM || name == SIP_H_TO;
}

static enum alg_reason add_header(struct sip_msg *m, struct alg_text line, unsigned int *seen)
{
	const char *colon = memchr(line.p, ':', line.len);
	struct alg_text name, value;
	struct sip_header *h = &m->h[m->n];

	if (!colon || colon == line.p || blank(line.p[0]))
		return ALG_R_SYNTAX;
	if (m->n == SIP_HEADERS_MAX)
		return ALG_R_HEADER_LONG;
	name = sip_trim((struct alg_text){line.p, (size_t)(colon - line.p)});
	value = sip_trim((struct alg_text){colon + 1, line.len - (size_t)(colon - line.p) - 1});
	for (size_t i = 0; i < name.len; i++)
		if (blank(name.p[i]))
			return ALG_R_SYNTAX;
	h->name = name_of(name);
	if (singular(h->name) && (*seen & 1U << h->name))
		return ALG_R_AMBIGUOUS;
	*seen |= 1U << h->name;
	h->off = (size_t)(value.p - m->p);
	h->len = value.len;
	if (h->name == SIP_H_CONTENT_LENGTH)
		m->content_length = (int)m->n;
	if (h->name == SIP_H_CONTENT_TYPE)
		m->content_type = (int)m->n;
	m->n++;
	return ALG_R_NONE;
}

enum alg_reason sip_split(struct sip_msg *m)
{
	struct alg_text t = {m->p, m->head};
	enum alg_reason why = lines_are_clean(t);
	unsigned int seen = 0;
	size_t at, len;

	m->n = 0;
	m->content_length = m->content_type = -1;
	if (why)
		return why;
	if (!header_line(t, 0, &m->start_len) || memchr(t.p, '\n', m->start_len))
		return ALG_R_SYNTAX;
	for (at = m->start_len + 2; at + 2 < m->head; at += len + 2) {
		if (!header_line(t, at, &len))
			return ALG_R_SYNTAX;
		why = add_header(m, (struct alg_text){m->p + at, len}, &seen);
		if (why)
			return why;
	}
	return ALG_R_NONE;
}

bool sip_length(const struct sip_msg *m, uint64_t *len)
{
	const struct sip_header *h;
	uint64_t v = 0;

	if (m->content_length < 0)
		return false;
	h = &m->h[m->content_length];
	if (!h->len || h->len > 9)
		return false;
	for (size_t i = 0; i < h->len; i++) {
		char c = m->p[h->off + i];

		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (unsigned int)(c - '0');
	}
	*len = v;
	return true;
}

bool sip_body_matters(const struct sip_msg *m)
{
	static const char *const types[] = {"application/sdp", "multipart/"};
	const struct sip_header *h;

	if (m->content_type < 0)
		return false;
	h = &m->h[m->content_type];
	for (int i = 0; i < 2; i++)
		if (h->len >= strlen(types[i]) &&
		    !strncasecmp(m->p + h->off, types[i], strlen(types[i])))
			return true;
	return false;
}

/* The end of a quoted string that begins at i, or the end of the text. */
static size_t quoted(struct alg_text t, size_t i)
{
	for (i++; i < t.len && t.p[i] != '"'; i++)
		if (t.p[i] == '\\')
			i++;
	return i < t.len ? i : t.len;
}

bool sip_next_part(struct alg_text value, size_t *at, struct alg_text *part)
{
	size_t i = *at;
	bool in_angle = false;

	if (i >= value.len)
		return false;
	for (; i < value.len; i++) {
		char c = value.p[i];

		if (c == '"' && !in_angle) {
			i = quoted(value, i);
			if (i == value.len)
				break;
		} else if (c == '<') {
			in_angle = true;
		} else if (c == '>') {
			in_angle = false;
		} else if (c == ',' && !in_angle) {
			break;
		}
	}
	*part = sip_trim((struct alg_text){value.p + *at, i - *at});
	*at = i + 1;
	return true;
}

bool sip_host_at(struct alg_text t, struct sip_hostport *hp)
{
	size_t n = 0;

	memset(hp, 0, sizeof(*hp));
	if (t.len && t.p[0] == '[') {
		const char *end = memchr(t.p, ']', t.len);

		if (!end)
			return false;
		n = (size_t)(end - t.p) + 1;
		hp->host = (struct alg_text){t.p + 1, n - 2};
	} else {
		while (n < t.len && !strchr(":;?,<> \t\r\n\"@/", t.p[n]))
			n++;
		hp->host = (struct alg_text){t.p, n};
	}
	if (!hp->host.len)
		return false;
	hp->whole = (struct alg_text){t.p, n};
	if (n < t.len && t.p[n] == ':') {
		size_t digits =
			alg_number((struct alg_text){t.p + n + 1, t.len - n - 1}, &hp->port);

		if (!digits || !hp->port)
			return false;
		hp->whole.len += 1 + digits;
		n = hp->whole.len;
	}
	return n == t.len || strchr(";?,> \t\r\n", t.p[n]);
}

/* The URI of a part: within < and >, or from its beginning to a semicolon. */
static bool uri_of(struct alg_text part, struct alg_text *uri, size_t *behind)
{
	size_t i;

	for (i = 0; i < part.len && part.p[i] != '<'; i++)
		if (part.p[i] == '"')
			i = quoted(part, i);
	if (i < part.len) {
		const char *end = memchr(part.p + i, '>', part.len - i);

		if (!end)
			return false;
		*uri = (struct alg_text){part.p + i + 1, (size_t)(end - part.p) - i - 1};
		*behind = (size_t)(end - part.p) + 1;
		return true;
	}
	/* Without brackets all that follows a semicolon is the header's (RFC 3261 20). */
	for (i = 0; i < part.len && part.p[i] != ';' && part.p[i] != ' '; i++)
		;
	*uri = (struct alg_text){part.p, i};
	*behind = i;
	return true;
}

bool sip_find_uri(struct alg_text part, struct sip_hostport *hp)
{
	struct alg_text uri;
	const char *at;
	size_t behind, skip;

	if (!uri_of(part, &uri, &behind))
		return false;
	if (uri.len > 4 && !strncasecmp(uri.p, "sip:", 4))
		skip = 4;
	else if (uri.len > 5 && !strncasecmp(uri.p, "sips:", 5))
		skip = 5;
	else
		return false;
	at = memchr(uri.p + skip, '@', uri.len - skip);
	if (at)
		skip = (size_t)(at - uri.p) + 1;
	if (memchr(uri.p + skip, '@', uri.len - skip))
		return false; /* a user part has none unescaped: two readings */
	return sip_host_at((struct alg_text){uri.p + skip, uri.len - skip}, hp);
}

/* SIP/2.0/UDP host:port ;... with blanks allowed around the slashes */
bool sip_find_via(struct alg_text part, struct sip_hostport *hp)
{
	size_t i = 0;
	int words = 0;

	while (words < 3) {
		size_t from;

		while (i < part.len && blank(part.p[i]))
			i++;
		for (from = i; i < part.len && !blank(part.p[i]) && part.p[i] != '/'; i++)
			;
		if (i == from)
			return false;
		words++;
		while (i < part.len && blank(part.p[i]))
			i++;
		if (words < 3 && (i == part.len || part.p[i++] != '/'))
			return false;
	}
	return sip_host_at((struct alg_text){part.p + i, part.len - i}, hp);
}

bool sip_param(struct alg_text part, const char *name, struct alg_text *value)
{
	struct alg_text uri;
	size_t i = 0, len = strlen(name);

	if (!uri_of(part, &uri, &i))
		return false;
	while (i < part.len) {
		struct alg_text p;
		size_t from;

		if (part.p[i++] != ';')
			continue;
		while (i < part.len && blank(part.p[i]))
			i++;
		for (from = i; i < part.len && part.p[i] != ';'; i++)
			if (part.p[i] == '"')
				i = quoted(part, i);
		if (i > part.len)
			i = part.len;
		p = sip_trim((struct alg_text){part.p + from, i - from});
		if (p.len < len || strncasecmp(p.p, name, len))
			continue;
		p = sip_trim((struct alg_text){p.p + len, p.len - len});
		if (p.len && p.p[0] == '=') {
			*value = sip_trim((struct alg_text){p.p + 1, p.len - 1});
			return true;
		}
	}
	return false;
}
