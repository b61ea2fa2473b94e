/* `millrace-bench replay`: cycles a packet, by stage, beside the limits of the same run. */
#ifndef MR_BENCH_REPLAY_H
#define MR_BENCH_REPLAY_H

/** @return the exit status: 0, 1 (could not run), 2 (wrong arguments) */
int replay_main(int argc, char **argv);

#endif
