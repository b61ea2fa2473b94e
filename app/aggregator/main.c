/* millrace-aggregator: takes sensors' records, keeps them, answers questions about them. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <event2/event.h>
#include <jansson.h>

#include "app/aggregator/api.h"
#include "app/aggregator/api_audit.h"
#include "app/aggregator/api_stream.h"
#include "app/aggregator/api_summary.h"
#include "app/aggregator/api_token.h"
#include "app/aggregator/enrol.h"
#include "app/aggregator/ingest.h"
#include "app/aggregator/silence.h"
#include "lib/base/log.h"
#include "lib/base/service.h"
#include "lib/enrol/registry.h"

enum { EXIT_USAGE = 2, PRIORITIES = 3, DRAIN_MS = 300, SET_MAX = 64, FILES_BESIDE = 128, WORDS_MAX = 2 };

static const char usage[] =
	"usage: millrace-aggregator run   -c FILE [--set KEY=VALUE]... [--ready-file PATH]\n"
	"       millrace-aggregator check -c FILE [--set KEY=VALUE]...\n"
	"       millrace-aggregator backup -c FILE [--set KEY=VALUE]... TARGET\n"
	"       millrace-aggregator token [-c FILE [--set KEY=VALUE]...] NAME SCOPE[,SCOPE]...\n"
	"       millrace-aggregator token -c FILE [--set KEY=VALUE]... --list | --remove NAME\n"
	"       millrace-aggregator import -c FILE [--set KEY=VALUE]... STATE\n"
	"       millrace-aggregator reference [counters] | --version | --help\n"
	"\n"
	"run    listens for sensors and for questions until SIGTERM. When both are open it prints\n"
	"       \"ready INGEST_PORT API_PORT [ENROL_PORT]\", and writes the same line to the ready file.\n"
	"check  reads the configuration and the files it names, and says what is wrong with them.\n"
	"backup writes all that is committed to the file TARGET, which must not exist, while the aggregator goes on. It is a\n"
	"       database like the one it was taken from.\n"
	"token  makes a token of the API (scopes: read, export, admin). With -c it is kept where the configuration says, in the file\n"
	"       api.tokens or beside the store clickhouse, and is good at once; else its line for that file is printed.\n"
	"import takes invitations, certificates, revocations and their trail from STATE, a file that was some aggregator's enrol.state,\n"
	"       to where the configuration keeps them, beside the store clickhouse or in its own enrol.state. STATE is renamed to\n"
	"       STATE.imported; the aggregator that used it must have ended.\n"
	"reference  prints the configuration's keys, or the counters, as the reference pages have them.\n"
	"\n"
	"exit status: 0 done, 1 failed, 2 wrong usage or configuration\n";

struct options {
	const char *config_path;
	const char *ready_file;
	const char *words[WORDS_MAX]; /* of backup, of token, of import */
	unsigned int word_count;
	const char *remove; /* of token */
	bool list;
	const char *sets[SET_MAX];
	unsigned int set_count;
};

static int
wrong_usage(const char *why)
{
	fprintf(stderr, "millrace-aggregator: %s\n%s", why, usage);
	return EXIT_USAGE;
}

static int
read_options(int argc, char **argv, struct options *out)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "set", required_argument, NULL, 's' },
		{ "ready-file", required_argument, NULL, 'r' },
		{ "remove", required_argument, NULL, 'd' },
		{ "list", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		if (option == 'c')
			out->config_path = optarg;
		else if (option == 'r')
			out->ready_file = optarg;
		else if (option == 'd')
			out->remove = optarg;
		else if (option == 'l')
			out->list = true;
		else if (option == 's' && out->set_count < SET_MAX)
			out->sets[out->set_count++] = optarg;
		else
			return -EINVAL;
	}
	while (optind < argc && out->word_count < WORDS_MAX)
		out->words[out->word_count++] = argv[optind++];
	return optind == argc ? 0 : -EINVAL;
}

static int
load(const struct options *options, struct config **config, struct settings *settings)
{
	struct config_error err;
	int result = config_load(config, options->config_path, &err);

	for (unsigned int i = 0; i < options->set_count && result == 0; i++)
		result = config_set(*config, options->sets[i], &err);
	if (result == 0)
		result = settings_read(settings, *config, &err);
	if (result != 0)
		fprintf(stderr, "millrace-aggregator: %s\n", err.text);
	return result;
}

static void
on_signal(evutil_socket_t signal_number, short what, void *arg)
{
	event_base_loopbreak(arg);
}

/* The file appears whole: a waiting script reads the line or finds nothing. */
static int
say_ready(const char *path, const char *line)
{
	char temporary[4096];
	FILE *file;

	printf("%s", line);
	fflush(stdout);
	if (path == NULL)
		return 0;
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	file = fopen(temporary, "we");
	if (file == NULL || fputs(line, file) < 0 || fclose(file) != 0 ||
	    rename(temporary, path) != 0) {
		log_error("aggregator", "--ready-file %s: %s", path, strerror(errno));
		return -errno;
	}
	return 0;
}

static void
write_ports(char *out, size_t size, unsigned int ingest, unsigned int api, unsigned int enrol)
{
	int len = snprintf(out, size, "ready %u %u", ingest, api);

	snprintf(out + len, size - (size_t)len, enrol == 0 ? "\n" : " %u\n", enrol);
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)service_tell("WATCHDOG=1");
}

/* The service manager hears that all is open, and from then on that the loop turns. */
static int
tell_manager(struct event_base *base, struct event **out)
{
	uint64_t watchdog_ms = service_watchdog_ms();
	const struct timeval every = { .tv_sec = (time_t)(watchdog_ms / 1000), .tv_usec = (suseconds_t)(watchdog_ms % 1000 * 1000) };
	int err = service_tell("READY=1");

	if (err != 0)
		log_warning("aggregator", "the service manager did not hear that the aggregator is ready: %s", strerror(-err));
	if (watchdog_ms == 0)
		return 0;
	*out = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	/* Before all else: batches that come without an end must not look like a loop that hangs. */
	return *out == NULL || event_priority_set(*out, 0) != 0 || event_add(*out, &every) != 0 ? -ENOMEM : 0;
}

/* Wires ingest and API on an open store, and runs until a signal, or until the store is lost. */
static int
serve(struct event_base *base, const struct options *options, const struct settings *settings, struct store *store)
{
	static const struct timeval drain = { .tv_usec = DRAIN_MS * 1000 };
	struct event *term = evsignal_new(base, SIGTERM, on_signal, base);
	struct event *interrupt = evsignal_new(base, SIGINT, on_signal, base);
	struct event *watchdog = NULL;
	struct enrol *enrol = NULL;
	struct ingest *ingest = NULL;
	struct api *api = NULL;
	char ports[64];
	int err = !settings_enrols(settings) ? 0 : enrol_create(&enrol, base, settings);

	if (err == 0)
		err = ingest_create(&ingest, base, settings, store, enrol);
	if (err == 0) {
		struct counter_set counters = ingest_counter_set(ingest);

		err = api_create(&api, settings, &counters, enrol);
	}
	if (err == 0 && (term == NULL || interrupt == NULL || event_add(term, NULL) != 0 ||
	    event_add(interrupt, NULL) != 0))
		err = -ENOMEM;
	if (err == 0) {
		write_ports(ports, sizeof(ports), ingest_port(ingest), api_port(api), enrol == NULL ? 0 : enrol_port(enrol));
		err = say_ready(options->ready_file, ports);
	}
	if (err == 0)
		err = tell_manager(base, &watchdog);
	if (err == 0) {
		log_notice("aggregator", "listening: ingest port %u, api port %u", ingest_port(ingest), api_port(api));
		event_base_dispatch(base);
		if (ingest_is_lost(ingest)) {
			log_error("aggregator", "the store cannot be written for ten seconds: ending, to be started anew");
			err = -EIO;
		}
		log_notice("aggregator", "stopping");
		(void)service_tell("STOPPING=1");
		ingest_finish(ingest);
		/* The last answers go out. */
		event_base_loopexit(base, &drain);
		event_base_dispatch(base);
		ingest_finish(ingest);
	}
	api_destroy(api);
	ingest_destroy(ingest);
	enrol_destroy(enrol);
	if (watchdog != NULL)
		event_free(watchdog);
	if (term != NULL)
		event_free(term);
	if (interrupt != NULL)
		event_free(interrupt);
	return err;
}

/* As many files as the system lets it have: a connection is one. */
static void
raise_files(const struct settings *settings)
{
	unsigned int listeners = settings_enrols(settings) && settings->enrol_listen[0] != '\0' ? 3 : 2;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < settings->connections_max * listeners + FILES_BESIDE)
		log_warning("aggregator", "limits.connections is %llu at each of %u listeners, but the system allows %llu files (ulimit -n)",
			(unsigned long long)settings->connections_max, listeners, (unsigned long long)limit.rlim_cur);
}

static int
run(const struct options *options, struct config *config, const struct settings *settings)
{
	struct store_config store_config;
	struct event_base *base = event_base_new();
	struct store *store = NULL;
	int err = base == NULL || event_base_priority_init(base, PRIORITIES) != 0 ? -ENOMEM : 0;

	raise_files(settings);
	(void)settings_warn(settings);
	settings_store(settings, &store_config);
	if (err == 0)
		err = store_open(&store, settings->store_kind, &store_config, true);
	if (err == 0)
		err = serve(base, options, settings, store);
	store_close(store);
	if (base != NULL)
		event_base_free(base);
	if (err != 0)
		log_error("aggregator", "cannot run: %s", strerror(-err));
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
backup(const struct options *options, struct config *config, const struct settings *settings)
{
	struct store_config store_config;
	struct store *store = NULL;
	int err;

	settings_store(settings, &store_config);
	err = store_open(&store, settings->store_kind, &store_config, false);
	if (err == 0)
		err = store_backup(store, options->words[0]);
	store_close(store);
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
import(const struct options *options, struct config *config, const struct settings *settings)
{
	struct registry *registry = NULL;
	struct registry_taken taken;
	int err;

	if (!settings_enrols(settings)) {
		fprintf(stderr, "millrace-aggregator: enrol.state: must be given\n");
		return EXIT_USAGE;
	}
	err = settings_open_registry(settings, &registry);
	if (err == 0)
		err = registry_import(registry, options->words[0], (uint64_t)time(NULL), &taken);
	registry_close(registry);
	if (err == 0)
		printf("%llu sensors, %llu invitations, %llu certificates, %llu rows of the trail\n", (unsigned long long)taken.sensors,
			(unsigned long long)taken.invitations, (unsigned long long)taken.certificates, (unsigned long long)taken.audit);
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
keep_token(const struct options *options, const struct api_token_keep *keep, void *kept)
{
	char text[API_TOKEN_TEXT_LEN + 1] = "";
	struct api_token token;
	int err;

	if (options->list)
		return keep->list(kept, stdout);
	if (options->remove != NULL) {
		err = keep->remove(kept, options->remove);
	} else {
		err = api_token_make(options->words[0], options->words[1], &token, text);
		if (err == 0)
			err = keep->add(kept, &token);
		if (err == 0)
			printf("token  %s\n", text);
		explicit_bzero(text, sizeof(text));
	}
	if (err != 0)
		fprintf(stderr, "millrace-aggregator: token: %s\n", err == -EEXIST ? "there is one of that name"
			: err == -EINVAL ? "a name of letters, digits, . _ and -, and scopes of read, export, admin are wanted" : err == -ENOENT ? "there is none of that name" : strerror(-err));
	return err;
}

static int
token_of(const struct options *options, struct config *config, const struct settings *settings)
{
	const char *where;
	const struct api_token_keep *keep = settings_tokens(settings, &where);
	void *kept = NULL;
	int err;

	if (keep == NULL) {
		fprintf(stderr, "millrace-aggregator: api.tokens: must be given\n");
		return EXIT_USAGE;
	}
	err = keep->open(&kept, where);
	if (err != 0)
		return EXIT_FAILURE;
	err = keep_token(options, keep, kept);
	keep->close(kept);
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Without a configuration: its line is for the operator to put where it belongs. */
static int
print_token(const struct options *options)
{
	char text[API_TOKEN_TEXT_LEN + 1];
	struct api_token token;

	if (api_token_make(options->words[0], options->words[1], &token, text) != 0)
		return wrong_usage("token: a name and scopes of read, export, admin are wanted");
	printf("token  %s\nline   ", text);
	api_token_print(&token, stdout);
	explicit_bzero(text, sizeof(text));
	return EXIT_SUCCESS;
}

/* Says everything that is wrong, not only the first. */
static int
check(const struct options *options, struct config *config, const struct settings *settings)
{
	static const struct knob_table *const tables[] = { &settings_knobs };
	struct link_server_config server;
	int ingest_err;
	int api_err;
	int enrol_err;
	unsigned int places;

	config_dump(config, tables, 1, stdout);
	(void)settings_warn(settings);
	places = settings_check_places(settings);
	settings_ingest_server(settings, &server);
	ingest_err = link_server_check(&server);
	api_err = api_check(settings);
	enrol_err = !settings_enrols(settings) ? 0 : enrol_check(settings);
	return places != 0 || ingest_err != 0 || api_err != 0 || enrol_err != 0 ? EXIT_USAGE : EXIT_SUCCESS;
}

static int
print_reference(const char *what)
{
	static const struct knob_table *const knobs[] = { &settings_knobs };
	const struct counter_table counters[] = {
		{ ingest_counters, INGEST_COUNTERS },
		{ enrol_counters, ENROL_COUNTERS },
		{ silence_counters, SILENCE_COUNTERS },
		api_counter_table,
		api_audit_counter_table,
		api_streams_counter_table,
		{ api_server_counters, LINK_SERVER_COUNTERS },
		api_summary_losses,
	};

	if (what == NULL) {
		config_reference(knobs, 1, stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(what, "counters") != 0)
		return wrong_usage("reference: of nothing but counters");
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		for (unsigned int k = 0; k < counters[i].count; k++)
			printf("| `%s` | %s |\n", counters[i].descs[k].name, counters[i].descs[k].help);
	return EXIT_SUCCESS;
}

static const struct verb {
	const char *name;
	unsigned int word_count; /* behind the options */
	const char *wanted;      /* said when there are others */
	int (*run)(const struct options *options, struct config *config, const struct settings *settings);
	int (*run_alone)(const struct options *options); /* without -c; NULL: it is needed */
} verbs[] = {
	{ "run", 0, "run takes nothing but options", run, NULL },
	{ "check", 0, "check takes nothing but options", check, NULL },
	{ "backup", 1, "backup: the file to write is wanted", backup, NULL },
	{ "token", 2, "token: a name and scopes of read, export, admin are wanted, or --list, or --remove NAME", token_of, print_token },
	{ "import", 1, "import: the file to take from is wanted", import, NULL },
};

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	return NULL;
}

/* What stands for the two words of `token` counts as two. */
static unsigned int
count_words(const struct options *options)
{
	return options->word_count + (options->list ? 2 : 0) + (options->remove != NULL ? 2 : 0);
}

static int
run_configured(const struct verb *verb, const struct options *options)
{
	struct settings settings = { 0 };
	struct config *config = NULL;
	int status = EXIT_USAGE;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);  /* a sensor reads its rules then; there is nothing of that here, and no reason to end */
	signal(SIGXFSZ, SIG_IGN); /* a file-size limit is an error of write() */
	json_object_seed(0);
	if (load(options, &config, &settings) == 0) {
		log_set_level((enum log_level)settings.log_level);
		status = verb->run(options, config, &settings);
	}
	config_destroy(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct options options = { 0 };
	const char *name = argc > 1 ? argv[1] : "";
	const struct verb *verb = find_verb(name);

	if (strcmp(name, "--version") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		printf("%s", strcmp(name, "--version") == 0 ? "millrace-aggregator " MILLRACE_VERSION "\n" : usage);
		return EXIT_SUCCESS;
	}
	if (strcmp(name, "reference") == 0)
		return print_reference(argc > 2 ? argv[2] : NULL);
	if (verb == NULL)
		return wrong_usage("run, check, backup, token, import or reference is wanted");
	if (read_options(argc - 1, argv + 1, &options) != 0)
		return wrong_usage("an option that is not known, or too many words");
	if (count_words(&options) != verb->word_count)
		return wrong_usage(verb->wanted);
	if (options.config_path != NULL)
		return run_configured(verb, &options);
	return verb->run_alone != NULL && options.word_count > 0 ? verb->run_alone(&options) : wrong_usage("-c FILE is wanted");
}
