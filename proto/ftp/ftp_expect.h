/*
 * Data connections that FTP's control connections announced, known to all flows of a worker: packets between two addresses
 * are all of one worker. For proto/ftp, which announces, and proto/ftp_data, which finds.
 *
 * Thread: the worker's. A table of a fixed size; a new connection takes the oldest's place.
 */
#ifndef MR_PROTO_FTP_EXPECT_H
#define MR_PROTO_FTP_EXPECT_H

#include "proto/proto.h"

enum {
	FTP_EXPECT_SETS = 64, /* a power of two */
	FTP_EXPECT_WAYS = 4,
	FTP_EXPECT_WORD_LEN = 8,
	FTP_EXPECT_NAME_LEN = 240,
	FTP_EXPECT_WAIT_S = 60, /* a connection that has not come by then is another one */
};

/** Who listens for the data, and where. */
struct ftp_expect_place {
	uint8_t listener[16], peer[16]; /* as in struct proto_ctx */
	uint16_t port;
};

struct ftp_expected {
	struct ftp_expect_place place;
	uint64_t since_ns;
	uint64_t number;        /* of the announcement */
	bool taken;             /* its connection has come */
	uint8_t word_len;       /* 0: no command yet */
	uint8_t name_len;
	char word[FTP_EXPECT_WORD_LEN];  /* "RETR" */
	char name[FTP_EXPECT_NAME_LEN];  /* of the file; of a list of files none */
};

struct ftp_shared {
	uint64_t announced;
	uint32_t tags[FTP_EXPECT_SETS][FTP_EXPECT_WAYS]; /* hashes of the places, 0: nothing is here; asked for each new flow */
	struct ftp_expected sets[FTP_EXPECT_SETS][FTP_EXPECT_WAYS];
};

/** The server (by_server) or the client of the control connection listens at a port. @return whether one was evicted */
bool ftp_expect(struct proto_ctx *ctx, bool by_server, uint16_t port);
/** What is transferred over the connection announced last. */
void ftp_expect_command(struct proto_ctx *ctx, bool by_server, uint16_t port, struct cursor word, struct cursor name);
/** The announcement that a flow's ends fit, in either direction; NULL: none. */
struct ftp_expected *ftp_expected_find(struct ftp_shared *shared, const struct proto_ends *ends);

#endif
