// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the tables remember beside the records: slots of a ring, which map to ask first, stubs on
 * their way out; and what a dump may print. None of it decides, so only a look inside shows it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ct/ct_tcp_table.h"
#include "bpf/lib/ct_siphash.h"
#include "tests/bpf/lib/play.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* The generation in the slot of a half-open ring that `gen` names. */
static uint32_t slot_of(int six, uint32_t gen)
{
	int fd = bpf_object__find_map_fd_by_name(core.obj, six ? "ct_half6_v1" : "ct_half4_v1");
	const struct ct_settings *set = core.pins.settings;
	uint32_t side = gen >> CT_GEN_SIDE_SHIFT & 3, at = 0;
	union {
		struct ct_slot4 s4;
		struct ct_slot6 s6;
	} slot;

	for (uint32_t i = 0; i < side; i++)
		at += set->half_size[i];
	at += gen & CT_GEN_COUNT & (set->half_size[side] - 1);
	assert_int_equal(bpf_map_lookup_elem(fd, &at, &slot), 0);
	return six ? slot.s6.s.gen : slot.s4.s.gen;
}

static void a_slot_is_empty_when_its_record_is_half_open_no_more(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = {.src = C[six], .dst = S[six], .proto = IPPROTO_GRE},
			      back = {.src = S[six], .dst = C[six], .proto = IPPROTO_GRE};
		uint32_t gen;

		/* promoted */
		reset(NULL);
		SAME(&p, NEW);
		gen = ct_w_gen(flow_of(six ? 6 : 4).c.word);
		assert_int_equal(slot_of(six, gen), gen);
		SAME(&back, REPLIED);
		SAME(&p, ESTABLISHED);
		assert_int_equal(core.pins.table[six].confirmed, 1);
		assert_int_equal(slot_of(six, gen), 0);
		/* expired: it stays for the second of the dead, then it goes */
		reset(NULL);
		SAME(&p, NEW);
		gen = ct_w_gen(flow_of(six ? 6 : 4).c.word);
		age(601);
		sweep();
		assert_int_equal(slot_of(six, gen), gen);
		age(3);
		sweep();
		assert_int_equal(core.pins.table[six].nodes, 0);
		assert_int_equal(slot_of(six, gen), 0);
	}
}

/* As in ct_maps.h, which only BPF programs can include: ct_found, then the guesses. */
struct build_head {
	uint64_t word;
	uint32_t now, dir, stub_first, slot;
	uint8_t guess[64];
};

/* What this CPU's last packet was looked up by, and what is thought of its interface. */
static struct build_head guessed(void)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(packets_obj, "ct_scratch_v1");
	size_t size = (bpf_map__value_size(map) + 7) / 8 * 8;
	uint8_t *all = calloc(libbpf_num_possible_cpus(), size);
	struct build_head b;
	uint32_t zero = 0; /* CT_SCRATCH_BUILD */

	assert_non_null(all);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(map), &zero, all), 0);
	memcpy(&b, all + sched_getcpu() * size, sizeof(b));
	free(all);
	return b;
}

static void where_replies_come_is_learned_and_changes_no_answer(void **state)
{
	cpu_set_t was, one;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(was), &was), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside, reply, plain = numbered(six, 1);
		struct build_head b;

		open_flow(six, IPPROTO_UDP, &inside, &outside);
		SAME(&plain, NEW);
		reply = (struct packet){.src = S[six],
					.dst = E[six],
					.proto = IPPROTO_UDP,
					.sport = 80,
					.dport = 40000,
					.payload = 3};
		for (int i = 0; i < 4; i++)
			THROUGH(&reply, REPLIED, NULL);
		b = guessed();
		assert_int_equal(b.stub_first, 1);
		assert_int_equal(b.guess[b.slot], 3);
		/* the other way, and without translation: found all the same */
		THROUGH(&inside, ESTABLISHED, &outside);
		assert_int_equal(guessed().stub_first, 1);
		for (int i = 0; i < 4; i++)
			SAME(&plain, OPENING);
		b = guessed();
		assert_int_equal(b.stub_first, 0);
		assert_int_equal(b.guess[b.slot], 0);
		THROUGH(&reply, REPLIED, NULL);
		assert_int_equal(guessed().stub_first, 0);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(was), &was), 0);
}

/* Writes a stub as a remover has it that was preempted `ago` seconds ago: generation 0. */
static void going(int six, uint32_t ago)
{
	int fd = bpf_object__find_map_fd_by_name(core.obj, six ? "ct_stub6_v1" : "ct_stub4_v1");
	union {
		struct ct_stub4 s4;
		struct ct_stub6 s6;
	} stub;
	uint8_t key[40];
	uint32_t born = bpfct_now(&core.pins) - ago * core.pins.settings->hz / 32;

	assert_int_equal(bpf_map_get_next_key(fd, NULL, key), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, key, &stub), 0);
	*(six ? &stub.s6.s.gen : &stub.s4.s.gen) = 0;
	*(six ? &stub.s6.s.born : &stub.s4.s.born) = born;
	assert_int_equal(bpf_map_update_elem(fd, key, &stub, BPF_EXIST), 0);
}

/* Who takes a stub out clears its generation first and deletes it then, by its key: had another
 * put his own there in between, that would be deleted. One that was left so does go in the end. */
static void a_stub_that_is_being_removed_is_left_alone(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ct_table *tab = &core.pins.table[six];
		struct packet inside, outside, other;

		open_flow(six, IPPROTO_UDP, &inside, &outside);
		age(31);
		sweep(); /* its record is DYING: the tuple is free but for the stub */
		going(six, 0);
		translate(CT_NAT_SRC, E[six], 40000);
		other = inside;
		other.src = I[six];
		THROUGH(&other, -CT_DROP_NAT_EXHAUSTED, NULL);
		assert_int_equal(tab->stubs, 1);
		THROUGH(&inside, -CT_DROP_COMMIT_BUSY, NULL);
		assert_int_equal(tab->stubs, 1);
		/* whoever it was, he is not on his way any more */
		going(six, 5);
		age(3);
		sweep();
		THROUGH(&other, NEW, &outside);
		assert_int_equal(tab->stubs, 1);
	}
}

static uint64_t repaired(void)
{
	uint64_t s[CT_STAT_SLOTS] = {0};

	assert_int_equal(bpfct_counters(core.pins.stat_fd, s, CT_STAT_MAX), 0);
	return s[CT_STAT_STUB_REPAIRED];
}

/* A translated connection, and its record taken away as the kernel takes one from a full LRU map.
 */
static void evicted(int six, struct packet *inside, struct packet *outside)
{
	int fd = core.pins.conn_fd[six];
	uint8_t key[40];

	reset(NULL);
	open_flow(six, IPPROTO_UDP, inside, outside);
	assert_int_equal(bpf_map_get_next_key(fd, NULL, key), 0);
	assert_int_equal(bpf_map_delete_elem(fd, key), 0);
	core.pins.table[six].nodes = core.pins.table[six].half_open = 0;
	assert_int_equal(core.pins.table[six].confirmed, 0);
	assert_int_equal(core.pins.table[six].stubs, 1);
	age(4); /* a commit takes no such time */
}

/* No kernel evicts a stub: what is left without its record, we remove, whoever meets it. */
static void a_stub_whose_record_has_gone_goes_too(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ct_table *tab = &core.pins.table[six];
		struct packet inside, outside, other;
		uint64_t before = repaired();

		/* ctd's sweep */
		evicted(six, &inside, &outside);
		sweep();
		assert_int_equal(tab->stubs, 0);
		assert_int_equal(repaired(), before + 1);
		/* another host's connection that needs the tuple, without ctd */
		evicted(six, &inside, &outside);
		translate(CT_NAT_SRC, E[six], 40000);
		other = inside;
		other.src = I[six];
		THROUGH(&other, NEW, &outside);
		assert_int_equal(repaired(), before + 2);
		assert_int_equal(tab->stubs, 1);
		/* the same connection, begun again */
		evicted(six, &inside, &outside);
		translate(CT_NAT_SRC, E[six], 40000);
		THROUGH(&inside, NEW, &outside);
		assert_int_equal(tab->stubs, 1);
	}
}

static unsigned int labels(void)
{
	struct ct_label_key key, *last = NULL;
	unsigned int n = 0;

	for (; !bpf_map_get_next_key(core.pins.label_fd, last, &key); last = &key)
		n++;
	return n;
}

/* Nobody sweeps, and a client comes again and again after his time: of each former life its
 * external endpoint, label, place and share go when the next one takes its node. */
static void nothing_is_left_of_a_former_life(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ct_table *tab = &core.pins.table[six];
		struct packet p = numbered(six, 1);
		unsigned int before;

		reset(NULL);
		core.pins.settings->half_share = 3;
		how.set_label = 1;
		before = labels();
		for (int i = 0; i < 8; i++) {
			translate(CT_NAT_SRC, E[six], 40000 + i);
			assert_int_equal(THROUGH(&p, NEW, NULL).fresh, 1);
			assert_int_equal(last_sport(six), 40000 + i);
			assert_int_equal(tab->stubs, 1);
			assert_int_equal(tab->nodes, 1);
			assert_int_equal(tab->half_open, 1);
			assert_int_equal(core.pins.zone[0].count, 1);
			assert_int_equal(labels(), before + 1);
			age(31);
		}
		/* nor when nobody comes, and ctd sweeps */
		sweep();
		age(2);
		sweep();
		assert_int_equal(labels(), before);
		assert_int_equal(tab->stubs, 0);
		assert_int_equal(tab->nodes, 0);
	}
}

/* From the external address already, and its port is free: what answers for it is the record alone.
 */
static void what_translation_leaves_as_it_is_has_no_stub(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = numbered(six, 1), back = {.src = S[six],
							    .dst = E[six],
							    .proto = IPPROTO_UDP,
							    .sport = 53,
							    .dport = 1001};

		reset(NULL);
		translate(CT_NAT_SRC, E[six], 0);
		p.src = E[six];
		assert_int_equal(SAME(&p, NEW).fresh, 1);
		assert_int_equal(core.pins.table[six].stubs, 0);
		SAME(&back, REPLIED);
	}
}

/* A translated connection is answered at its external endpoint only. What comes from the server
 * to the client's own address is not of it, and cannot be another under the same key. */
static void an_answer_to_the_inner_address_is_not_of_it(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside,
			back = {.src = S[six],
				.dst = C[six],
				.proto = IPPROTO_UDP,
				.sport = 80,
				.dport = 5000};
		unsigned int before;
		struct ct_flow f;

		open_flow(six, IPPROTO_UDP, &inside, &outside);
		before = labels();
		how.set_label = 1;
		THROUGH(&back, -CT_DROP_TUPLE_CLASH, NULL);
		assert_int_equal(labels(), before); /* nor is the label there that it was to have */
		how.set_label = 0;
		f = flow_of(six ? 6 : 4);
		assert_int_equal(f.c.count[0].packets, 1);
		assert_int_equal(f.c.count[1].packets, 0);
		assert_int_equal(ct_w_status(f.c.word) & CT_S_SEEN_REPLY, 0);
		assert_int_equal(core.pins.table[six].nodes, 1);
		THROUGH(&inside, OPENING, &outside);
	}
}

/* Puts the stub also under the key of this reply tuple, in both orders, as one is the key's. */
static void plant(int six, const struct packet *p, const void *stub)
{
	for (int turned = 0; turned < 2; turned++) {
		struct ct_key4 k4 = {.proto = IPPROTO_UDP};
		struct ct_key6 k6 = {.proto = IPPROTO_UDP};
		__be32 addr[2][4];
		uint64_t hash;

		set_addr(addr[turned], p->src);
		set_addr(addr[!turned], p->dst);
		memcpy(k6.addr, addr, sizeof(addr));
		k4.addr[0] = addr[0][0];
		k4.addr[1] = addr[1][0];
		k4.port[turned] = k6.port[turned] = htons(p->sport);
		k4.port[!turned] = k6.port[!turned] = htons(p->dport);
		hash = ct_key6_siphash(core.pins.settings->secret, &k6);
		assert_int_equal(bpf_map_update_elem(core.pins.stub_fd[six],
						     six ? (void *)&hash : &k4, stub, BPF_NOEXIST),
				 0);
		core.pins.table[six].stubs++;
	}
}

/* Two tuples of one hash (IPv6), and a stub that lies where it should not (IPv4): what it leads to
 * is another's connection, which the packet does not touch. Each field of the tuple counts. */
static void a_stub_under_the_key_of_another_tuple_leads_nowhere(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (int field = 0; field < 4; field++) {
			struct packet inside, outside, stranger;
			uint8_t at[40], stub[sizeof(struct ct_stub6)];
			int fd = core.pins.stub_fd[six];

			open_flow(six, IPPROTO_UDP, &inside, &outside);
			assert_int_equal(bpf_map_get_next_key(fd, NULL, at), 0);
			assert_int_equal(bpf_map_lookup_elem(fd, at, stub), 0);
			stranger = (struct packet){.src = field == 0 ? I[six] : S[six],
						   .dst = field == 1 ? M[six] : E[six],
						   .proto = IPPROTO_UDP,
						   .sport = field == 2 ? 81 : 80,
						   .dport = field == 3 ? 40001 : 40000,
						   .payload = 30};
			plant(six, &stranger, stub);
			/* its tuple counts as taken: by another port */
			THROUGH(&stranger, NEW, NULL);
			stranger.src = S[six];
			stranger.dst = E[six];
			stranger.sport = 80;
			stranger.dport = 40000;
			THROUGH(&stranger, REPLIED, NULL);
		}
}

static int dumped(int six, const struct ct_flow *copied, const struct ct_flow *at)
{
	uint8_t frame[64] = {[12] = six ? 0x86 : 0x08, [13] = six ? 0xdd : 0x00};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = 1);
	struct pkt_case c = {.word = copied->c.word};
	uint32_t zero = 0, one = 1;

	assert_int_equal(bpf_map_update_elem(pair_fd, &zero, &copied->key6, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(pair_fd, &one, &at->key6, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(pkt_case_fd, &zero, &c, BPF_ANY), 0);
	assert_int_equal(bpf_prog_test_run_opts(dumped_fd, &opts), 0);
	return opts.retval;
}

static void a_dump_prints_no_node_that_changed_hands_meanwhile(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = numbered(six, 1);
		struct ct_flow f, other;

		reset(NULL);
		SAME(&p, NEW);
		f = other = flow_of(six ? 6 : 4);
		assert_int_equal(dumped(six, &f, &f), 1);
		/* the last word of the key is enough */
		*(six ? &other.key6.proto : &other.key4.proto) ^= 1;
		assert_int_equal(dumped(six, &f, &other), 0);
		other = f;
		*(six ? &other.key6.port[1] : &other.key4.port[1]) ^= htons(1);
		assert_int_equal(dumped(six, &f, &other), 0);
		/* the same key, the next life */
		other = f;
		other.c.word += 1ULL << CT_W_GEN_SHIFT;
		assert_int_equal(dumped(six, &other, &f), 0);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		/* first: others take records away behind the counts' back */
		TEST(nothing_is_left_of_a_former_life),
		TEST(what_translation_leaves_as_it_is_has_no_stub),
		TEST(an_answer_to_the_inner_address_is_not_of_it),
		TEST(a_slot_is_empty_when_its_record_is_half_open_no_more),
		TEST(where_replies_come_is_learned_and_changes_no_answer),
		TEST(a_stub_that_is_being_removed_is_left_alone),
		TEST(a_stub_whose_record_has_gone_goes_too),
		TEST(a_stub_under_the_key_of_another_tuple_leads_nowhere),
		TEST(a_dump_prints_no_node_that_changed_hands_meanwhile),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_slots", tests, set_up, tear_down) ? 1 : 0;
}
