/*
 * Log lines for the cold paths: "2026-01-02T03:04:05Z level topic: text" on stderr.
 * Never called on a worker after start. A topic is the module's folder name.
 * Control bytes in the text become "?", so that sniffed data cannot forge a line.
 */
#ifndef MR_BASE_LOG_H
#define MR_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** Thread: any. Takes effect for the next line. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/** @return the level, or -EINVAL. Names: error, warning, notice, info, debug. */
int log_level_parse(const char *name);
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const char *topic, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(topic, ...)   log_write(LOG_LEVEL_ERROR, topic, __VA_ARGS__)
#define log_warning(topic, ...) log_write(LOG_LEVEL_WARNING, topic, __VA_ARGS__)
#define log_notice(topic, ...)  log_write(LOG_LEVEL_NOTICE, topic, __VA_ARGS__)
#define log_info(topic, ...)    log_write(LOG_LEVEL_INFO, topic, __VA_ARGS__)
#define log_debug(topic, ...)   log_write(LOG_LEVEL_DEBUG, topic, __VA_ARGS__)

#endif
