// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl alg`: what ctd's helpers do, and for which reasons they granted nothing. */
#include <string.h>

#include "alg/alg.h"
#include "fw.h"

/* Of ctd's answer to "status"; docs/alg.md says more. */
static const struct {
	const char *name, *meaning;
} counters[] = {
	{"connections", "helped now"},
	{"taken", "packets taken from the packet path"},
	{"sent", "packets passed on"},
	{"bad", "packets that could not be read"},
	{"ahead", "segments that came before their turn"},
	{"refused", "packets for which there was no room: they come again"},
	{"repeated", "segments that had come before"},
	{"acknowledged", "partial lines that ctd acknowledged itself"},
	{"resent", "segments that ctd sent again"},
};

static const struct {
	const char *name, *meaning;
} reasons[ALG_R_COUNT] = {
#define X(name, text, what, meaning) {text, meaning},
	ALG_REASONS(X)
#undef X
};

static uint64_t number(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, name, &v) ? (uint64_t)json_object_get_int64(v) : 0;
}

static void print_row(FILE *out, const char *name, uint64_t n, const char *meaning)
{
	fprintf(out, "%-18s %12llu  %s\n", name, (unsigned long long)n, meaning);
}

static void print_text(FILE *out, struct json_object *alg)
{
	struct json_object *met = NULL;

	fprintf(out, "%-18s %12s  %s\n", "COUNTER", "VALUE", "OF");
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		print_row(out, counters[i].name, number(alg, counters[i].name),
			  counters[i].meaning);
	fprintf(out, "\n%-18s %12s  %s\n", "REASON", "MET", "MEANING");
	if (!json_object_object_get_ex(alg, "reasons", &met))
		return;
	for (int i = ALG_R_NONE + 1; i < ALG_R_COUNT; i++)
		if (number(met, reasons[i].name))
			print_row(out, reasons[i].name, number(met, reasons[i].name),
				  reasons[i].meaning);
}

int ctctl_alg(struct ctctl *c, int argc, char **argv)
{
	struct json_object *answer, *alg = NULL;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "show")))
		return ctctl_usage(c, "alg takes no `%s'", argv[argc - 1]);
	answer = fw_ask(c, fw_request("status"));
	if (!answer)
		return CTCTL_FAILED;
	json_object_object_get_ex(answer, "alg", &alg);
	if (c->json)
		fprintf(c->out, "%s\n",
			json_object_to_json_string_ext(alg, JSON_C_TO_STRING_PLAIN));
	else
		print_text(c->out, alg);
	json_object_put(answer);
	return CTCTL_OK;
}
