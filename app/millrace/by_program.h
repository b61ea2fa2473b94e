/* Verbs that are commands of another program of Millrace: it has the configuration and the code. */
#ifndef MR_MILLRACE_BY_PROGRAM_H
#define MR_MILLRACE_BY_PROGRAM_H

/** Becomes that program, installed beside this one or built beside it.
 *  @param argv  as this one has it. @return only when that failed, said why */
int by_program(const char *program, const char *folder, char **argv);

#endif
