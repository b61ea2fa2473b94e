#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static _Atomic int current_level = LOG_LEVEL_NOTICE;

void
log_set_level(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

enum log_level
log_get_level(void)
{
	return (enum log_level)atomic_load(&current_level);
}

int
log_level_parse(const char *name)
{
	for (int i = 0; i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -EINVAL;
}

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

void
log_write(enum log_level level, const char *topic, const char *format, ...)
{
	char line[2048];
	time_t now = time(NULL);
	struct tm tm;
	va_list args;
	size_t len;

	if ((int)level > atomic_load(&current_level))
		return;
	gmtime_r(&now, &tm);
	len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%SZ ", &tm);
	len += (size_t)snprintf(line + len, sizeof(line) - len, "%s %.32s: ", level_names[level], topic);
	va_start(args, format);
	vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	for (; line[len] != '\0'; len++)
		if ((unsigned char)line[len] < 0x20 || line[len] == 0x7f)
			line[len] = '?';
	line[len++] = '\n';
	/* One write a line: lines of several threads do not mix. A lost log line is no reason to stop. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}
