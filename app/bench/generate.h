/* `millrace-bench generate`: writes the capture of a plant, or of a scenario. */
#ifndef MR_BENCH_GENERATE_H
#define MR_BENCH_GENERATE_H

/**
 * @param argv  [argc]; argv[0] is the name used in messages
 * @return the program's exit status: 0, 1 (could not write), 2 (wrong arguments)
 */
int generate_main(int argc, char **argv);

#endif
