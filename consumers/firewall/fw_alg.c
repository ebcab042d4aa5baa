// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `alg NAME on IF [port N]`: which connections get a helper. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "../../alg/alg.h"
#include "fw_ast.h"

static const struct fw_helper {
	const char *name;
	uint8_t helper;
	uint16_t port; /* IANA's */
	uint8_t proto[2];
} fw_helpers[] = {
	{"ftp", ALG_FTP, 21, {IPPROTO_TCP}},
	{"tftp", ALG_TFTP, 69, {IPPROTO_UDP}},
	{"sip", ALG_SIP, 5060, {IPPROTO_UDP, IPPROTO_TCP}},
	{"pptp", ALG_PPTP, 1723, {IPPROTO_TCP}},
};

static const struct fw_helper *fw_find_helper(const char *name)
{
	for (unsigned int i = 0; i < sizeof(fw_helpers) / sizeof(fw_helpers[0]); i++)
		if (!strcmp(fw_helpers[i].name, name))
			return &fw_helpers[i];
	return NULL;
}

int fw_check_alg(struct fw_parser *ps, struct fw_stmt *s)
{
	if (!fw_find_helper(s->helper.text))
		return fw_error(ps, s->helper.loc,
				"unknown helper '%.40s', expected ftp, tftp, sip or pptp",
				s->helper.text);
	if (fw_flatten(ps, &s->on, FW_P_IFACE) || fw_flatten(ps, &s->dport, FW_P_PORT))
		return -1;
	for (unsigned int i = 0; i < s->dport.flat.n; i++)
		if (s->dport.flat.v[i].lo != s->dport.flat.v[i].hi)
			return fw_error(ps, s->dport.flat.v[i].loc,
					"a range of ports for a helper, expected single ports");
	s->families = FW_F4 | FW_F6;
	return 0;
}

/* First match wins: what an earlier statement named keeps that helper. */
static int fw_put_alg(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_alg_key *key,
		      uint8_t helper)
{
	struct fw_rules *out = c->out;

	for (unsigned int i = 0; i < out->n_algs; i++)
		if (!memcmp(&out->alg[i].key, key, sizeof(*key)))
			return 0;
	if (out->n_algs >= FW_ALGS) {
		fw_say(c, s->loc, "too many interfaces and ports with helpers, expected at most %d",
		       FW_ALGS);
		return -E2BIG;
	}
	out->alg[out->n_algs++] = (struct fw_alg_entry){
		.key = *key,
		.alg = {.helper = helper, .number = s - c->conf->stmt + 1},
	};
	return 0;
}

static int fw_emit_alg_port(struct fw_compiler *c, const struct fw_stmt *s, uint32_t ifindex,
			    uint16_t port)
{
	const struct fw_helper *h = fw_find_helper(s->helper.text);
	int ret = 0;

	for (int i = 0; i < 2 && h->proto[i] && !ret; i++) {
		struct fw_alg_key key = {
			.ifindex = ifindex, .port = htons(port), .proto = h->proto[i]};

		ret = fw_put_alg(c, s, &key, h->helper);
	}
	return ret;
}

int fw_emit_alg(struct fw_compiler *c, const struct fw_stmt *s)
{
	int ret = 0, one;

	for (unsigned int i = 0; i < s->on.flat.n; i++) {
		const struct fw_if *iface = fw_need_if(c, &s->on.flat.v[i]);

		one = iface ? 0 : -ENODEV;
		if (!one && !s->dport.flat.n)
			one = fw_emit_alg_port(c, s, iface->ifindex,
					       fw_find_helper(s->helper.text)->port);
		for (unsigned int p = 0; p < s->dport.flat.n && !one; p++)
			one = fw_emit_alg_port(c, s, iface->ifindex, s->dport.flat.v[p].lo);
		ret = ret ? ret : one;
	}
	return ret;
}
