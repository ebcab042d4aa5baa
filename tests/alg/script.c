// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Recorded exchanges, played whole and cut at every byte. */
#include "lab.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t unescape(char *text, uint8_t *to)
{
	size_t n = 0;

	while (*text && *text != '\n') {
		unsigned int v;

		if (*text != '\\') {
			to[n++] = (uint8_t)*text++;
		} else if (text[1] == 'x' && sscanf(text + 2, "%2x", &v) == 1) {
			to[n++] = (uint8_t)v;
			text += 4;
		} else {
			to[n++] = text[1] == 'r' ? '\r' : text[1] == 'n' ? '\n' : '\\';
			text += 2;
		}
	}
	return n;
}

static void piece(struct lab_script *s, char *line, size_t size)
{
	struct lab_piece *p;

	s->pieces = realloc(s->pieces, (s->n + 1) * sizeof(*s->pieces));
	p = &s->pieces[s->n++];
	p->dir = line[0] == 'R';
	p->bytes = malloc(size + 1);
	p->len = unescape(line + 2, p->bytes);
}

void lab_script_read(struct lab_script *s, const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	unsigned int port[4], proto;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	if (!f)
		lab_broken("cannot read %s", path);
	while ((n = getline(&line, &size, f)) > 0) {
		if ((line[0] == 'O' || line[0] == 'R') && line[1] == ' ')
			piece(s, line, (size_t)n);
		else if (sscanf(line, "# orig %63s %u %63s %u reply %63s %u %63s %u proto %u",
				s->addr[0], &port[0], s->addr[1], &port[1], s->addr[2], &port[2],
				s->addr[3], &port[3], &proto) == 9) {
			s->orig = (struct lab_tuple){s->addr[0], (uint16_t)port[0], s->addr[1],
						     (uint16_t)port[1]};
			s->reply = (struct lab_tuple){s->addr[2], (uint16_t)port[2], s->addr[3],
						      (uint16_t)port[3]};
			s->proto = (uint8_t)proto;
		}
	}
	free(line);
	fclose(f);
	if (!s->n || !s->proto)
		lab_broken("%s: no pieces, or no line of the tuples", path);
}

void lab_script_free(struct lab_script *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->pieces[i].bytes);
	free(s->pieces);
}

static uint8_t flags_of(const struct lab_script *s)
{
	return s->proto == IPPROTO_UDP ? ALG_F_DATAGRAM : 0;
}

void lab_play(struct lab *l, const struct lab_script *s, enum alg_helper helper)
{
	lab_begin(l, helper, s->proto, &s->orig, &s->reply);
	for (size_t i = 0; i < s->n; i++)
		lab_feed(l, s->pieces[i].dir, s->pieces[i].bytes, s->pieces[i].len, flags_of(s));
}

static void same(const struct lab *a, const struct lab *b, size_t piece, size_t cut)
{
	for (int d = 0; d < 2; d++)
		if (a->sent_len[d] != b->sent_len[d] || a->held_len[d] != b->held_len[d] ||
		    memcmp(a->sent[d], b->sent[d], a->sent_len[d]))
			lab_broken("piece %zu cut at %zu: other bytes are sent", piece, cut);
	if (a->log_len != b->log_len || memcmp(a->log, b->log, a->log_len))
		lab_broken("piece %zu cut at %zu: other events\n%s--\n%s", piece, cut, a->log,
			   b->log);
	if (memcmp(a->count, b->count, sizeof(a->count)))
		lab_broken("piece %zu cut at %zu: other reasons", piece, cut);
	if (memcmp(&a->s, &b->s, alg_session_size(a->s.helper)))
		lab_broken("piece %zu cut at %zu: another state", piece, cut);
}

/* The streams so far are not of interest, and copying them would be most of the work. */
static void lab_copy(struct lab *to, const struct lab *from)
{
	memcpy(to, from, offsetof(struct lab, log));
	to->ops.ctx = to;
	to->log_len = 0;
	to->log[0] = 0;
	for (int d = 0; d < 2; d++) {
		to->sent_len[d] = 0;
		to->held_len[d] = from->held_len[d];
		memcpy(to->held[d], from->held[d], from->held_len[d]);
	}
}

void lab_play_split(struct lab *l, const struct lab_script *s, enum alg_helper helper)
{
	struct lab *before = malloc(sizeof(*l)), *cut = malloc(sizeof(*l));

	if (!before || !cut)
		lab_broken("no memory");
	lab_begin(l, helper, s->proto, &s->orig, &s->reply);
	for (size_t i = 0; i < s->n; i++) {
		const struct lab_piece *p = &s->pieces[i];

		lab_copy(before, l);
		lab_copy(l, before);
		lab_feed(l, p->dir, p->bytes, p->len, flags_of(s));
		for (size_t at = 1; at < p->len; at++) {
			lab_copy(cut, before);
			lab_feed(cut, p->dir, p->bytes, at, flags_of(s));
			lab_feed(cut, p->dir, p->bytes + at, p->len - at, flags_of(s));
			same(l, cut, i, at);
		}
		lab_copy(cut, before);
		for (size_t at = 0; at < p->len; at++)
			lab_feed(cut, p->dir, p->bytes + at, 1, flags_of(s));
		same(l, cut, i, p->len);
	}
	free(before);
	free(cut);
}
