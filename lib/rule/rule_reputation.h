/*
 * What is known of addresses from elsewhere: reputation lists, and the country a location database names. Both are read
 * with a rule set and are then constant: any worker asks, without a lock or an allocation.
 */
#ifndef MR_RULE_REPUTATION_H
#define MR_RULE_REPUTATION_H

#include "lib/rule/rule_parsed.h"

enum { REPUTATION_CATEGORY_MAX = 60, REPUTATION_SCORE_MAX = 127, REPUTATION_ROWS_MAX = 16777216 };

struct rule_reputation;
struct rule_arena;

/**
 * Reads reputation-categories-file ("1,Name,Description") and reputation-files ("address[/prefix],category,score").
 *
 * @param out  NULL where none is configured
 * @return 0, -ENOENT, -EINVAL (err names the file and line), -ENOMEM
 */
int rule_reputation_create(struct rule_reputation **out, const struct rule_config *config, struct config_error *err);
void rule_reputation_destroy(struct rule_reputation *reputation);
/** A category's number by its short name, -1: none. */
int rule_reputation_category(const struct rule_reputation *reputation, const char *name);
/** The score of an address in a category, by its longest prefix; -1: none. Hot. */
int rule_reputation_score(const struct rule_reputation *reputation, unsigned int category, uint8_t ip_version,
	const struct ip_addr *addr);

/** Opens geoip-database (MaxMind DB with country.iso_code). @return 0, -EINVAL (err set), -ENOMEM; *out NULL: none configured */
struct rule_geoip;
int rule_geoip_create(struct rule_geoip **out, const struct rule_config *config, struct config_error *err);
void rule_geoip_destroy(struct rule_geoip *geoip);
/** The two letters of an address's country, first one high; 0: not known. Hot. */
uint16_t rule_geoip_country(const struct rule_geoip *geoip, uint8_t ip_version, const struct ip_addr *addr);

#endif
