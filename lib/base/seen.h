/* Prints of what came a moment ago, to know it when it comes again. Bounded: a new print takes the place of an old one. */
#ifndef MR_BASE_SEEN_H
#define MR_BASE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen;

/**
 * 128 KiB, for 8,192 prints. One thread uses it.
 * @param out  freed with free()
 * @return 0, -ENOMEM, or -EIO when the system gives no random key
 */
int seen_create(struct seen **out);

/**
 * A print of len bytes, continuing from an earlier one (0 at first). Its key is this object's own: nobody outside can make
 * two contents with the same print.
 */
uint64_t seen_print(const struct seen *seen, uint64_t from, const uint8_t *data, size_t len);

/**
 * Whether the print was noted at most window_ns before or after ts_ns; if not, it is noted now.
 * @param again  whether it may come a third time: if not, one that was found is forgotten
 */
bool seen_note(struct seen *seen, uint64_t print, uint64_t ts_ns, uint64_t window_ns, bool again);

#endif
