/*
 * A small language for conversations, one statement a line; `#` begins a comment, `;` also
 * ends a statement. It describes attacks (attack.c) and the captures of rule cases.
 *
 *   talk [modbus|dnp3|raw] [tcp|udp] [CLIENT[:PORT]] [SERVER[:PORT]] [midstream]
 *                     begins a conversation (at most SCRIPT_TALKS_MAX); later statements are about it
 *   use N             goes back to the Nth conversation, from 0
 *   > MESSAGE         from the client; < MESSAGE from the server
 *   loop N … end      repeats; $i counts from 0, $r is a random 16-bit number
 *   goose KEY=VALUE … | sv KEY=VALUE … | ether TYPE HEX
 *                     a frame without IP (publish.h has the keys); needs no talk
 *   wait MS | segment BYTES | hold | flush | close | reset [server]
 *
 * hold joins the messages that follow into one piece, which flush sends. A MESSAGE is
 *   raw HEX           bytes as they are
 *   pdu HEX           an application PDU or fragment, in its protocol's headers
 *   answer            what a believable server replies to the client's last message
 *   KEY=VALUE …       a PDU composed of its fields in the order given (script_message.c has the keys)
 *
 * Example: talk modbus; > unit=1 function=5 address=1 value=0xff00; < answer; close
 */
#ifndef MR_BENCH_PLANT_SCRIPT_H
#define MR_BENCH_PLANT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/bench/plant/dnp3.h"
#include "app/bench/plant/modbus.h"
#include "app/bench/plant/publish.h"
#include "app/bench/plant/talk.h"

enum {
	SCRIPT_TALKS_MAX = 8,
	SCRIPT_HOSTS_MAX = 16,
	SCRIPT_LOOPS_MAX = 4,
	SCRIPT_WORDS_MAX = 32,
	SCRIPT_LINE_LEN_MAX = 8192,
	SCRIPT_MESSAGE_LEN_MAX = 4096,
};

struct script_protocol;

struct script_talk {
	struct plant_talk talk;
	const struct script_protocol *protocol;
	uint16_t transaction_id; /* Modbus: of the client's last message */
	uint8_t unit_id;
	uint8_t seq; /* DNP3: application sequence of the client's next message */
	struct plant_dnp3_end ends[2]; /* by enum plant_end */
	uint8_t request[SCRIPT_MESSAGE_LEN_MAX]; /* the client's last PDU */
	size_t request_len;
};

struct script_loop {
	size_t start; /* text offset behind the loop statement */
	uint32_t left;
	uint32_t counter;
	unsigned int line;
};

/** Finds a host by a word that is not an address ("attacker"); NULL: none. Borrowed. */
typedef struct plant_host *(*script_find_host_fn)(void *owner, const char *word);

struct script {
	struct plant_net *net;
	const char *text; /* borrowed while the script runs */
	size_t at;
	unsigned int line;
	struct plant_plc *plc; /* answers Modbus; borrowed */
	struct plant_outstation *outstation; /* answers DNP3; borrowed */
	script_find_host_fn find_host; /* NULL: addresses only */
	void *owner;
	struct plant_host hosts[SCRIPT_HOSTS_MAX];
	unsigned int host_count;
	struct script_talk *talks; /* [SCRIPT_TALKS_MAX], owned */
	unsigned int talk_count;
	struct script_talk *talk;
	struct plant_goose goose; /* the last message of its kind: the next one begins as it was */
	struct plant_sv sv;
	struct script_loop loops[SCRIPT_LOOPS_MAX];
	unsigned int loop_depth;
	uint8_t held[SCRIPT_MESSAGE_LEN_MAX];
	size_t held_len;
	enum plant_end held_from;
	bool holding;
	char err[256]; /* what is wrong, with the line */
};

/** @return 0 or -ENOMEM; text, plc and outstation are borrowed until script_destroy() */
int script_create(struct script **out, struct plant_net *net, const char *text);
void script_destroy(struct script *script);
/**
 * Runs the next statement.
 * @param now_ns  in: its time; out: the time after it
 * @return 1: there is more, 0: the end, -EINVAL with script->err set
 */
int script_step(struct script *script, uint64_t *now_ns);

/* ---- script_message.c ---- */

/** The words of one statement after the arrow. */
struct script_words {
	const char *word[SCRIPT_WORDS_MAX];
	unsigned int count;
};

struct script_protocol {
	const char *name;
	uint16_t port;
	const struct script_key *keys;
	unsigned int key_count;
	/** Wraps a PDU in its headers and remembers it where the client sent it. */
	void (*wrap)(struct script_talk *talk, enum plant_end from, const int64_t header[], struct buf *inner,
		struct buf *wire);
	/** Sends what the server replies. NULL: it cannot. */
	uint64_t (*answer)(struct script *script, struct script_talk *talk, uint64_t now_ns);
};

/** @return NULL where there is none of that name */
const struct script_protocol *script_protocol_find(const char *name);
/** Composes a message (all forms but answer). @return 0 or -EINVAL with script->err set */
int script_message(struct script *script, enum plant_end from, const struct script_words *words, struct buf *wire);
/** A number in C notation, $i or $r. @return 0, or -EINVAL with *value 0 */
int script_number(struct script *script, const char *text, uint32_t *value);
int script_fail(struct script *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
