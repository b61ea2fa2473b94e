/* What else is on a plant's network: names, clocks and web pages. */
#include <errno.h>
#include <stdio.h>

#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	DNS_PERIOD_MS = 4000,
	NTP_PERIOD_MS = 16000,
	HTTP_PERIOD_MS = 12000,
	PORT_DNS = 53,
	PORT_NTP = 123,
	PORT_HTTP = 80,
	PAGE_LEN_MIN = 800,
	PAGE_LEN_MAX = 12000,
	NTP_UNIX_OFFSET_S = 2208988800u, /* RFC 5905 6: 1900 to 1970 */
};

struct visitor {
	struct plant_host *client;
};

static uint64_t
service_send(struct plant_talk *talk, enum plant_end from, const struct buf *message, uint64_t now_ns)
{
	return plant_talk_send(talk, from, message->data, message->len, now_ns);
}

static void
visitor_talk(struct plant *plant, struct plant_actor *actor, struct plant_talk *talk, uint16_t port)
{
	struct visitor *visitor = actor->state;

	plant_talk_init(talk, &plant->net, visitor->client, &plant->services);
	talk->ports[PLANT_SERVER] = port;
	talk->tcp = port == PORT_HTTP;
}

/* RFC 1035 4: one question, and one A record in the response. */
static void
put_dns(struct buf *out, uint16_t id, const char *label, uint32_t answer_ip)
{
	static const char *const domain[] = { "plant", "example" };

	put_be16(out, id);
	put_be16(out, answer_ip != 0 ? 0x8580 : 0x0100);
	put_be16(out, 1);
	put_be16(out, answer_ip != 0);
	put_be32(out, 0);
	put_u8(out, (uint8_t)strlen(label));
	buf_puts(out, label);
	for (size_t i = 0; i < sizeof(domain) / sizeof(domain[0]); i++) {
		put_u8(out, (uint8_t)strlen(domain[i]));
		buf_puts(out, domain[i]);
	}
	put_u8(out, 0);
	put_be32(out, 0x00010001);
	if (answer_ip == 0)
		return;
	put_be16(out, 0xc00c); /* the name in the question */
	put_be32(out, 0x00010001);
	put_be32(out, 3600);
	put_be16(out, 4);
	put_be32(out, answer_ip);
}

static uint64_t
dns_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	uint16_t id = (uint16_t)plant_random_next(&plant->random);
	uint32_t idx = plant_random_below(&plant->random, plant->config.plcs);
	struct plant_talk talk;

	visitor_talk(plant, actor, &talk, PORT_DNS);
	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++) {
		uint8_t bytes[128];
		struct buf message = buf_over(bytes, sizeof(bytes));
		char label[16];

		(void)snprintf(label, sizeof(label), "plc-%03u", idx);
		put_dns(&message, id, label, from == PLANT_CLIENT ? 0 : plant->plc_hosts[idx].ip);
		now_ns = service_send(&talk, from, &message, now_ns) + MILLISECOND_NS;
	}
	return now_ns;
}

static void
put_ntp_time(struct buf *out, uint64_t now_ns)
{
	put_be32(out, (uint32_t)(now_ns / UINT64_C(1000000000)) + NTP_UNIX_OFFSET_S);
	put_be32(out, (uint32_t)((now_ns % UINT64_C(1000000000) << 32) / UINT64_C(1000000000)));
}

/* RFC 5905 7.3: client and server mode, version 4. */
static uint64_t
ntp_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct plant_talk talk;
	uint64_t asked_ns = now_ns;

	visitor_talk(plant, actor, &talk, PORT_NTP);
	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++) {
		uint8_t bytes[48];
		struct buf message = buf_over(bytes, sizeof(bytes));
		bool server = from == PLANT_SERVER;

		put_be32(&message, server ? 0x240206e9 : 0x230006fa);
		put_be32(&message, server ? 0x0120 : 0);
		put_be32(&message, server ? 0x0240 : 0);
		put_be32(&message, server ? 0x47505300 : 0); /* reference: GPS */
		put_ntp_time(&message, server ? now_ns - UINT64_C(9000000000) : 0);
		put_ntp_time(&message, server ? asked_ns : 0);
		put_ntp_time(&message, server ? now_ns : 0);
		put_ntp_time(&message, now_ns);
		now_ns = service_send(&talk, from, &message, now_ns) + MILLISECOND_NS;
	}
	return now_ns;
}

/* RFC 9112: one request, one page. */
static uint64_t
http_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	static const char request[] =
		"GET /trend?hours=8 HTTP/1.1\r\nHost: services.plant.example\r\nAccept: text/html\r\n\r\n";
	uint32_t page_len = plant_random_between(&plant->random, PAGE_LEN_MIN, PAGE_LEN_MAX);
	struct plant_talk talk;
	char page[PAGE_LEN_MAX + 256];
	struct buf message = buf_over(page, sizeof(page));

	visitor_talk(plant, actor, &talk, PORT_HTTP);
	buf_printf(&message, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %u\r\n\r\n", page_len);
	for (uint32_t i = 0; i < page_len; i++)
		put_u8(&message, (uint8_t)('a' + plant_random_mix(i) % 26));
	now_ns = plant_talk_open(&talk, now_ns);
	now_ns = plant_talk_send(&talk, PLANT_CLIENT, request, sizeof(request) - 1, now_ns) + 3 * MILLISECOND_NS;
	now_ns = service_send(&talk, PLANT_SERVER, &message, now_ns);
	now_ns = plant_talk_ack(&talk, PLANT_CLIENT, now_ns);
	return plant_talk_close(&talk, now_ns);
}

static int
add_visitor(struct plant *plant, struct plant_host *client, plant_step_fn step, uint64_t period_ms)
{
	struct plant_actor *actor = plant_add_actor(plant, step, sizeof(struct visitor), period_ms * MILLISECOND_NS);

	if (actor == NULL)
		return -ENOMEM;
	((struct visitor *)actor->state)->client = client;
	actor->frames = step == http_step ? 12 : 2;
	return 0;
}

int
plant_it_populate(struct plant *plant)
{
	int err = 0;

	for (unsigned int i = 0; i < plant->config.hmis && err == 0; i++) {
		err = add_visitor(plant, &plant->hmi_hosts[i], dns_step, DNS_PERIOD_MS);
		if (err == 0)
			err = add_visitor(plant, &plant->hmi_hosts[i], http_step, HTTP_PERIOD_MS);
	}
	for (unsigned int i = 0; i < plant->config.plcs && err == 0; i++)
		err = add_visitor(plant, &plant->plc_hosts[i], ntp_step, NTP_PERIOD_MS);
	return err;
}
