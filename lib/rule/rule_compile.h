/* Inside lib/rule: the work space of one compilation, and the groups it makes. */
#ifndef MR_RULE_RULE_COMPILE_H
#define MR_RULE_RULE_COMPILE_H

#include "lib/rule/rule_internal.h"

/** What a group is asked about. */
enum rule_message_kind { MESSAGE_NONE, MESSAGE_RECORD, MESSAGE_ONCE, MESSAGE_FILE };

/** The routes on which a rule's addresses let it match; more than that where it is not plain. @param home  NULL: any. rule_route.c */
uint8_t rule_routes_of(const struct rule *rule, const struct rule_addresses *home);

/** Work space of one compilation. */
struct compile {
	struct ruleset *set;
	uint32_t *list;          /* [rule_count] a group's rules */
	uint32_t *pool;          /* [rule_count] the rules of some tables */
	uint32_t pool_count;
	uint32_t *keyed;         /* [rule_count] rules of a table's side */
	bool *swapped;           /* [rule_count] of keyed: a <> rule seen from its other end */
	uint32_t keyed_count;
	const struct rule_app *app; /* whose records the groups being made are asked with; NULL: payload */
	bool to_server;          /* with app */
	enum rule_message_kind kind; /* with app */
	uint16_t *by_port;       /* [RULE_PORTS] of the table's side */
	uint16_t *known;         /* [known_cap] groups by their list: index + 1 */
	uint32_t known_cap;
};

/**
 * The group of compile->list[0..count), made when there is none of these rules.
 * @param out  RULE_GROUP_NONE for no rules
 * @return 0 or -ENOMEM. rule_groups.c
 */
int rule_group_of(struct compile *compile, uint32_t count, uint16_t *out);

#endif
