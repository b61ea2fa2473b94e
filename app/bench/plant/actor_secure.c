/*
 * What a plant encrypts: operator stations read a historian's pages over TLS 1.2, and an engineer logs in to controllers
 * over SSH. The handshakes are in the clear and written out here; keys, signatures and what follows are bytes by chance.
 */
#include <errno.h>
#include <stdio.h>

#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	PORT_TLS = 443,
	PORT_SSH = 22,
	TLS_PERIOD_MS = 15000,
	SSH_PERIOD_MS = 60000,
	SERVER_DELAY_NS = 1500000,
	MESSAGE_LEN_MAX = 4096,
	PAGE_LEN_MAX = 2048,
	RECORD_HANDSHAKE = 22,
	RECORD_CHANGE_CIPHER = 20,
	RECORD_DATA = 23,
};

struct user {
	struct plant_host *client;
	struct plant_host *server;
};

/* Bytes under construction. A length stands before what it counts and is filled in last. */
struct message {
	uint8_t bytes[MESSAGE_LEN_MAX];
	struct buf body;
};

static void
message_begin(struct message *message)
{
	message->body = buf_over(message->bytes, sizeof(message->bytes));
}

/* A length of so many bytes, to be filled in by close_length(). @return where it stands */
static size_t
open_length(struct message *message, unsigned int width)
{
	size_t at = message->body.len;

	for (unsigned int i = 0; i < width; i++)
		put_u8(&message->body, 0);
	return at;
}

static void
close_length(struct message *message, size_t at, unsigned int width)
{
	size_t len = message->body.len - at - width;

	for (unsigned int i = 0; i < width && !message->body.full; i++)
		message->bytes[at + i] = (uint8_t)(len >> 8 * (width - 1 - i));
}

static void
put_chance(struct plant *plant, struct message *message, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_u8(&message->body, (uint8_t)plant_random_next(&plant->random));
}

static uint64_t
message_send(struct plant_talk *talk, enum plant_end from, const struct message *message, uint64_t now_ns)
{
	return plant_talk_send(talk, from, message->body.data, message->body.len, now_ns);
}

/* ---- a certificate (RFC 5280 4.1) ---- */

/* An element whose length takes two bytes more than its first: any content fits. */
static size_t
der_open(struct message *message, uint8_t tag)
{
	put_u8(&message->body, tag);
	put_u8(&message->body, 0x82);
	return open_length(message, 2);
}

static void
der_text(struct message *message, uint8_t tag, const char *text)
{
	put_u8(&message->body, tag);
	put_u8(&message->body, (uint8_t)strlen(text));
	buf_puts(&message->body, text);
}

static void
der_bytes(struct message *message, const char *bytes, size_t len)
{
	buf_put(&message->body, bytes, len);
}

/* One attribute of X.520: CN is 3, O is 10. */
static void
der_attribute(struct message *message, uint8_t attribute, const char *text)
{
	size_t set = der_open(message, 0x31), pair = der_open(message, 0x30);
	const uint8_t oid[] = { 0x06, 3, 0x55, 4, attribute };

	buf_put(&message->body, oid, sizeof(oid));
	der_text(message, 0x0c, text);
	close_length(message, pair, 2);
	close_length(message, set, 2);
}

static void
der_name(struct message *message, const char *common_name)
{
	size_t name = der_open(message, 0x30);

	der_attribute(message, 10, "Plant Example");
	der_attribute(message, 3, common_name);
	close_length(message, name, 2);
}

/* Key and signature: the same bytes each time, as a server shows the same certificate. */
static void
der_bits(struct message *message)
{
	put_u8(&message->body, 0x03);
	put_u8(&message->body, 0x41);
	put_u8(&message->body, 0);
	for (uint32_t i = 0; i < 64; i++)
		put_u8(&message->body, (uint8_t)plant_random_mix(i));
}

static void
der_certificate(struct message *message, const char *host)
{
	static const char algorithm[] = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"; /* RSA with SHA-256 */
	static const char version[] = "\xa0\x03\x02\x01\x02\x02\x02\x17\x2a"; /* and a serial number */
	size_t certificate = der_open(message, 0x30), tbs = der_open(message, 0x30), at;

	der_bytes(message, version, sizeof(version) - 1);
	der_bytes(message, algorithm, sizeof(algorithm) - 1);
	der_name(message, "Plant CA");
	at = der_open(message, 0x30);
	der_text(message, 0x17, "240101000000Z");
	der_text(message, 0x17, "390101000000Z");
	close_length(message, at, 2);
	der_name(message, host);
	at = der_open(message, 0x30);
	der_bytes(message, algorithm, sizeof(algorithm) - 1);
	der_bits(message);
	close_length(message, at, 2);
	close_length(message, tbs, 2);
	der_bytes(message, algorithm, sizeof(algorithm) - 1);
	der_bits(message);
	close_length(message, certificate, 2);
}

/* ---- TLS 1.2 (RFC 5246) ---- */

static size_t
record_open(struct message *message, uint8_t type)
{
	put_u8(&message->body, type);
	put_be16(&message->body, 0x0303);
	return open_length(message, 2);
}

static void
put_client_hello(struct plant *plant, struct message *message, const char *host)
{
	static const char ciphers[] = "\xc0\x2f\xc0\x30\x00\x9c\x00\x2f";
	size_t record = record_open(message, RECORD_HANDSHAKE), hello, extensions, extension, list;

	put_u8(&message->body, 1);
	hello = open_length(message, 3);
	put_be16(&message->body, 0x0303);
	put_chance(plant, message, 32);
	put_u8(&message->body, 0);
	put_be16(&message->body, sizeof(ciphers) - 1);
	der_bytes(message, ciphers, sizeof(ciphers) - 1);
	put_be16(&message->body, 0x0100);
	extensions = open_length(message, 2);
	put_be16(&message->body, 0); /* server name, RFC 6066 3 */
	extension = open_length(message, 2);
	list = open_length(message, 2);
	put_u8(&message->body, 0);
	put_be16(&message->body, (uint16_t)strlen(host));
	buf_puts(&message->body, host);
	close_length(message, list, 2);
	close_length(message, extension, 2);
	der_bytes(message, "\x00\x0a\x00\x04\x00\x02\x00\x17", 8); /* supported groups: secp256r1 */
	der_bytes(message, "\x00\x10\x00\x0b\x00\x09\x08http/1.1", 15); /* ALPN */
	close_length(message, extensions, 2);
	close_length(message, hello, 3);
	close_length(message, record, 2);
}

static void
put_server_flight(struct plant *plant, struct message *message, const char *host)
{
	size_t record = record_open(message, RECORD_HANDSHAKE), at, list, one;

	put_u8(&message->body, 2);
	at = open_length(message, 3);
	put_be16(&message->body, 0x0303);
	put_chance(plant, message, 32);
	put_u8(&message->body, 0);
	der_bytes(message, "\xc0\x2f\x00", 3);
	close_length(message, at, 3);
	put_u8(&message->body, 11);
	at = open_length(message, 3);
	list = open_length(message, 3);
	one = open_length(message, 3);
	der_certificate(message, host);
	close_length(message, one, 3);
	close_length(message, list, 3);
	close_length(message, at, 3);
	put_be32(&message->body, 0x0e000000);
	close_length(message, record, 2);
}

static void
put_record(struct plant *plant, struct message *message, uint8_t type, size_t len)
{
	size_t record = record_open(message, type);

	put_chance(plant, message, len);
	close_length(message, record, 2);
}

/* ChangeCipherSpec and the encrypted Finished, after the client's key where it is the client. */
static void
put_finish(struct plant *plant, struct message *message, bool client)
{
	if (client) {
		size_t record = record_open(message, RECORD_HANDSHAKE);

		put_be32(&message->body, 0x10000021);
		put_u8(&message->body, 32);
		put_chance(plant, message, 32);
		close_length(message, record, 2);
	}
	der_bytes(message, "\x14\x03\x03\x00\x01\x01", 6);
	put_record(plant, message, RECORD_HANDSHAKE, 40);
}

static uint64_t
tls_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	static const char host[] = "historian.plant.example";
	struct user *user = actor->state;
	struct message message;
	struct plant_talk talk;

	plant_talk_init(&talk, &plant->net, user->client, user->server);
	talk.ports[PLANT_SERVER] = PORT_TLS;
	now_ns = plant_talk_open(&talk, now_ns);
	message_begin(&message);
	put_client_hello(plant, &message, host);
	now_ns = message_send(&talk, PLANT_CLIENT, &message, now_ns);
	message_begin(&message);
	put_server_flight(plant, &message, host);
	now_ns = message_send(&talk, PLANT_SERVER, &message, now_ns + SERVER_DELAY_NS);
	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++) {
		message_begin(&message);
		put_finish(plant, &message, from == PLANT_CLIENT);
		now_ns = message_send(&talk, from, &message, now_ns + SERVER_DELAY_NS);
	}
	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++) {
		message_begin(&message);
		put_record(plant, &message, RECORD_DATA, from == PLANT_CLIENT ? 180 : PAGE_LEN_MAX);
		now_ns = message_send(&talk, from, &message, now_ns + SERVER_DELAY_NS);
	}
	now_ns = plant_talk_ack(&talk, PLANT_CLIENT, now_ns);
	return plant_talk_close(&talk, now_ns);
}

/* ---- SSH (RFC 4253) ---- */

static void
put_packet(struct plant *plant, struct message *message, uint8_t type, size_t len)
{
	size_t padding_len = 8 - (len + 6) % 8 + 8;

	put_be32(&message->body, (uint32_t)(len + 2 + padding_len));
	put_u8(&message->body, (uint8_t)padding_len);
	put_u8(&message->body, type);
	put_chance(plant, message, len + padding_len);
}

static void
put_kexinit(struct plant *plant, struct message *message)
{
	static const char *const lists[] = { "curve25519-sha256,ecdh-sha2-nistp256", "ssh-ed25519", "aes128-ctr,aes256-ctr",
		"aes128-ctr,aes256-ctr", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", "" };
	size_t packet = open_length(message, 4), padding_len;

	put_u8(&message->body, 0);
	put_u8(&message->body, 20);
	put_chance(plant, message, 16);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		put_be32(&message->body, (uint32_t)strlen(lists[i]));
		buf_puts(&message->body, lists[i]);
	}
	put_u8(&message->body, 0);
	put_be32(&message->body, 0);
	padding_len = 8 - (message->body.len - packet) % 8 + 8;
	message->bytes[packet + 4] = (uint8_t)padding_len;
	put_chance(plant, message, padding_len);
	close_length(message, packet, 4);
}

static uint64_t
ssh_exchange(struct plant *plant, struct plant_talk *talk, uint8_t type, size_t len, uint64_t now_ns)
{
	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++) {
		struct message message;

		message_begin(&message);
		if (type == 20)
			put_kexinit(plant, &message);
		else if (type != 0)
			put_packet(plant, &message, (uint8_t)(type + (type == 30 ? from : 0)), len);
		else
			put_chance(plant, &message, len); /* encrypted */
		now_ns = message_send(talk, from, &message, now_ns + SERVER_DELAY_NS);
	}
	return now_ns;
}

static uint64_t
ssh_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	static const char *const banners[] = { "SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_8.4p1 controller\r\n" };
	struct user *user = actor->state;
	struct plant_talk talk;

	user->server = &plant->plc_hosts[plant_random_below(&plant->random, plant->config.plcs)];
	plant_talk_init(&talk, &plant->net, user->client, user->server);
	talk.ports[PLANT_SERVER] = PORT_SSH;
	now_ns = plant_talk_open(&talk, now_ns);
	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++)
		now_ns = plant_talk_send(&talk, from, banners[from], strlen(banners[from]), now_ns + MILLISECOND_NS);
	now_ns = ssh_exchange(plant, &talk, 20, 0, now_ns);
	now_ns = ssh_exchange(plant, &talk, 30, 36, now_ns);
	now_ns = ssh_exchange(plant, &talk, 21, 0, now_ns);
	for (unsigned int i = 0; i < 4; i++)
		now_ns = ssh_exchange(plant, &talk, 0, 96, now_ns);
	now_ns = plant_talk_ack(&talk, PLANT_CLIENT, now_ns);
	return plant_talk_close(&talk, now_ns);
}

static int
add_user(struct plant *plant, struct plant_host *client, plant_step_fn step, uint64_t period_ms)
{
	struct plant_actor *actor = plant_add_actor(plant, step, sizeof(struct user), period_ms * MILLISECOND_NS);

	if (actor == NULL)
		return -ENOMEM;
	*(struct user *)actor->state = (struct user){ .client = client, .server = &plant->historian };
	actor->frames = 20;
	return 0;
}

int
plant_tls_populate(struct plant *plant)
{
	int err = 0;

	for (unsigned int i = 0; i < plant->config.hmis && err == 0; i++)
		err = add_user(plant, &plant->hmi_hosts[i], tls_step, TLS_PERIOD_MS);
	return err;
}

int
plant_ssh_populate(struct plant *plant)
{
	return plant->config.plcs == 0 ? 0 : add_user(plant, &plant->engineer, ssh_step, SSH_PERIOD_MS);
}
