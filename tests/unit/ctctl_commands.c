// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* ctctl's command lines on a table of our own: what conntrack(8) has not, or
 * where we differ from it on purpose. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctctl_fake.h"

#define TCP(sport)                                                                                 \
	"ctctl -I -p tcp -s 10.0.0.2 -d 198.51.100.7 --sport " #sport                              \
	" --dport 80 --state ESTABLISHED -t 600 -u ASSURED,SEEN_REPLY"
#define UDP "ctctl -I -p udp -s 10.0.0.3 -d 198.51.100.7 --sport 53 --dport 53 -t 30"

static int two_flows(void **state)
{
	(void)state;
	fake_reset();
	assert_int_equal(run_ctctl(TCP(40000) " -m 7"), 0);
	assert_int_equal(run_ctctl(UDP " -n 203.0.113.1:1024"), 0);
	return 0;
}

static int count_lines(const char *s)
{
	int n = 0;

	for (; (s = strchr(s, '\n')); s++)
		n++;
	return n;
}

static void missing_instance_is_one_line(void **state)
{
	static const char *const lines[] = {"ctctl -L",	       "conntrack -L",	  "ctctl -D -p tcp",
					    "ctctl -C",	       "ctctl stats",	  "ctctl check",
					    "ctctl zone show", "ctctl flow list", NULL};

	(void)state;
	fake_reset();
	fake.missing = true;
	for (int i = 0; lines[i]; i++) {
		assert_int_equal(run_ctctl(lines[i]), CTCTL_FAILED);
		assert_string_equal(run.out, "");
		assert_string_equal(run.err, "ctctl: no instance 'default' (is ctd running?)\n");
	}
	assert_int_equal(run_ctctl("ctctl --instance lan -L"), CTCTL_FAILED);
	assert_string_equal(run.err, "ctctl: no instance 'lan' (is ctd running?)\n");
	run_ctctl("ctctl -L --instance=lan");
	assert_non_null(strstr(run.err, "'lan'"));
	assert_int_equal(run_ctctl("ctctl -L --instance"), CTCTL_USAGE);
}

/* conntrack 1.4.7 takes all of these, wrapped or as 0. */
static void wrong_numbers_are_usage_errors(void **state)
{
	static const char *const lines[] = {
		"conntrack -L -m zz",
		"conntrack -L -m 3/",
		"conntrack -L -m /3",
		"conntrack -L -m 1/zz",
		"conntrack -L -m 4294967296",
		"conntrack -L -m -1",
		"conntrack -L -w zz",
		"conntrack -L -w 70000",
		"conntrack -L --orig-zone 70000",
		"conntrack -L -p tcp --sport zz",
		"conntrack -L -p tcp --sport 70000",
		"conntrack -L -p tcp --dport -1",
		"conntrack -L -p icmp --icmp-type 256",
		"conntrack -L -c zz",
		"conntrack -D -t 1s",
		"conntrack -I -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -t -9",
		"conntrack -L --id zz",
		"conntrack -I -p sctp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -t 3 --state FROB",
		NULL,
	};

	two_flows(state);
	for (int i = 0; lines[i]; i++) {
		if (run_ctctl(lines[i]) != CTCTL_USAGE)
			fail_msg("%s: exit %d", lines[i], run.ret);
		assert_string_equal(run.out, "");
		assert_int_equal(count_lines(run.err), 2);
	}
}

static void update_sets_what_it_is_told(void **state)
{
	two_flows(state);
	assert_int_equal(run_ctctl("ctctl -U -p tcp -m 0xf0/0xff -t 100 -u FIXED_TIMEOUT"), 0);
	assert_int_equal(fake.last.op, CT_CONTROL_UPDATE);
	assert_int_equal(fake.last.set, CT_SET_MARK | CT_SET_TIMEOUT | CT_SET_STATUS);
	assert_int_equal(fake.last.gen, 1);
	assert_int_equal(fake.flow[0].c.mark, 0xf0);
	assert_true(ct_w_status(fake.flow[0].c.word) & CT_S_FIXED_TIMEOUT);
	assert_non_null(strstr(run.out, "tcp      6 100 ESTABLISHED"));
	assert_non_null(strstr(run.out, "mark=240"));
	assert_string_equal(run.err, "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been "
				     "updated.\n");
	assert_int_equal(fake.flow[1].c.mark, 0);
}

/* -U's mask says which bits to clear before the xor. */
static void update_masks_marks(void **state)
{
	two_flows(state);
	fake.flow[0].c.mark = 0x1234;
	run_ctctl("ctctl -U -p tcp -m 0x0f/0x0f");
	assert_int_equal(fake.flow[0].c.mark, 0x123f);
	run_ctctl("ctctl -U -p tcp -m 9");
	assert_int_equal(fake.flow[0].c.mark, 9);
	run_ctctl("ctctl -U -p tcp -m 0x18/0x03"); /* 8 is not cleared, so it is turned */
	assert_int_equal(fake.flow[0].c.mark, 0x10);
}

/* -t picks what has just so long to live. */
static void time_outs_pick(void **state)
{
	char line[64];
	int secs;

	two_flows(state);
	run_ctctl("ctctl -L -p tcp");
	assert_non_null(strstr(run.out, " 6 "));
	secs = atoi(strstr(run.out, " 6 ") + 3);
	for (int more = 1; more >= 0; more--) {
		snprintf(line, sizeof(line), "ctctl -D -t %d", secs + more);
		assert_int_equal(run_ctctl(line), more ? CTCTL_FAILED : CTCTL_OK);
	}
}

static void update_sets_and_clears_labels(void **state)
{
	two_flows(state);
	assert_int_equal(run_ctctl("ctctl -U -p tcp --label-add 3,127"), 0);
	assert_int_equal(fake.flow[0].label.bits[0], 8);
	assert_int_equal(fake.flow[0].label.bits[3], 1u << 31);
	assert_int_equal(run_ctctl("ctctl -L -l 127"), 0);
	assert_int_equal(count_lines(run.out), 1);
	/* all of them, as conntrack(8) has it */
	assert_int_equal(run_ctctl("ctctl -L -l 3,127"), 0);
	assert_int_equal(count_lines(run.out), 1);
	assert_int_equal(run_ctctl("ctctl -L -l 3,5"), 0);
	assert_int_equal(count_lines(run.out), 0);
	assert_int_equal(run_ctctl("ctctl -U -p tcp --label-del 3"), 0);
	assert_int_equal(fake.flow[0].label.bits[0], 0);
	assert_int_equal(run_ctctl("ctctl -U -p tcp --label-del"), 0);
	assert_int_equal(fake.flow[0].label.bits[3], 0);
}

static void busy_record_is_tried_again(void **state)
{
	two_flows(state);
	fake.controls = 0;
	fake.busy = 3;
	assert_int_equal(run_ctctl("ctctl -D -p tcp"), 0);
	assert_int_equal(fake.controls, 4);
	fake.busy = 1000000;
	assert_int_equal(run_ctctl("ctctl -D -p udp"), CTCTL_FAILED);
}

/* It ends between the dump and the deletion: that is no failure, but nothing was deleted. */
static void what_ends_by_itself_is_no_failure(void **state)
{
	two_flows(state);
	fake.gone = 1;
	assert_int_equal(run_ctctl("ctctl -D"), CTCTL_OK);
	assert_int_equal(count_lines(run.out), 1);
	two_flows(state);
	fake.gone = 1;
	assert_int_equal(run_ctctl("ctctl -D -p tcp"), CTCTL_FAILED);
	assert_non_null(strstr(run.err, ": 0 flow entries have been deleted."));
	fake.gone = 1;
	assert_int_equal(run_ctctl("ctctl -F"), CTCTL_OK);
}

static void delete_names_the_generation(void **state)
{
	two_flows(state);
	run_ctctl("ctctl -D -p udp");
	assert_int_equal(fake.last.gen, 2);
}

static void create_builds_the_canonical_key(void **state)
{
	fake_reset();
	(void)state;
	run_ctctl(UDP " -n 203.0.113.1:1024 -w 9");
	assert_int_equal(fake.last.flow.key4.zone, 9);
	assert_int_equal(ct_w_status(fake.last.flow.c.word) & CT_S_NAT, CT_S_SRC_NAT);
	assert_int_equal(ntohs(fake.last.flow.c.reply_dport), 1024);
	assert_int_equal(fake.last.flow.c.expires, 30);
	/* as ct_key4_make() compares: words as they lie in memory */
	assert_true(fake.last.flow.key4.addr[0] < fake.last.flow.key4.addr[1]);
	run_ctctl("ctctl -I -p icmp -s 10.0.0.9 -d 10.0.0.1 --icmp-type 8 --icmp-code 0 "
		  "--icmp-id 5 -t 30");
	assert_int_equal(fake.last.flow.key4.addr[0], htonl(0x0a000009));
	assert_int_equal(ntohs(fake.last.flow.key4.port[1]), 8 << 8);
	assert_int_equal(ntohs(fake.last.flow.c.reply_sport), 5);
	assert_false(fake.last.flow.c.word & CT_W_ORIG_HI);
	assert_int_equal(ct_w_status(fake.last.flow.c.word) & CT_S_NAT, 0);
}

static void saved_flows_load_again(void **state)
{
	const char *dir = getenv("TMPDIR"); /* the runner's: gone with the suite, however it ends */
	char path[256], line[300], *listed;
	FILE *f;

	snprintf(path, sizeof(path), "%s/ctctl-save.XXXXXX", dir ? dir : "/tmp");
	f = fdopen(mkstemp(path), "w");
	assert_non_null(f);
	two_flows(state);
	run_ctctl("ctctl -L");
	listed = strdup(run.out);
	run_ctctl("ctctl -L -o save");
	fputs(run.out, f);
	fputs("# a comment\n\n", f);
	fclose(f);
	fake_reset();
	snprintf(line, sizeof(line), "ctctl -R %s", path);
	assert_int_equal(run_ctctl(line), 0);
	assert_string_equal(run.err, "conntrack v1.4.7 (conntrack-tools): 2 flow entries have "
				     "been added.\n");
	run_ctctl("ctctl -L");
	assert_string_equal(run.out, listed); /* the mark too, which 1.4.7 forgets */
	f = fopen(path, "w");
	fputs("-L\n", f);
	fclose(f);
	assert_int_equal(run_ctctl(line), CTCTL_USAGE);
	unlink(path);
	free(listed);
}

static void json_lists_are_arrays(void **state)
{
	static const char *const lines[] = {"ctctl -j -L",	  "ctctl -L -j",
					    "ctctl -L --json",	  "conntrack --json -L",
					    "ctctl flow list -j", NULL};
	struct json_object *o;

	two_flows(state);
	for (int i = 0; lines[i]; i++) {
		assert_int_equal(run_ctctl(lines[i]), 0);
		o = json_tokener_parse(run.out);
		assert_non_null(o);
		assert_int_equal(json_object_array_length(o), 2);
		json_object_put(o);
	}
	assert_int_equal(run_ctctl("ctctl -L -j -p icmp"), 0);
	assert_string_equal(run.out, "[]\n");
	/* under its name, the letter is conntrack's */
	assert_int_equal(run_ctctl("conntrack -L -j"), 0);
	assert_int_equal(count_lines(run.out), 1);
	assert_null(strchr(run.out, '{'));
	assert_int_equal(run_ctctl("ctctl -L --any-nat"), 0);
	assert_int_equal(count_lines(run.out), 1);
}

static void name_alone_makes_it_conntrack(void **state)
{
	two_flows(state);
	assert_int_equal(run_ctctl("/usr/local/sbin/conntrack"), 0);
	assert_non_null(strstr(run.out, "Usage: /usr/local/sbin/conntrack"));
	assert_int_equal(run_ctctl("/usr/local/sbin/ctctl"), 0);
	assert_non_null(strstr(run.out, "OBJECT VERB"));
	assert_int_equal(run_ctctl("conntrack flow list"), 0); /* no command: help */
	assert_non_null(strstr(run.out, "Usage: conntrack"));
}

static void objects_and_verbs(void **state)
{
	two_flows(state);
	assert_int_equal(run_ctctl("ctctl frob"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl flow"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl flow frob"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl stats frob"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl check frob"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl help"), 0);
	assert_null(strstr(run.out, "clock"));
	assert_int_equal(run_ctctl("ctctl flow list -p udp"), 0);
	assert_int_equal(count_lines(run.out), 1);
	fake.table[0].confirmed = 3;
	fake.table[1].half_open = 4;
	assert_int_equal(run_ctctl("ctctl flow count"), 0);
	assert_string_equal(run.out, "7\n");
	assert_int_equal(run_ctctl("ctctl -j flow count"), 0);
	assert_string_equal(run.out, "{\"count\":7}\n");
	assert_int_equal(run_ctctl("ctctl flow flush -p udp"), 0);
	assert_int_equal(run_ctctl("ctctl flow list"), 0);
	assert_int_equal(count_lines(run.out), 1);
	assert_int_equal(run_ctctl("ctctl flow flush"), 0);
	assert_int_equal(run_ctctl("ctctl flow list"), 0);
	assert_string_equal(run.out, "");
}

static void zones_and_timeouts_are_set(void **state)
{
	two_flows(state);
	assert_int_equal(run_ctctl("ctctl zone limit 5 1000"), 0);
	assert_int_equal(fake.zone[5].limit, 1000);
	fake.zone[7].refused = 9;
	assert_int_equal(run_ctctl("ctctl zone show"), 0);
	assert_int_equal(count_lines(run.out), 3);
	assert_int_equal(run_ctctl("ctctl zone show 5"), 0);
	assert_int_equal(count_lines(run.out), 2);
	assert_int_equal(run_ctctl("ctctl zone show 5 -j"), 0);
	assert_string_equal(run.out, "[\n{\"zone\":5,\"used\":0,\"limit\":1000,\"high\":0,"
				     "\"refused\":0}\n]\n");
	assert_int_equal(run_ctctl("ctctl zone limit 65536 1"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl zone limit 5"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl timeout set udp_stream 77"), 0);
	assert_int_equal(fake.timeouts[0].secs[CT_TIMEOUT_udp_stream], 77);
	assert_int_equal(run_ctctl("ctctl timeout show udp_stream"), 0);
	assert_string_equal(run.out, "udp_stream               77\n");
	assert_int_equal(run_ctctl("ctctl timeout show -j udp_stream"), 0);
	assert_string_equal(run.out, "{\"udp_stream\":77}\n");
	assert_int_equal(run_ctctl("ctctl timeout set udp_stream 0"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl timeout set frob 5"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl timeout set"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl clock --advance 100"), 0);
	assert_int_equal(fake.settings.clock_offset, 100 * FAKE_HZ);
	assert_int_equal(run_ctctl("ctctl clock --advance x"), CTCTL_USAGE);
}

static void frag_names_every_counter(void **state)
{
	char *p;

	(void)state;
	fake.frag.use.datagrams = 17;
	fake.frag.total.bytes = 4194304;
	assert_int_equal(run_ctctl("ctctl frag"), 0);
	for (unsigned int i = 0; i < FRAG_STAT_MAX; i++) {
		static const char *const name[] = {
#define X(name, text, meaning) "\n" text " ",
			FRAG_STATS(X)
#undef X
		};

		assert_non_null(strstr(run.out, name[i]));
	}
	p = strstr(run.out, "\ndatagrams ");
	assert_non_null(p);
	assert_int_equal(atoi(p + 11), 17);
	assert_int_equal(run_ctctl("ctctl -j frag"), 0);
	assert_non_null(strstr(run.out, "\"total\":{\"datagrams\":{\"used\":17"));
	assert_non_null(strstr(run.out, "\"limit\":4194304"));
	assert_int_equal(run_ctctl("ctctl frag frob"), CTCTL_USAGE);
}

static void stats_name_every_counter(void **state)
{
	struct json_object *o, *part;

	two_flows(state);
	assert_int_equal(run_ctctl("ctctl stats"), 0);
	assert_int_equal(count_lines(run.out), 19 + 2 + CT_STAT_MAX + 6 + CT_X_COUNT_MAX +
						       NAT_PATH_MAX + 1 + CT_DROP_MAX);
	assert_int_equal(run_ctctl("ctctl stats -j"), 0);
	o = json_tokener_parse(run.out);
	assert_non_null(o);
	assert_true(json_object_object_get_ex(o, "tables", &part));
	assert_int_equal(json_object_array_length(part), 18);
	json_object_put(o);
}

/* One address, ports 1000 to 1039 in blocks of ten for 10.0.0.4 on, of which
 * 10.0.0.4/31 has two. */
static void one_nat_pool(void **state)
{
	two_flows(state);
	for (int i = 1; i <= NAT_CLASSES; i++)
		fake.nat_pool[i] = (struct nat_pool){.addr = {inet_addr("192.0.2.9")},
						     .family = 4,
						     .class = i - 1,
						     .flags = NAT_POOL_LIVE,
						     .port_min = 1000,
						     .port_max = 1039,
						     .use_base = 100 * i,
						     .head_base = 2 * i,
						     .ring_base = 16 * i,
						     .ring_size = 8,
						     .rings = 2,
						     .hold = 100,
						     .used_high = 7,
						     .block = 10,
						     .inside_plen = 31,
						     .inside = {inet_addr("10.0.0.4")}};
	fake.nat_ring[16 + 3] = NAT_SLOT_VALID | 1005;
	fake.nat_ring[16 + 9] = NAT_SLOT_VALID | 1006;
	fake.nat_use[101] = 3;
	fake.nat_use[102] = nat_use_make(0, FAKE_TICK); /* held */
	fake.nat_reserved[NAT_TCP].word[1002 / 64] = 1ull << 1002 % 64;
	fake.nat_head[2].claimed = 5;
	fake.nat_head[3].released = 2;
	fake.nat_head[3].path[NAT_PATH_STOLEN] = 4;
	fake.nat_head[2].refused = 6;
}

static void nat_shows_each_pool(void **state)
{
	one_nat_pool(state);
	assert_int_equal(run_ctctl("ctctl nat"), 0);
	assert_int_equal(count_lines(run.out), 1 + NAT_CLASSES);
	assert_int_equal(run_ctctl("ctctl -j nat"), 0);
	assert_non_null(strstr(run.out, "\"class\":\"tcp\",\"live\":true,\"eim\":false,"
					"\"port_min\":1000,\"port_max\":1039,\"size\":40,"
					"\"leased\":2,\"used\":1,\"held\":1,\"reserved\":1,"
					"\"high\":7,\"tuples\":3,\"refused\":6"));
	assert_non_null(strstr(run.out, "\"stolen\":4"));
	assert_int_equal(run_ctctl("ctctl nat frob"), CTCTL_USAGE);
}

static void blocks_and_whois_are_each_others_inverse(void **state)
{
	char line[64];

	one_nat_pool(state);
	assert_int_equal(run_ctctl("ctctl nat blocks"), 0);
	assert_string_equal(run.out, "10.0.0.4 192.0.2.9 1000-1009\n"
				     "10.0.0.5 192.0.2.9 1010-1019\n");
	assert_int_equal(run_ctctl("ctctl nat blocks 10.0.0.5"), 0);
	assert_string_equal(run.out, "10.0.0.5 192.0.2.9 1010-1019\n");
	assert_int_equal(run_ctctl("ctctl nat blocks 10.0.0.6"), CTCTL_FAILED);
	assert_int_equal(run_ctctl("ctctl nat blocks 10.0.0.3"), CTCTL_FAILED);
	assert_int_equal(run_ctctl("ctctl nat blocks nonsense"), CTCTL_USAGE);
	for (int port = 1000; port < 1020; port++) {
		snprintf(line, sizeof(line), "ctctl nat whois 192.0.2.9 %d", port);
		assert_int_equal(run_ctctl(line), 0);
		assert_string_equal(run.out, port < 1010 ? "10.0.0.4 block 1000-1009\n"
							 : "10.0.0.5 block 1010-1019\n");
	}
	assert_int_equal(run_ctctl("ctctl nat whois 192.0.2.9"), CTCTL_USAGE);
	assert_int_equal(run_ctctl("ctctl nat whois 192.0.2.9 65536"), CTCTL_USAGE);
}

static void zeroing_is_refused(void **state)
{
	two_flows(state);
	assert_int_equal(run_ctctl("conntrack -L -z"), CTCTL_FAILED);
	assert_string_equal(run.out, "");
}

static void glued_nat_address_counts(void **state)
{
	two_flows(state); /* 1.4.7 ignores it and lists every translated flow */
	assert_int_equal(run_ctctl("conntrack -L -n203.0.113.9"), 0);
	assert_string_equal(run.out, "");
	assert_int_equal(run_ctctl("conntrack -L --src-nat=203.0.113.1"), 0);
	assert_int_equal(count_lines(run.out), 1);
}

static void unreachable_ctd_is_one_line(void **state)
{
	static const char *const lines[] = {"ctctl --instance cc-none -E",
					    "ctctl --instance cc-none events",
					    "ctctl --instance cc-none fw show", NULL};

	two_flows(state);
	for (int i = 0; lines[i]; i++) {
		assert_int_equal(run_ctctl(lines[i]), CTCTL_FAILED);
		assert_int_equal(count_lines(run.err), 1);
		assert_non_null(strstr(run.err, "cannot reach ctd"));
	}
}

static void ktimestamp_shows_start(void **state)
{
	two_flows(state);
	run_ctctl("ctctl -L -p tcp -o ktimestamp");
	assert_non_null(strstr(run.out, " delta-time=0 [start="));
	run_ctctl("ctctl -L -p tcp -o xml,ktimestamp");
	assert_non_null(strstr(run.out, "<timestamp><start>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_instance_is_one_line),
		cmocka_unit_test(wrong_numbers_are_usage_errors),
		cmocka_unit_test(update_sets_what_it_is_told),
		cmocka_unit_test(update_masks_marks),
		cmocka_unit_test(time_outs_pick),
		cmocka_unit_test(update_sets_and_clears_labels),
		cmocka_unit_test(busy_record_is_tried_again),
		cmocka_unit_test(what_ends_by_itself_is_no_failure),
		cmocka_unit_test(delete_names_the_generation),
		cmocka_unit_test(create_builds_the_canonical_key),
		cmocka_unit_test(saved_flows_load_again),
		cmocka_unit_test(json_lists_are_arrays),
		cmocka_unit_test(name_alone_makes_it_conntrack),
		cmocka_unit_test(objects_and_verbs),
		cmocka_unit_test(zones_and_timeouts_are_set),
		cmocka_unit_test(frag_names_every_counter),
		cmocka_unit_test(stats_name_every_counter),
		cmocka_unit_test(nat_shows_each_pool),
		cmocka_unit_test(blocks_and_whois_are_each_others_inverse),
		cmocka_unit_test(zeroing_is_refused),
		cmocka_unit_test(glued_nat_address_counts),
		cmocka_unit_test(unreachable_ctd_is_one_line),
		cmocka_unit_test(ktimestamp_shows_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
