/* Links in a mail's text: what is behind a scheme (RFC 3986 3), to where none can go on. */
#include "proto/smtp/smtp.h"

#include <strings.h>

enum { SCHEME_LEN_MAX = 5, LINK_LEN_MAX = 1024 };

static const char *const schemes[] = { "http", "https", "ftp" };

/* Whether one stands right before text[at]. */
static bool
has_scheme(const uint8_t *text, size_t at)
{
	for (unsigned int i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = strlen(schemes[i]);

		if (at >= len && strncasecmp((const char *)text + at - len, schemes[i], len) == 0)
			return true;
	}
	return false;
}

/* Quotes and brackets are around links in text and in HTML (RFC 3986 C). */
static size_t
link_len(const uint8_t *text, size_t left)
{
	size_t len = 0;

	while (len < left && len < LINK_LEN_MAX && text[len] > ' ' && text[len] != 0x7f && strchr("\"'<>]", text[len]) == NULL)
		len++;
	return len;
}

void
smtp_find_links(struct smtp_mail *mail)
{
	for (unsigned int i = 0; i < mail->part_count; i++) {
		const struct smtp_part *part = &mail->parts[i];
		const uint8_t *text, *found;
		size_t at = 0;

		if (part->name.count > 0 || part->data.count == 0)
			continue;
		text = mail->text + part->data.off;
		while (mail->link_count < SMTP_LINKS_MAX && (found = memmem(text + at, part->data.count - at, "://", 3)) != NULL) {
			size_t begin = (size_t)(found - text) + 3, len = link_len(text + begin, part->data.count - begin);

			if (len > 0 && has_scheme(text, begin - 3))
				mail->links[mail->link_count++] = (struct record_ref){ part->data.off + (uint32_t)begin, (uint32_t)len };
			at = begin + len;
		}
	}
}
