// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Records from the first packet to the last, in time; marks, labels, states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "bpf/ct/ct_tcp_table.h"
#include "tests/bpf/lib/play.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static void an_expired_record_is_not_found(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = {
			.src = C[six], .dst = S[six], .proto = IPPROTO_UDP, .sport = 5, .dport = 6};

		reset(NULL);
		SAME(&p, NEW);
		age(29);
		SAME(&p, OPENING);
		how.commit = 0;
		age(29);
		SAME(&p, OPENING);
		age(31);
		SAME(&p, NEW);
		age(3600);
		SAME(&p, NEW);
	}
}

/* Client's and server's packets of a connection through the external address;
 * port 0: not translated. */
static void close_tcp(int six, uint16_t port)
{
	struct packet c = {.src = C[six],
			   .dst = S[six],
			   .proto = IPPROTO_TCP,
			   .sport = 5000,
			   .dport = 80},
		      s = {.src = S[six],
			   .dst = port ? E[six] : C[six],
			   .proto = IPPROTO_TCP,
			   .sport = 80,
			   .dport = port ? port : 5000};

#define CLIENT(f, q, a, v) (c.tcp = (f), c.seq = (q), c.ack = (a), THROUGH(&c, (v), NULL))
#define SERVER(f, q, a, v) (s.tcp = (f), s.seq = (q), s.ack = (a), THROUGH(&s, (v), NULL))
	CLIENT(CT_TH_SYN, 1000, 0, NEW);
	SERVER(CT_TH_SYN | CT_TH_ACK, 7000, 1001, REPLIED);
	CLIENT(CT_TH_ACK, 1001, 7001, ESTABLISHED);
	CLIENT(CT_TH_FIN | CT_TH_ACK, 1001, 7001, ESTABLISHED);
	SERVER(CT_TH_ACK, 7001, 1002, REPLIED);
	SERVER(CT_TH_FIN | CT_TH_ACK, 7001, 1002, REPLIED);
	CLIENT(CT_TH_ACK, 1002, 7002, ESTABLISHED);
}

static void time_wait_is_opened_again_in_place(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (int nat = 0; nat < 2; nat++) {
			struct ct_table *tab = &core.pins.table[six];
			struct packet c = {.src = C[six],
					   .dst = S[six],
					   .proto = IPPROTO_TCP,
					   .sport = 5000,
					   .dport = 80,
					   .tcp = CT_TH_SYN,
					   .seq = 90000},
				      x = c;
			struct pkt_case r;

			reset(NULL);
			/* any port at first; it has to be the same again */
			if (nat) {
				translate(CT_NAT_SRC, E[six], 0);
				x.src = E[six];
			}
			close_tcp(six, nat ? 5000 : 0);
			assert_int_equal(tab->confirmed, 1);
			r = THROUGH(&c, NEW, &x);
			assert_int_equal(r.fresh, 1);
			assert_int_equal(ct_w_state(r.word), CT_TCP_SYN_SENT);
			assert_int_equal(tab->nodes, 1);
			assert_int_equal(tab->confirmed, 0);
			assert_int_equal(tab->half_open, 1);
			assert_int_equal(tab->stubs, nat);
			assert_int_equal(core.pins.zone[0].count, 1);
		}
}

static void a_translated_tuple_belongs_to_one(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside, plain, want;

		/* the router's own connection finds its tuple taken: another port */
		open_flow(six, IPPROTO_UDP, &inside, &outside);
		plain = outside;
		assert_int_equal(THROUGH(&plain, NEW, NULL).translate, 1);
		assert_int_not_equal(last_sport(six), 40000);
		/* the client is gone for good, the router's own takes the tuple, and the
		 * client comes back: it has to go elsewhere */
		open_flow(six, IPPROTO_UDP, &inside, &outside);
		age(31);
		plain = outside;
		SAME(&plain, NEW);
		translate(CT_NAT_SRC, E[six], 0);
		inside.sport = 5000;
		THROUGH(&inside, NEW, NULL);
		want = (struct packet){.src = S[six],
				       .dst = E[six],
				       .proto = IPPROTO_UDP,
				       .sport = 80,
				       .dport = 40000,
				       .payload = 3};
		SAME(&want, REPLIED);
	}
}

/* A client that takes a stub of its former life looks first who has the tuple. */
static void a_former_life_does_not_keep_its_tuple(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet client = {.src = C[six],
					.dst = S[six],
					.proto = IPPROTO_UDP,
					.sport = 5000,
					.dport = 80},
			      own = {.src = E[six],
				     .dst = S[six],
				     .proto = IPPROTO_UDP,
				     .sport = 5000,
				     .dport = 80},
			      x = client,
			      answer = {.src = S[six],
					.dst = E[six],
					.proto = IPPROTO_UDP,
					.sport = 80,
					.dport = 5000};

		reset(NULL);
		translate(CT_NAT_SRC, E[six], 0);
		x.src = E[six];
		THROUGH(&client, NEW, &x);
		age(31);
		memset(&how.nat, 0, sizeof(how.nat));
		SAME(&own, NEW);
		translate(CT_NAT_SRC, E[six], 0);
		THROUGH(&client, NEW, NULL);
		assert_int_not_equal(last_sport(six), 5000);
		assert_int_equal(core.pins.table[six].stubs, 1);
		SAME(&answer, REPLIED);
	}
}

/* ---- mark, label, state ---- */

static void mark_and_label_stay_with_the_connection(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = numbered(six, 1), error;
		struct ct_flow f;

		reset(NULL);
		how.set_mark = how.set_label = 1;
		how.mark = 42;
		how.label[0] = 1;
		how.label[3] = 0x80000000;
		assert_int_equal(THROUGH(&p, NEW, &p).result_mark, 42);
		/* not set again: kept */
		how.set_mark = how.set_label = 0;
		how.mark = how.label[0] = 7;
		assert_int_equal(THROUGH(&p, OPENING, &p).result_mark, 42);
		f = flow_of(six ? 6 : 4);
		assert_int_equal(f.c.mark, 42);
		assert_int_equal(f.label.bits[0], 1);
		assert_int_equal(f.label.bits[3], 0x80000000);
		/* set on a connection that is there */
		how.commit = 2;
		how.set_mark = how.set_label = 1;
		assert_int_equal(THROUGH(&p, OPENING, &p).result_mark, 7);
		f = flow_of(six ? 6 : 4);
		assert_int_equal(f.c.mark, 7);
		assert_int_equal(f.label.bits[0], 7);
		/* but not by an error about it, which is related only */
		how.mark = 99;
		error = (struct packet){.src = M[six],
					.dst = C[six],
					.proto = ICMP_OF(six),
					.type = 3,
					.code = 1,
					.quote = &p};
		THROUGH(&error, RELATED, NULL);
		assert_int_equal(flow_of(six ? 6 : 4).c.mark, 7);
		/* gone with it */
		age(31);
		how.commit = 1;
		how.set_mark = how.set_label = 0;
		assert_int_equal(THROUGH(&p, NEW, &p).result_mark, 0);
		assert_int_equal(flow_of(six ? 6 : 4).label.bits[3], 0);
	}
}

static void state_bits_are_those_of_ovs(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside, back, error, ra,
			syn = {.src = C[six],
			       .dst = S[six],
			       .proto = IPPROTO_TCP,
			       .sport = 5,
			       .dport = 80,
			       .tcp = CT_TH_SYN,
			       .seq = 1000},
			rst = {.src = S[six],
			       .dst = C[six],
			       .proto = IPPROTO_TCP,
			       .sport = 80,
			       .dport = 5,
			       .tcp = CT_TH_RST | CT_TH_ACK,
			       .ack = 1001};

		reset(NULL);
		inside = numbered(six, 1);
		back = (struct packet){.src = S[six],
				       .dst = C[six],
				       .proto = IPPROTO_UDP,
				       .sport = 53,
				       .dport = 1001};
		assert_int_equal(SAME(&inside, NEW).state, S_TRK | S_NEW);
		assert_int_equal(SAME(&inside, OPENING).state, S_TRK | S_NEW);
		assert_int_equal(SAME(&back, REPLIED).state, S_TRK | S_EST | S_RPL);
		assert_int_equal(SAME(&inside, ESTABLISHED).state, S_TRK | S_EST);
		open_flow(six, IPPROTO_UDP, &inside, &outside);
		assert_int_equal(THROUGH(&inside, OPENING, &outside).state, S_TRK | S_NEW | S_SNAT);
		error = (struct packet){.src = M[six],
					.dst = E[six],
					.proto = ICMP_OF(six),
					.type = 3,
					.code = 1,
					.quote = &outside};
		assert_int_equal(THROUGH(&error, RELATED, NULL).state,
				 S_TRK | S_REL | S_RPL | S_SNAT);
		error.dst = S[six];
		assert_int_equal(THROUGH(&error, -CT_DROP_ICMP_ADDRESS, NULL).state, S_TRK | S_INV);
		/* a refusal is of the connection that it ends */
		SAME(&syn, NEW);
		assert_int_equal(SAME(&rst, REPLIED).state, S_TRK | S_EST | S_RPL);
		SAME(&syn, NEW);
		/* neighbour discovery has no state */
		ra = (struct packet){.src = C[1],
				     .dst = S[1],
				     .proto = IPPROTO_ICMPV6,
				     .type = 135,
				     .payload = 16};
		assert_int_equal(SAME(&ra, UNTRACKED).state, 0);
	}
}

/* The first packet's time stays, the last one's moves, whichever way it went. */
static void start_and_last_time_are_kept(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = numbered(six, 1), back = {.src = S[six],
							    .dst = C[six],
							    .proto = IPPROTO_UDP,
							    .sport = 53,
							    .dport = 1001};
		struct ct_flow first, f;

		reset(NULL);
		SAME(&p, NEW);
		first = flow_of(six ? 6 : 4);
		assert_int_equal(first.c.start, first.c.last);
		for (int i = 1; i < 4; i++) {
			uint32_t last = first.c.last;

			age(5);
			SAME(i & 1 ? &back : &p, i & 1 ? REPLIED : ESTABLISHED);
			f = flow_of(six ? 6 : 4);
			assert_int_equal(f.c.start, first.c.start);
			assert_in_range(f.c.last - last, 1, 1 << 20);
			first.c.last = f.c.last;
		}
	}
}

/* ---- ctctl -I, and walks ---- */

static int control(uint32_t op, const struct ct_flow *f)
{
	struct ct_control req = {.op = op, .flow = *f};

	req.flow.c.expires = 100;
	assert_int_equal(bpfct_control(&core.pins, &req), 0);
	return req.result;
}

/* A time-out that is fixed is not begun anew by packets, in neither direction. */
static void a_fixed_time_out_is_no_packets_business(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = numbered(six, 1), back = {.src = S[six],
							    .dst = C[six],
							    .proto = IPPROTO_UDP,
							    .sport = 53,
							    .dport = 1001};
		struct ct_control req = {.op = CT_CONTROL_UPDATE, .set = CT_SET_STATUS};

		reset(NULL);
		SAME(&p, NEW);
		req.flow = flow_of(six ? 6 : 4);
		req.flow.c.word = CT_W_STATUS(CT_S_FIXED_TIMEOUT);
		assert_int_equal(bpfct_control(&core.pins, &req), 0);
		assert_int_equal(req.result, 0);
		how.commit = 0;
		age(20);
		SAME(&p, OPENING);
		SAME(&back, REPLIED);
		age(12);
		SAME(&p, NEW); /* 30 s after the first */
	}
}

/* A FIN from far outside the window, and one from the other end: endpoints and record have parted,
 * and five days become minutes; but not those that somebody has fixed. */
static void what_is_fixed_is_not_distrusted(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (int fixed = 0; fixed < 2; fixed++) {
			struct packet c = {.src = C[six],
					   .dst = S[six],
					   .proto = IPPROTO_TCP,
					   .sport = 5000,
					   .dport = 80},
				      s = {.src = S[six],
					   .dst = C[six],
					   .proto = IPPROTO_TCP,
					   .sport = 80,
					   .dport = 5000};
			struct ct_control req = {.op = CT_CONTROL_UPDATE, .set = CT_SET_STATUS};
			uint32_t expires;

			reset(NULL);
			CLIENT(CT_TH_SYN, 1000, 0, NEW);
			SERVER(CT_TH_SYN | CT_TH_ACK, 7000, 1001, REPLIED);
			CLIENT(CT_TH_ACK, 1001, 7001, ESTABLISHED);
			req.flow = flow_of(six ? 6 : 4);
			expires = req.flow.c.expires;
			req.flow.c.word = fixed ? CT_W_STATUS(CT_S_FIXED_TIMEOUT) : 0;
			assert_int_equal(bpfct_control(&core.pins, &req), 0);
			assert_int_equal(req.result, 0);
			CLIENT(CT_TH_FIN | CT_TH_ACK, 100001001, 7001, -CT_DROP_TCP_SEQ);
			SERVER(CT_TH_FIN | CT_TH_ACK, 100007001, 1001, -CT_DROP_TCP_SEQ);
			if (fixed)
				assert_int_equal(flow_of(six ? 6 : 4).c.expires, expires);
			else
				assert_true(expires - flow_of(six ? 6 : 4).c.expires < 1 << 30 &&
					    expires != flow_of(six ? 6 : 4).c.expires);
		}
}

/* Its node stays for a second; who comes next may have the same external endpoint now. */
static void what_is_deleted_frees_its_reply_tuple_at_once(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = numbered(six, 1), next = numbered(six, 2), x;
		struct ct_flow f;

		reset(NULL);
		translate(CT_NAT_SRC, E[six], 40000);
		x = p;
		x.src = E[six];
		x.sport = 40000;
		THROUGH(&p, NEW, &x);
		x = next;
		x.src = E[six];
		x.sport = 40000;
		THROUGH(&next, -CT_DROP_NAT_EXHAUSTED, NULL); /* while it lives */
		f = flow_of(six ? 6 : 4);
		assert_int_equal(control(CT_CONTROL_DELETE, &f), 0);
		assert_int_equal(core.pins.table[six].stubs, 0);
		THROUGH(&next, NEW, &x);
		assert_int_equal(core.pins.table[six].stubs, 1);
	}
}

/* Under the key of what has ended, but not yet left, and of what nobody has swept. */
static void a_record_may_be_entered_where_one_has_ended(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (int nat = 0; nat < 2; nat++) {
			struct ct_table *tab = &core.pins.table[six];
			struct packet p = numbered(six, 1),
				      back = {.src = S[six],
					      .dst = nat ? E[six] : C[six],
					      .proto = IPPROTO_UDP,
					      .sport = 53,
					      .dport = 1001},
				      xback = back;
			struct ct_flow f;

			reset(NULL);
			if (nat)
				translate(CT_NAT_SRC, E[six], 0);
			xback.dst = C[six];
			THROUGH(&p, NEW, NULL);
			f = flow_of(six ? 6 : 4);
			assert_int_equal(control(CT_CONTROL_CREATE, &f), -EEXIST);
			for (int expired = 0; expired < 2; expired++) {
				if (expired)
					age(101);
				else
					assert_int_equal(control(CT_CONTROL_DELETE, &f), 0);
				assert_int_equal(control(CT_CONTROL_CREATE, &f), 0);
				assert_int_equal(tab->nodes, 1);
				assert_int_equal(tab->confirmed, 1);
				assert_int_equal(tab->half_open, 0);
				assert_int_equal(tab->stubs, nat);
				assert_int_equal(core.pins.zone[0].count, 1);
				THROUGH(&back, REPLIED, &xback);
				assert_int_equal(control(CT_CONTROL_CREATE, &f), -EEXIST);
				assert_int_equal(tab->nodes, 1);
				assert_int_equal(tab->stubs, nat);
			}
		}
}

/* I2 for who enters records: neither a tuple that is claimed, nor a claim of one that lives. */
static void a_record_entered_claims_its_tuples(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside;
		struct ct_flow plain, translated;

		open_flow(six, IPPROTO_UDP, &inside, &outside);
		translated = flow_of(six ? 6 : 4);
		reset(NULL);
		SAME(&outside, NEW);
		plain = flow_of(six ? 6 : 4);
		assert_int_equal(control(CT_CONTROL_CREATE, &translated), -EEXIST);
		assert_int_equal(core.pins.table[six].stubs, 0);
		assert_int_equal(core.pins.table[six].nodes, 1);
		open_flow(six, IPPROTO_UDP, &inside, &outside);
		assert_int_equal(control(CT_CONTROL_CREATE, &plain), -EEXIST);
		assert_int_equal(core.pins.table[six].nodes, 1);
	}
}

static int visit_pair(int six, const struct ct_flow *record, const struct ct_flow *key)
{
	uint8_t frame[64] = {[12] = six ? 0x86 : 0x08, [13] = six ? 0xdd : 0x00};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = 1);
	uint32_t at = 0;

	assert_int_equal(bpf_map_update_elem(pair_fd, &at, &record->key6, BPF_ANY), 0);
	at = 1;
	assert_int_equal(bpf_map_update_elem(pair_fd, &at, &key->key6, BPF_ANY), 0);
	assert_int_equal(bpf_prog_test_run_opts(mispaired_fd, &opts), 0);
	return opts.retval;
}

/* The sweep was preempted, and holds the record of one and the key of another: neither may end. */
static void a_walk_does_nothing_to_a_stranger(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ct_table *tab = &core.pins.table[six];
		struct ct_flow a, b;
		struct packet p = numbered(six, 1);

		reset(NULL);
		SAME(&p, NEW);
		a = flow_of(six ? 6 : 4);
		b = a;
		*(six ? &b.key6.port[0] : &b.key4.port[0]) ^= htons(1);
		age(31);
		assert_int_equal(visit_pair(six, &a, &b), 0);
		assert_int_equal(tab->half_open, 1);
		assert_int_equal(visit_pair(six, &a, &a), 0); /* ends */
		assert_int_equal(tab->half_open, 0);
		age(5);
		assert_int_equal(visit_pair(six, &a, &b), 0);
		assert_int_equal(tab->nodes, 1);
		assert_int_equal(visit_pair(six, &a, &a), 1); /* leaves */
		assert_int_equal(tab->nodes, 0);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(an_expired_record_is_not_found),
		TEST(time_wait_is_opened_again_in_place),
		TEST(a_translated_tuple_belongs_to_one),
		TEST(a_former_life_does_not_keep_its_tuple),
		TEST(mark_and_label_stay_with_the_connection),
		TEST(state_bits_are_those_of_ovs),
		TEST(start_and_last_time_are_kept),
		TEST(a_fixed_time_out_is_no_packets_business),
		TEST(what_is_fixed_is_not_distrusted),
		TEST(what_is_deleted_frees_its_reply_tuple_at_once),
		TEST(a_record_may_be_entered_where_one_has_ended),
		TEST(a_record_entered_claims_its_tuples),
		TEST(a_walk_does_nothing_to_a_stranger),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_lives", tests, set_up, tear_down) ? 1 : 0;
}
