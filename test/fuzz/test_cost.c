/*
 * Cost is a safety property: any 64 KiB of input costs a protocol at most so many steps a byte, and twice the input at
 * most 2.3 times as many. Inputs that have hurt parsers before are offered to every protocol of the table in three ways:
 * at once, in segments, and a few bytes at a time.
 *
 * A step is a multiplication and an addition, each waiting for the one before: some four cycles of any processor. What a
 * protocol does is told in steps: it and they take turns of some microseconds, so that who else is on the processor, its
 * frequency, or a host that takes it away lengthens both. Where one run says dear, the middle of several counts.
 */
#include "test/test.h"

#include <time.h>

#include "lib/base/hash.h"
#include "test/fuzz/proto_session.h"

enum {
	INPUT_LEN = 64 * 1024,
	STEPS_MAX = 80,    /* a byte: 5 ms for 64 KiB at 4 GHz */
	STEPS_FLOOR = 4,   /* below it a doubling measures the clock, not the parser */
	TURN_LEN = 1024,   /* bytes of input, or one piece, before some steps */
	TURN_STEPS = 1024, /* at least */
	RUNS = 5,          /* odd: one is the middle */
	TRIES = 6,
	SEED_LEN_MAX = 64,
};

/* The sanitizers make everything slower, not worse; but not a step, which touches no memory. */
#if defined(__SANITIZE_ADDRESS__)
static const double slowness = 24;
#else
static const double slowness = 1;
#endif

static const double ratio_max = 2.3;

/* Small PDUs that get far into a protocol, repeated to fill the input. A protocol without a row is offered all. */
static const struct seed {
	const char *name;
	uint8_t bytes[SEED_LEN_MAX];
	uint8_t len;
} seeds[] = {
	{ "zeros", { 0 }, 1 },
	{ "ones", { 0xff }, 1 },
	{ "counting", { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, 16 },
	{ "modbus read", { 0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 125 }, 12 },
	{ "modbus shortest", { 0, 1, 0, 0, 0, 2, 1, 7 }, 8 },
	{ "modbus header, garbage behind", { 0, 1, 0, 0, 0, 2, 1, 7, 0xff }, 9 },
	{ "modbus length of 253", { 0, 1, 0, 0, 0, 0xfd, 1, 16 }, 8 },
	{ "http requests", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27 },
	{ "http fields without end", "GET /\tHTTP/1.1\r\nA:b\r\nA: c\r\n d\r\n", 31 },
	{ "http lines without end", "GET /A /A /A /A ", 16 },
	{ "http lines of a response", "HTTP/1.1 200\rA\n :b\r c\n d:e\r\r", 28 },
	{ "http chunks", "HTTP/1.1 200\nTransfer-Encoding:chunked\n\n1\nx\n0\n\n", 47 },
	{ "dnp3 header only", { 0x05, 0x64, 5, 0xc9, 1, 0, 0, 4, 0xe2, 0x1c }, 10 },
	{ "dnp3 start bytes", { 0x05, 0x64 }, 2 },
	{ "dnp3 start byte", { 0x05 }, 1 },
	{ "ftp command", "NOOP\r\n", 6 },
	{ "ftp reply of many lines", "200-\n", 5 },
	{ "smtp commands", "RCPT TO:<a>\r\n", 13 },
	{ "smtp message", "EHLO a\r\nDATA\r\na:b\r\n\r\n=3D\r\n.\r\n", 33 },
	{ "smtp parts", "DATA\r\nContent-Type:multipart/x;boundary=a\n\n--a\n\n--a--\n.\n", 58 },
	{ "smb headers", { 0, 0, 0, 35, 0xff, 'S', 'M', 'B', 0x2b, 0, 0, 0, 0, 0x18 }, 39 },
	{ "dns question", { 0, 0x23, 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0x70, 0x6c, 0x63, 5, 0x70, 0x6c,
		0x61, 0x6e, 0x74, 7, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0, 0, 1, 0, 1 }, 37 },
	{ "dns strings of nothing", { 0, 0x2b, 0x12, 0x34, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0, 0, 1, 0, 20, [44] = 0 }, 45 },
	{ "dns pointers to pointers", { 0xc0, 0x0c, 0x81, 0x80, 0, 1, 2, 0, 0, 0, 0, 0 }, 12 },
	{ "dnp3 longest length", { 0x05, 0x64, 0xff, 0x44, 1, 0, 0, 4 }, 8 },
	{ "tls client hello", { 0x16, 3, 1, 0, 0x2f, 1, 0, 0, 0x2b, 3, 3, [43] = 0, 0, 4, 0xc0, 0x2f, 0, 0x2f, 1, 0 }, 52 },
	{ "tls shortest message", { 0x16, 3, 3, 0, 4, 14, 0, 0, 0 }, 9 },
	{ "tls message that goes on", { 0x16, 3, 3, 0, 5, 11, 0, 0xff, 0, 0 }, 10 },
	{ "tls alert", { 0x15, 3, 3, 0, 2, 1, 0 }, 7 },
	{ "ssh banner", { 'S', 'S', 'H', '-', '2', '.', '0', '-', 'a', 10 }, 10 },
	{ "ssh prefix", { 'S', 'S', 'H', '-' }, 4 },
	{ "ssh shortest packet", { 0, 0, 0, 12, 10, 2 }, 16 },
	{ "ssh key exchange", { 0, 0, 0, 60, 4, 20, [25] = 1, 'a', [34] = 'b' }, 64 },
	{ "tls data of one byte", { 0x17, 3, 3, 0, 1, 0 }, 6 },
};

static const uint32_t piece_lens[] = { INPUT_LEN, 1460, 3 };

static uint8_t input[2 * INPUT_LEN];

static void
ignore_record(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
}

static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* What two took in their turns. */
struct turns {
	double work_us, steps_us;
	uint64_t steps;
};

/* As long as the work took about half of, which just took its turn. */
static void
take_steps(struct turns *turns, double took_us)
{
	static volatile uint64_t seed = 1;
	uint64_t value = seed, steps = TURN_STEPS;
	double start = now_us();

	if (turns->steps > 0)
		steps += (uint64_t)(took_us / 2 / turns->steps_us * (double)turns->steps);
	for (uint64_t i = 0; i < steps; i++)
		value = value * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	seed = value;
	turns->steps += steps;
	turns->steps_us += now_us() - start;
}

/* @return the steps that the work of a flow is worth */
static double
run_steps(struct fuzz_flow *flow, uint32_t len, uint32_t piece_len, bool tcp)
{
	struct turns turns = { 0 };
	double start, took_us;

	flow->in_place = slowness == 1; /* else the sanitizer looks for reads behind the end */
	fuzz_flow_begin(flow, tcp, true);
	take_steps(&turns, 0);
	for (uint32_t at = 0, end = TURN_LEN; at < len; end = at + TURN_LEN) {
		start = now_us();
		for (; at < len && at < end; at += piece_len)
			fuzz_flow_data(flow, at / piece_len % 2, input + at, len - at < piece_len ? len - at : piece_len, 0);
		took_us = now_us() - start;
		turns.work_us += took_us;
		take_steps(&turns, took_us);
	}
	start = now_us();
	fuzz_flow_end(flow);
	turns.work_us += now_us() - start;
	return turns.work_us / turns.steps_us * (double)turns.steps / slowness;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The middle of so many runs of so many bytes, and of twice as many, in turns. */
static void
cost_doubling(struct fuzz_flow *flow, uint32_t len, uint32_t piece_len, bool tcp, unsigned int count, double middle[2])
{
	double runs[2][RUNS];

	for (unsigned int run = 0; run < count; run++)
		for (unsigned int i = 0; i < 2; i++)
			runs[i][run] = run_steps(flow, len << i, piece_len, tcp);
	for (unsigned int i = 0; i < 2; i++) {
		qsort(runs[i], count, sizeof(runs[i][0]), compare_doubles);
		middle[i] = runs[i][count / 2];
	}
}

/*
 * Whether twice the input costs about twice as much. A long PDU that ends just behind the first half makes one doubling look
 * dear; what grows faster than its input shows in the next doubling as well, and more.
 */
static bool
grows_evenly(struct fuzz_flow *flow, uint32_t piece_len, bool tcp, unsigned int count, const double half_whole[2])
{
	double whole_twice[2];

	if (half_whole[1] <= ratio_max * half_whole[0])
		return true;
	cost_doubling(flow, INPUT_LEN, piece_len, tcp, count, whole_twice);
	return whole_twice[1] <= ratio_max * whole_twice[0];
}

struct cost {
	double steps;  /* a byte */
	double growth; /* when the input doubles; 0: too short to say */
};

/* What cost most so far. */
struct dearest {
	double steps;
	const char *input_name;
	uint32_t piece_len;
};

/* @return whether the bounds hold in one of the tries; a noisy neighbour may spoil some of them, not all */
static bool
is_cheap(struct fuzz_flow *flow, uint32_t piece_len, bool tcp, unsigned int tries, struct cost *cost)
{
	for (unsigned int try = 0; try < tries; try++) {
		unsigned int count = try == 0 ? 1 : RUNS; /* what is cheap at once need not be asked again */
		double half_whole[2];

		*cost = (struct cost){ .steps = run_steps(flow, INPUT_LEN, piece_len, tcp) / INPUT_LEN };
		if (cost->steps <= STEPS_FLOOR)
			return true;
		cost_doubling(flow, INPUT_LEN / 2, piece_len, tcp, count, half_whole);
		*cost = (struct cost){ half_whole[1] / INPUT_LEN, half_whole[1] / half_whole[0] };
		if (cost->steps <= STEPS_MAX && grows_evenly(flow, piece_len, tcp, count, half_whole))
			return true;
	}
	return false;
}

static unsigned int
count_dear(struct fuzz_flow *flow, const char *input_name, struct dearest *dearest)
{
	unsigned int dear = 0;

	for (unsigned int i = 0; i < TEST_COUNT(piece_lens); i++)
		for (int tcp = 0; tcp < 2; tcp++) {
			struct cost cost;

			if (!(flow->proto->transports & (tcp ? PROTO_TCP : PROTO_UDP)))
				continue;
			if (!is_cheap(flow, piece_lens[i], tcp, TRIES, &cost)) {
				print_error("%s: %s in pieces of %u over %s: %.1f steps a byte, %.1f times those of half of it\n",
					flow->proto->app.name, input_name, piece_lens[i], tcp ? "tcp" : "udp", cost.steps, cost.growth);
				dear++;
			}
			if (cost.steps > dearest->steps)
				*dearest = (struct dearest){ cost.steps, input_name, piece_lens[i] };
		}
	return dear;
}

static void
test_cost(void **state)
{
	unsigned int dear = 0;

	for (unsigned int p = 0; proto_table[p] != NULL; p++) {
		struct fuzz_flow *flow = fuzz_flow_create(proto_table[p], ignore_record, NULL);
		struct dearest dearest = { 0 };
		uint32_t random = 1;

		for (unsigned int s = 0; s < TEST_COUNT(seeds); s++) {
			for (uint32_t at = 0; at < sizeof(input); at++)
				input[at] = seeds[s].bytes[at % seeds[s].len];
			dear += count_dear(flow, seeds[s].name, &dearest);
		}
		for (uint32_t at = 0; at < sizeof(input); at++) {
			random = hash_u64(random, at);
			input[at] = (uint8_t)random;
		}
		dear += count_dear(flow, "random bytes", &dearest);
		print_message("%s: at most %.1f steps a byte, %s in pieces of %u\n", proto_table[p]->app.name, dearest.steps,
			dearest.input_name, dearest.piece_len);
		fuzz_flow_destroy(flow);
	}
	assert_int_equal(dear, 0);
}

/* ---- what it must find, on any machine ---- */

enum { BAD_PDU_LEN = 16, BAD_STEPS = 5 * STEPS_MAX * BAD_PDU_LEN };

struct bad_state {
	uint64_t pdus;
};

static int
bad_frame(struct cursor in, bool to_server)
{
	return cursor_left(&in) < BAD_PDU_LEN ? 0 : BAD_PDU_LEN;
}

static void
work(uint64_t steps)
{
	static volatile uint64_t seed = 1;

	for (uint64_t i = 0; i < steps; i++)
		seed = seed * 3 + 1;
}

static void
dear_parse(struct proto_ctx *ctx, struct cursor in)
{
	work(BAD_STEPS * (uint64_t)slowness);
}

/* As who searches all that came before. */
static void
growing_parse(struct proto_ctx *ctx, struct cursor in)
{
	struct bad_state *state = ctx->state;

	work(state->pdus++ / 2 * (uint64_t)slowness);
}

static void
test_teeth(void **state)
{
	static const struct rule_app_event none[1];
	static const struct proto bad[] = {
		{ .app = { .name = "dear", .record = &identity_table, .events = none }, .transports = PROTO_TCP, .frame = bad_frame,
			.parse = dear_parse, .state_len = sizeof(struct bad_state) },
		{ .app = { .name = "growing", .record = &identity_table, .events = none }, .transports = PROTO_TCP, .frame = bad_frame,
			.parse = growing_parse, .state_len = sizeof(struct bad_state) },
	};

	for (unsigned int i = 0; i < TEST_COUNT(bad); i++) {
		struct fuzz_flow *flow = fuzz_flow_create(&bad[i], ignore_record, NULL);
		struct cost cost;

		assert_false(is_cheap(flow, 1460, true, 1, &cost));
		print_message("%s: %.1f steps a byte, %.1f times those of half of it\n", bad[i].app.name, cost.steps, cost.growth);
		fuzz_flow_destroy(flow);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_teeth), cmocka_unit_test(test_cost) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
