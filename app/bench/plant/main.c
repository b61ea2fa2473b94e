/* The generator alone, for the build: `millrace-bench generate` is the one for users. */
#include "app/bench/generate.h"

int
main(int argc, char **argv)
{
	return generate_main(argc, argv);
}
