/* What does not end in one answer: exports, and alerts as they arrive. */
#ifndef MR_MILLRACE_STREAM_H
#define MR_MILLRACE_STREAM_H

#include "app/millrace/options.h"

/** Writes every record asked for, a line each. @return an exit status; STATUS_UNREACHABLE when it broke off. */
int stream_export(const struct options *options);
/** Writes alerts as they arrive, until it is stopped; goes on behind the last one when the connection breaks. */
int stream_follow(const struct options *options);

#endif
