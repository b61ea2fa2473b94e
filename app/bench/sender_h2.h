/* A sender that speaks HTTP/2: one session a connection, one batch in flight. */
#ifndef MR_BENCH_SENDER_H2_H
#define MR_BENCH_SENDER_H2_H

#include <stddef.h>

struct bufferevent;
struct sender_h2;

typedef void (*sender_h2_answered)(void *arg, int status);

/** @param bev connected, borrowed; what comes from it is read by sender_h2_read(). @return NULL: no memory */
struct sender_h2 *sender_h2_create(struct bufferevent *bev, sender_h2_answered answered, void *arg);
void sender_h2_destroy(struct sender_h2 *h2);
/** @param headers lines that end with CR LF, as HTTP/1.1 has them. @param body borrowed until the answer. @return 0 or -errno */
int sender_h2_post(struct sender_h2 *h2, const char *path, char *headers, const void *body, size_t len);
/** Takes what came, and tells of answers. @return 0 or -EPROTO */
int sender_h2_read(struct sender_h2 *h2);

#endif
