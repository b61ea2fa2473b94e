/* `millrace-bench senders`: many sensors against an aggregator, with real TLS and real batches. A program of its own does it. */
#ifndef MR_BENCH_SENDERS_H
#define MR_BENCH_SENDERS_H

/** Becomes that program, which lies beside this one. @return an exit status, only when that cannot be started. */
int senders_main(int argc, char **argv);

#endif
