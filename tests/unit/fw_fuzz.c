// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The rule parser on input that nobody would write: bytes, token soup, mutated
 * good files. Built with ASan and UBSan (Makefile). What does parse must print
 * to text that parses to the same. FW_FUZZ_SEED and FW_FUZZ_SECONDS change the
 * run; the seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consumers/firewall/fw_conf.h"

#define TEXT_MAX  4096
#define SEEDS_MAX 200

static uint64_t fuzz_state;
static struct fw_ifs fuzz_ifs;
static char *good[SEEDS_MAX];
static unsigned int goods;
static unsigned long parsed, refused;

/* xorshift64*: the same everywhere, unlike rand() */
static uint32_t rnd(uint32_t below)
{
	fuzz_state ^= fuzz_state >> 12;
	fuzz_state ^= fuzz_state << 25;
	fuzz_state ^= fuzz_state >> 27;
	return (uint32_t)((fuzz_state * 0x2545F4914F6CDD1DULL) >> 32) % below;
}

static char *print_conf(const struct fw_conf *conf)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fw_conf_print(conf, f);
	fclose(f);
	return text;
}

static void check_accepted(struct fw_conf *conf)
{
	char *first = print_conf(conf), *second;
	struct fw_rules rules = {0};
	struct fw_conf *again = NULL;

	if (fw_conf_parse_text("printed", first, strlen(first), &again, stderr))
		fail_msg("printed form is refused:\n%s", first);
	second = print_conf(again);
	if (strcmp(first, second))
		fail_msg("printed form changes:\n%s\n%s", first, second);
	if (!fw_conf_compile(conf, &fuzz_ifs, &rules, NULL)) {
		assert_true(rules.n_rules <= FW_RULES && rules.n_nats <= FW_NATS);
		fw_rules_free(&rules);
	}
	fw_conf_free(again);
	free(first);
	free(second);
}

/* A copy of exactly that size, so that ASan sees a read behind the end. */
static void feed(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1), *errors = NULL;
	struct fw_conf *conf = NULL;
	size_t errors_len;
	FILE *err = open_memstream(&errors, &errors_len);
	int ret;

	memcpy(copy, text, len);
	ret = fw_conf_parse_text("fuzz", copy, len, &conf, err);
	fclose(err);
	free(copy);
	if (ret) {
		refused++;
		assert_null(conf);
		assert_true(errors_len > 0);
	} else {
		parsed++;
		check_accepted(conf);
		fw_conf_free(conf);
	}
	free(errors);
}

static void random_bytes(void)
{
	char text[512];
	size_t len = rnd(sizeof(text));

	for (size_t i = 0; i < len; i++)
		text[i] = rnd(4) ? rnd(128) : rnd(256);
	feed(text, len);
}

static const char *const vocabulary[] = {
	"set",
	"pass",
	"block",
	"nat",
	"forward",
	"redirect",
	"static",
	"none",
	"eim",
	"eif",
	"adf",
	"hairpin",
	"parity",
	"paired",
	"random",
	"hash",
	"persistent",
	"limit",
	"states",
	"rate",
	"off",
	"100/s",
	"90s",
	"10.0.0.5:80",
	"[fd00::5]:80-90",
	"reserved",
	"hold-down",
	"pools",
	"in",
	"out",
	"on",
	"inet",
	"inet6",
	"proto",
	"from",
	"to",
	"any",
	"self",
	"port",
	"ports",
	"icmp-type",
	"code",
	"->",
	"{",
	"}",
	"(",
	")",
	",",
	"!",
	"-",
	"=",
	"\n",
	"\n",
	"\\\n",
	"#",
	"\"",
	"$a",
	"$b",
	"$a.net",
	"$b.net",
	"a =",
	"b =",
	"eth0",
	"eth1",
	"tcp",
	"udp",
	"icmp",
	"icmp6",
	"sctp",
	"gre",
	"10.0.0.0/8",
	"10.0.0.1",
	"192.168.1.0/24",
	"fd00::/8",
	"::",
	"::1",
	"2001:db8::1/128",
	"0",
	"1",
	"22",
	"255",
	"256",
	"65535",
	"65536",
	"4294967296",
	"99999999999999999999",
	"echoreq",
	"unreach",
	"default",
	"deny",
	"timeout",
	"limit",
	"zone",
	"inside",
	"checksum",
	"fragments",
	"loose",
	"yes",
	"no",
	"max-retrans",
	"confirmed",
	"half-open",
	"udp_stream",
	"x",
	"\"y\"",
	"\"\"",
	"/",
	"/24",
};

static void token_soup(void)
{
	char text[TEXT_MAX];
	size_t len = 0;
	unsigned int n = rnd(60);

	for (unsigned int i = 0; i < n; i++)
		len += snprintf(text + len, sizeof(text) - len, "%s ",
				vocabulary[rnd(sizeof(vocabulary) / sizeof(*vocabulary))]);
	feed(text, len);
}

/* One random change; *len stays below TEXT_MAX. */
static void mutate(char *text, size_t *len)
{
	const char *word = vocabulary[rnd(sizeof(vocabulary) / sizeof(*vocabulary))];
	size_t at = rnd(*len + 1), n = strlen(word), end;

	switch (rnd(5)) {
	case 0: /* another byte */
		if (at < *len)
			text[at] = rnd(256);
		break;
	case 1: /* a piece gone */
		n = at + rnd(8);
		n = n > *len ? *len : n;
		memmove(text + at, text + n, *len - n);
		*len -= n - at;
		break;
	case 2: /* a word more */
		if (*len + n >= TEXT_MAX)
			break;
		memmove(text + at + n, text + at, *len - at);
		memcpy(text + at, word, n);
		*len += n;
		break;
	case 3: /* a word instead of one */
		end = at;
		while (end < *len && text[end] > ' ')
			end++;
		if (*len - (end - at) + n >= TEXT_MAX)
			break;
		memmove(text + at + n, text + end, *len - end);
		memcpy(text + at, word, n);
		*len = *len - (end - at) + n;
		break;
	case 4: /* cut off */
		if (!rnd(4))
			*len = at;
	}
}

static void mutated_file(void)
{
	char text[TEXT_MAX];
	const char *from = good[rnd(goods)];
	size_t len = strlen(from);
	unsigned int n = 1 + rnd(6);

	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, from, len);
	for (unsigned int i = 0; i < n; i++)
		mutate(text, &len);
	feed(text, len);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void run(void (*round)(void))
{
	const char *text = getenv("FW_FUZZ_SECONDS");
	double end = now() + (text ? atof(text) : 1.0);

	parsed = refused = 0;
	for (unsigned int i = 0; i < 200 || now() < end; i++)
		round();
	print_message("%lu parsed, %lu refused\n", parsed, refused);
}

static void random_bytes_never_crash(void **state)
{
	(void)state;
	run(random_bytes);
	assert_true(refused > 0);
}

static void token_soup_never_crashes(void **state)
{
	(void)state;
	run(token_soup);
	assert_true(refused > 0);
}

static void mutated_good_files_never_crash(void **state)
{
	(void)state;
	run(mutated_file);
	assert_true(parsed > 0 && refused > 0);
}

/* Macros of macros double at each level: bounded, not exponential. */
static void nested_macros_stay_bounded(void **state)
{
	char text[8192] = "m0 = { 1, 2 }\n";
	struct fw_conf *conf;
	size_t len = strlen(text);

	(void)state;
	for (int i = 1; i < 100; i++)
		len += snprintf(text + len, sizeof(text) - len, "m%d = { $m%d, $m%d }\n", i, i - 1,
				i - 1);
	assert_true(fw_conf_parse_text("nested", text, len, &conf, NULL) < 0);
}

/* A long list in every rule: refused in well under a second, not compared pair
 * by pair a thousand times. */
static void long_lists_stay_bounded(void **state)
{
	static char text[65536];
	size_t len = snprintf(text, sizeof(text), "m = { 1");
	struct fw_conf *conf;
	double begin = now();

	(void)state;
	for (int i = 1; i < 1024; i++)
		len += snprintf(text + len, sizeof(text) - len, ",%d", 1 + i * 2);
	len += snprintf(text + len, sizeof(text) - len, "}\n");
	for (int i = 0; i < 1200; i++)
		len += snprintf(text + len, sizeof(text) - len, "pass in proto tcp port $m\n");
	assert_int_equal(fw_conf_parse_text("lists", text, len, &conf, NULL), -EINVAL);
	assert_true(now() - begin < 2);
}

static void long_names_survive_printing(void **state)
{
	char name[301], text[2000];
	struct fw_conf *conf;

	(void)state;
	memset(name, 'n', 300);
	name[300] = 0;
	snprintf(text, sizeof(text), "%s = eth0\npass in on $%s from $%s.net", name, name, name);
	assert_int_equal(fw_conf_parse_text("long", text, strlen(text), &conf, stderr), 0);
	check_accepted(conf);
	fw_conf_free(conf);
}

static void oversized_text_is_refused(void **state)
{
	char *text = calloc(1, FW_MAX_TEXT + 1);
	struct fw_conf *conf;

	(void)state;
	memset(text, '\n', FW_MAX_TEXT + 1);
	assert_int_equal(fw_conf_parse_text("big", text, FW_MAX_TEXT + 1, &conf, NULL), -EFBIG);
	assert_int_equal(fw_conf_parse_text("big", text, FW_MAX_TEXT, &conf, NULL), 0);
	fw_conf_free(conf);
	memset(text, 'x', FW_MAX_TEXT);
	assert_int_equal(fw_conf_parse_text("big", text, FW_MAX_TEXT, &conf, NULL), -EINVAL);
	memset(text, '{', FW_MAX_TEXT);
	assert_int_equal(fw_conf_parse_text("big", text, FW_MAX_TEXT, &conf, NULL), -EINVAL);
	free(text);
}

static void unreadable_files_are_one_line(void **state)
{
	char *errors = NULL;
	size_t len;
	FILE *err = open_memstream(&errors, &len);
	struct fw_conf *conf;

	(void)state;
	assert_int_equal(fw_conf_parse("/nonexistent/ctd.conf", &conf, err), -ENOENT);
	assert_int_equal(fw_conf_parse("/", &conf, err), -EISDIR);
	fclose(err);
	assert_string_equal(errors,
			    "/nonexistent/ctd.conf: cannot read: No such file or directory\n"
			    "/: cannot read: Is a directory\n");
	free(errors);
}

static void load_good_files(void)
{
	char file[PATH_MAX], pattern[PATH_MAX + 32];
	glob_t found;

	snprintf(file, sizeof(file), "%s", __FILE__);
	snprintf(pattern, sizeof(pattern), "%s/fw/good/*.conf", dirname(file));
	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc && goods < SEEDS_MAX; i++) {
		FILE *f = fopen(found.gl_pathv[i], "re");

		good[goods] = calloc(1, TEXT_MAX);
		if (f && fread(good[goods], 1, TEXT_MAX - 1, f) > 0)
			goods++;
		else
			free(good[goods]);
		if (f)
			fclose(f);
	}
	globfree(&found);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bytes_never_crash),
		cmocka_unit_test(token_soup_never_crashes),
		cmocka_unit_test(mutated_good_files_never_crash),
		cmocka_unit_test(nested_macros_stay_bounded),
		cmocka_unit_test(long_lists_stay_bounded),
		cmocka_unit_test(long_names_survive_printing),
		cmocka_unit_test(oversized_text_is_refused),
		cmocka_unit_test(unreadable_files_are_one_line),
	};
	static const struct fw_ifaddr v4 = {.family = 4, .prefixlen = 24, .addr = {0x0100a8c0}};
	static const struct fw_ifaddr v6 = {.family = 6, .prefixlen = 64, .addr = {0xfd, 1, 2, 3}};
	const char *seed = getenv("FW_FUZZ_SEED");
	int failed;

	fuzz_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
	fuzz_state |= 1;
	printf("FW_FUZZ_SEED=%llu\n", (unsigned long long)fuzz_state);
	fw_if_add_addr(fw_ifs_add(&fuzz_ifs, "eth0", 2), &v4);
	fw_if_add_addr(fw_ifs_add(&fuzz_ifs, "eth1", 3), &v6);
	load_good_files();
	if (!goods) {
		printf("FAIL good_files_are_found: none beside %s\n", __FILE__);
		return 1;
	}
	failed = cmocka_run_group_tests_name("fw_fuzz", tests, NULL, NULL);
	while (goods)
		free(good[--goods]);
	fw_ifs_free(&fuzz_ifs);
	return failed ? 1 : 0;
}
