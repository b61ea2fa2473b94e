#include "app/bench/protocols.h"

#include <stdio.h>

enum { CLOCK_TRIES = 1000 };

/* What reading the clock twice takes by itself. */
static uint64_t
clock_cycles(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < CLOCK_TRIES; i++) {
		uint64_t since = __builtin_ia32_rdtsc();
		uint64_t took = __builtin_ia32_rdtsc() - since;

		least = took < least ? took : least;
	}
	return least;
}

static json_t *
figures(const struct proto_meter *meter, uint64_t clock)
{
	double mean = (double)meter->cycles / (double)meter->pdus - (double)clock;
	uint64_t median = histogram_share(meter->buckets, 0.5), p99 = histogram_share(meter->buckets, 0.99);

	return json_pack("{s:I,s:f,s:I,s:I}", "pdus", (json_int_t)meter->pdus, "mean", mean > 0 ? mean : 0.0,
		"median", (json_int_t)(median > clock ? median - clock : 0), "p99", (json_int_t)(p99 > clock ? p99 - clock : 0));
}

json_t *
protocols_json(const struct proto_settings *settings, const struct proto_meter *plain, const struct proto_meter *ruled)
{
	uint64_t clock = clock_cycles();
	json_t *out = json_object();

	for (unsigned int i = 0; i < proto_settings_count(settings); i++)
		if (plain[i].pdus > 0 && ruled[i].pdus > 0)
			json_object_set_new(out, proto_settings_proto(settings, i)->app.name,
				json_pack("{s:o,s:o}", "no_rules", figures(&plain[i], clock), "rules", figures(&ruled[i], clock)));
	return out;
}

static double
figure(const json_t *protocol, const char *run, const char *name)
{
	return json_number_value(json_object_get(json_object_get(protocol, run), name));
}

void
protocols_print(const json_t *protocols)
{
	const char *name;
	json_t *protocol;

	printf("| protocol | PDUs | cycles a PDU: median | mean | p99 | with rules: median | mean | p99 |\n"
	       "|---|---|---|---|---|---|---|---|\n");
	json_object_foreach((json_t *)protocols, name, protocol)
		printf("| %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f |\n", name, figure(protocol, "rules", "pdus"),
			figure(protocol, "no_rules", "median"), figure(protocol, "no_rules", "mean"), figure(protocol, "no_rules", "p99"),
			figure(protocol, "rules", "median"), figure(protocol, "rules", "mean"), figure(protocol, "rules", "p99"));
}
