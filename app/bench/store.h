/* `millrace-bench store`: what the aggregator's store takes a second, and answers meanwhile. */
#ifndef MR_BENCH_STORE_H
#define MR_BENCH_STORE_H

int store_main(int argc, char **argv);

#endif
