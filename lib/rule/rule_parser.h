/*
 * Reading rules: the draft a rule is built in, and the table of keywords. A keyword is one setup
 * function in keyword_<class>.c and one row in keywords.c.
 *
 * Thread: the control thread. A parser lives for one ruleset_create().
 */
#ifndef MR_RULE_PARSER_H
#define MR_RULE_PARSER_H

#include "lib/rule/rule_internal.h"

/** What a packet is, a bit each: a transport over IPv4, the same over IPv6; ARP, other frames. */
enum rule_kind {
	KIND_TCP = 3 << 0,
	KIND_UDP = 3 << 2,
	KIND_ICMP = 3 << 4,
	KIND_ICMPV6 = 3 << 6,
	KIND_SCTP = 3 << 8,
	KIND_IGMP = 3 << 10,
	KIND_OTHER_IP = 3 << 12,
	KIND_ARP = 1 << 14,
	KIND_ETHER = 1 << 15,
	KIND_IPV4 = 0x1555,
	KIND_IPV6 = 0x2aaa,
	KIND_IP = KIND_IPV4 | KIND_IPV6,
	KIND_ANY = 0xffff,
};

/** Nodes of one buffer, in the order they were written. */
struct rule_draft_buffer {
	struct rule_buffer buffer;
	struct rule_node nodes[RULE_NODES_MAX];
	struct rule_transform transforms[RULE_TRANSFORMS_MAX];
	unsigned int transform_count;
	char transform_text[RULE_TRANSFORM_TEXT_MAX]; /* what tells lists apart */
	const char *at, *keyword;                     /* the last transform's place */
	const char *name;                             /* the keyword that named it; of the rule at hand */
	bool is_asked;                                /* a condition asks for its field: nothing need look into it */
};

struct rule_class_row {
	char *name;
	char *description;
	uint8_t priority;
};

/** A scheme of references: what stands before the value, as "https://". */
struct rule_reference_row {
	char *scheme;
	char *prefix;
};

/** $VAR groups already worked out, by text. */
struct rule_group_cache_row;

struct rule_parser {
	struct ruleset *set;
	const struct rule_config *config;
	struct rule_class_row *classes;
	unsigned int class_count;
	struct rule_reference_row *schemes;   /* of reference.config; none without one */
	unsigned int scheme_count;
	struct rule_group_cache_row *address_cache, *port_cache;

	/* the text at hand: a rule for each place that its file.data may mean */
	unsigned int reading, readings;       /* which of how many */
	struct rule *first;                   /* of those that are in the set already, or NULL */

	/* the rule at hand */
	struct rule draft;
	enum rule_direction body_direction;   /* of its file.data; RULE_EITHER without one */
	struct rule_draft_buffer *buffers;    /* [RULE_BUFFERS_MAX] */
	unsigned int buffer_count;
	const struct rule_app_alias *alias;   /* the rule is about these records alone; NULL: all of its protocol */
	uint8_t directions;                   /* bit i: a buffer of enum rule_direction i is used */
	int buffer;                           /* the one that content goes to, -1: the payload, not yet used */
	int moved;                            /* where the last content went that names its buffer itself, -1: nowhere */
	bool is_bare, behind_bare;            /* the option at hand, the one before: a field without text that is to be there */
	struct rule_node *last_node;          /* of the option at hand */
	struct rule_node *last_content;       /* what nocase, depth and so on speak of */
	struct rule_test tests[RULE_TESTS_MAX];
	unsigned int test_count;
	struct rule_state states[RULE_STATES_MAX];
	unsigned int state_count;
	char var_names[RULE_VARS_MAX][32];
	unsigned int var_count;
	bool priority_given;
	struct buf metadata, references;      /* JSON text being built */
	uint16_t kinds, header_kinds;         /* enum rule_kind: what is left of packets that could match; those of the header */
	bool transport;                       /* some keyword is of the header of a transport */
	char proto[32];                       /* of the header, as it was written */
	char never[160];                      /* why it can never fire; "": not known that it cannot */

	/* where we are */
	const char *file;
	unsigned int line;
	const char *text;                     /* the joined rule */
	const char *raw, *raw_end;            /* its lines as they stand in the file, and what follows them */
	size_t indent;                        /* blanks before it */
	const char *at;                       /* in text: the option or word at hand */
	const char *name_at;                  /* in text: the keyword at hand */
	const char *keyword;
	bool probing;                         /* `requires` may ask for keywords: the draft is thrown away */
	bool unmet;                           /* a condition of `requires`: the rule is left out, and that is no error */
	char reason[sizeof(((struct rule_error *)0)->reason)];
	bool no_memory;
};

/** Refuses the rule at hand. @return -EINVAL, so that a setup can return it. */
int rule_refuse(struct rule_parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** @return -ENOMEM, and ends the reading of the set. */
int rule_no_memory(struct rule_parser *parser);

/** Compiles an option's value. @param value  writable, trimmed; NULL: the keyword stands alone */
typedef int (*rule_keyword_fn)(struct rule_parser *parser, char *value);

enum rule_keyword_flag {
	KEYWORD_VALUE = 1,          /* needs one */
	KEYWORD_NO_VALUE = 2,
	KEYWORD_QUOTED = 4,         /* outer quotes are taken off */
};

struct rule_keyword {
	const char *name;
	rule_keyword_fn setup;
	uint8_t flags;
	uint16_t kinds;             /* enum rule_kind: packets that it can hold on */
	const char *help;
	const char *example;        /* options of a rule that loads; a whole rule where it begins with its action */
};

/** Every keyword of the language that is not a protocol's, ends with a NULL name. keywords.c */
extern const struct rule_keyword rule_keywords[];
/** Refuses a keyword or buffer that is not here, and says why as precisely as is known. @return -EINVAL */
int rule_refuse_missing(struct rule_parser *parser, const char *name);

/* ---- rule_near.c: what was meant, of names that are not known ---- */

struct near;

/** The nearest keyword, buffer or field; "": none is near. @param near  where the answer is */
const char *rule_near_keyword(const struct rule_parser *parser, const char *written, struct near *near);
/** The nearest protocol, likewise. */
const char *rule_near_app(const struct rule_parser *parser, const char *written, struct near *near);
/** The older names of buffers. keyword_buffer.c */
void rule_buffer_offer(struct near *near);
/** Refuses what is no number, and none of the names (NULL: the field has none). @return -EINVAL */
int rule_refuse_name(struct rule_parser *parser, const char *text, const struct field_names *names);

/** Whether a keyword of that name is there: of the language, or of a protocol. Spoils the draft. */
bool rule_keyword_known(struct rule_parser *parser, const char *name);
/** The position of a protocol by its name, -1: it has no parser here. keyword_event.c */
int rule_app_find(const struct rule_parser *parser, const char *name, size_t len);

/* ---- rule_parse.c ---- */

/** Reads the rules of one text. @return 0 or -ENOMEM; refused rules are in set->errors. */
int rule_parse_text(struct rule_parser *parser, const char *file, const char *text, size_t len);
/** Splits the rule text and fills parser->draft. rule_header.c, rule_options.c. @return 0, -EINVAL, -ENOMEM */
int rule_parse_header(struct rule_parser *parser, char *header);
int rule_parse_options(struct rule_parser *parser, char *options);
/** Turns the finished draft into a rule of the set. rule_draft.c */
int rule_finish(struct rule_parser *parser);

/** Refuses a draft that can never match as elsewhere, and notes what else makes it so. rule_possible.c @return 0 or -EINVAL */
int rule_check_possible(struct rule_parser *parser);
/** The rule loads, though it can never fire: "can never fire: ..." is told of it. rule_kinds.c */
void rule_never(struct rule_parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The kinds of packets that the header names. @param proto  as it was written */
void rule_kinds_begin(struct rule_parser *parser, const char *proto);
/** Only these are left. @param what  of packets, for the reader */
void rule_kinds_narrow(struct rule_parser *parser, uint16_t kinds, const char *what);
/** What ports, addresses, flow and protocols leave of them. */
void rule_kinds_finish(struct rule_parser *parser);
/** "TCP, UDP"; nothing of KIND_ANY. */
void rule_kinds_put(struct buf *out, uint16_t kinds);
/** Says of each test of a buffer which match is tried further on when it fails. rule_finish.c */
void rule_link_backs(struct rule_draft_buffer *draft);
/** Sets RULE_FIELDS_ONLY where it is so. rule_finish.c */
void rule_note_fields_only(struct rule_parser *parser);

/* ---- rule_range.c ---- */

int rule_addresses_parse(struct rule_parser *parser, const char *text, const struct rule_addresses **out);
/** Sets what divides the set's routes, when its rules are read: $HOME_NET, where some rule names it and it is not any address. */
void rule_note_home(struct rule_parser *parser);
int rule_ports_parse(struct rule_parser *parser, const char *text, const struct rule_ports **out);
/** Refuses groups of the configuration that are none, whether or not a rule asks for them. @return 0, -EINVAL with err, -ENOMEM */
int rule_vars_check(struct rule_parser *parser, struct config_error *err);
void rule_parser_groups_free(struct rule_parser *parser);

/* ---- rule_number.c ---- */

/** Cuts spaces off both ends, in place. */
char *rule_trim(char *text);
/** The next piece up to a separator that is outside quotes, trimmed; *rest moves on, NULL at the end. */
char *rule_split(char **rest, char separator);
/** Decimal, 0x hex, negative. @return whether all of text was a number. */
bool rule_integer(const char *text, int64_t *out);
/** A number or a variable's name. */
int rule_value_parse(struct rule_parser *parser, const char *text, struct rule_value *out);
/** The list grammar of struct rule_number. @param names  of an enumeration, or NULL */
int rule_numbers_parse(struct rule_parser *parser, char *text, const struct field_names *names, bool bit_names,
	struct rule_numbers *out);
/** Refuses what no value from low to high can be. @return 0 or -EINVAL */
int rule_numbers_check(struct rule_parser *parser, const struct rule_numbers *numbers, int64_t low, int64_t high);
/** Takes what says which elements are meant off the end of a list's value. @return 1: nothing else is left to parse ("count >3"),
 *  0, -EINVAL, -ENOMEM. rule_elements.c */
int rule_elements_parse(struct rule_parser *parser, char *value, struct rule_test *test);
/** Text with |00 01| and escapes into out [RULE_CONTENT_LEN_MAX]. keyword_content.c @return the count, or -EINVAL */
int rule_content_bytes(struct rule_parser *parser, const char *text, uint8_t *out);
/** Compiles an expression that the set keeps. keyword_pcre.c @return 0, -EINVAL (refused), -ENOMEM */
int rule_pcre_compile(struct rule_parser *parser, const char *pattern, uint32_t options, pcre2_code **out);
/** Options of base64_decode and from_base64: "bytes N, offset N, relative, mode M". keyword_payload.c */
struct rule_base64 {
	uint32_t bytes, offset;
	uint8_t mode;       /* enum rule_base64_mode */
	bool relative;
};
int rule_base64_parse(struct rule_parser *parser, char *value, struct rule_base64 *out);
/** The words of rate_filter. keyword_threshold.c @return 0 or -EINVAL */
int rule_rate_parse(struct rule_parser *parser, char *value, struct rule_threshold *out);
/** A variable's index, made when create; -1: none. */
int rule_var_index(struct rule_parser *parser, const char *name, bool create);

/* ---- building the draft ---- */

/** A zeroed node at the end of the current buffer. NULL: too many (refused). */
struct rule_node *rule_add_node(struct rule_parser *parser, enum rule_node_kind kind);
/** A zeroed test. NULL: too many (refused). */
struct rule_test *rule_add_test(struct rule_parser *parser, rule_test_fn fn);
/** Sticky buffer: later content goes there. */
int rule_use_buffer(struct rule_parser *parser, const struct rule_buffer *buffer);
/** A zeroed transform at the end of the current buffer's. NULL: refused. @param text  what tells it from others */
struct rule_transform *rule_add_transform(struct rule_parser *parser, enum rule_transform_kind kind, const char *text);
/** Moves a node of the current buffer into the one that `name` names. @return 0, -EINVAL, -ENOMEM */
int rule_move_node(struct rule_parser *parser, struct rule_node *node, const char *name);
/** Moves the option's node behind the content that it is relative to. @return 0 or -EINVAL */
int rule_follow_moved(struct rule_parser *parser);
/** A test of "name:numbers" kind. @param max  the greatest value that there is */
int rule_add_number_test(struct rule_parser *parser, char *value, const struct field_names *names, rule_test_fn fn, int64_t max);

/* ---- keyword_field.c: names that are not in the table ---- */

/** A protocol's own keyword, buffer or field. @return 1 when name is none of these, 0, -EINVAL, -ENOMEM */
/* A buffer that the rule's protocol calls its own by that name ("smtp.file_data"). 1: none */
int rule_app_buffer(struct rule_parser *parser, const char *name);
int rule_field_keyword(struct rule_parser *parser, const char *name, char *value);
/** A field that holds addresses, compared with some. keyword_field_address.c @return 1: no shape of it does, or the value is none;
 *  0, -EINVAL, -ENOMEM */
int rule_field_address(struct rule_parser *parser, unsigned int app, const struct record_path *paths, uint16_t count, char *value);
/** The rule is about the records that an alias names. @return the index of their protocol, -1: it is no alias, -EINVAL: refused */
int rule_alias_use(struct rule_parser *parser, const char *name, size_t len);

/* ---- keyword_buffer.c: other names of the protocols' buffers ---- */

/** Old names, and content modifiers that name a buffer. @return 1 when name is none of these, 0, -EINVAL, -ENOMEM */
int rule_buffer_keyword(struct rule_parser *parser, const char *name, char *value);
/** Makes the protocol's buffer of that name the current one, or refuses. @return 0, -EINVAL, -ENOMEM */
int rule_use_named(struct rule_parser *parser, const char *name);
/** The reference page's part about them. */
void rule_buffer_reference(struct buf *out);

#endif
