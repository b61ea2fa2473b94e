#include "lib/base/near.h"

#include <ctype.h>
#include <string.h>

unsigned int
near_distance(const char *a, const char *b)
{
	unsigned int row[NEAR_LEN_MAX + 1];
	size_t b_len = strlen(b);

	if (b_len > NEAR_LEN_MAX || strlen(a) > NEAR_LEN_MAX)
		return NEAR_FAR;
	for (unsigned int j = 0; j <= b_len; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1] != '\0'; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= b_len; j++) {
			unsigned int best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));

			diagonal = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[b_len];
}

/* Of a dozen letters four may be wrong, of three one. */
void
near_offer(struct near *near, const char *name)
{
	size_t written_len = strlen(near->written), len = strlen(name), slips_max = 1 + written_len / 4;
	unsigned int distance;

	if (len > written_len + slips_max || len + slips_max < written_len)
		return;
	distance = near_distance(near->written, name);
	if (distance > slips_max || distance >= len || (near->distance != 0 && distance >= near->distance))
		return;
	near->distance = distance == 0 ? 1 : distance;
	memcpy(near->best, name, len + 1);
}
