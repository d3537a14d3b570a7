/* SPDX-License-Identifier: MIT */
/*
 * qmp - fuzzes what the control socket and the configuration files say
 *
 * The first byte says what the others are: what a client sends, in pieces,
 * while commands are answered at once, later or never, and the client reads or
 * does not; the value of an option; a configuration file. Who may use these is
 * trusted with what they say, not with saying it rightly. What goes out is
 * whole messages; what was accepted is within its bounds; nothing is left over.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/config.h"
#include "server/loop.h"
#include "server/qmp/args.h"
#include "server/qmp/keyval.h"
#include "server/qmp/session.h"
#include "tests/fuzz/fuzz.h"

#define MAX_TURNS 1000

/* A client, and who has the commands. */
struct world {
	struct loop loop;
	struct qmp_host host;
	struct qmp_session *session; /* NULL: it is over */
	struct qmp_call *waiting;    /* was not answered yet */
	bool answers_later;
	int fd; /* the client's end */
	char *bytes;
	size_t nr_bytes; /* that the client has read */
	unsigned int nr_commands;
	unsigned int nr_answers;
};

/* All that a command could take. Returns true if it all fits. */
static bool take_arguments(struct args *args, json_t *object, bool typed)
{
	static const char *const modes[] = { "safe", "hard", NULL };
	struct args inner;
	uint64_t number;
	uint64_t size;
	unsigned int mode;

	args_begin(args, object, typed);
	args_text(args, "id", ARGS_NEEDED);
	args_text(args, "text", ARGS_OPTIONAL);
	args_flag(args, "flag", true);
	number = args_number(args, "number", 3, 70000, 7);
	size = args_size(args, "size", 0, INT64_MAX, 512);
	mode = args_word(args, "mode", modes, 1);
	args_any(args, "any");
	if (args_enter(args, "inner", "inner.", &inner)) {
		args_text(&inner, "path", ARGS_NEEDED);
		if (args_has(&inner, "refused"))
			args_refuse(&inner, "'%s' is refused", "refused");
		args_leave(args, &inner);
	}
	FUZZ_CHECK(number >= 3 && number <= 70000);
	FUZZ_CHECK(size <= INT64_MAX && mode < 2);
	if (args_end(args) == 0) {
		FUZZ_CHECK(!args->why[0] && args_has(args, "id"));
		return true;
	}
	FUZZ_CHECK(args->why[0] && strlen(args->why) < ARGS_WHY_BYTES);
	return false;
}

static void answer(struct qmp_call *call)
{
	struct args args;

	if (!take_arguments(&args, call->arguments, call->typed))
		qmp_refuse(call, "%s", args.why);
	else if (args_has(&args, "flag"))
		qmp_return(call, NULL);
	else
		qmp_return(call, json_deep_copy(call->arguments));
}

static void run(struct qmp_host *host, const char *name, struct qmp_call *call)
{
	struct world *world = container_of(host, struct world, host);

	FUZZ_CHECK(!world->waiting);
	world->nr_commands++;
	if (!strcmp(name, "unknown"))
		qmp_refuse_as(call, "CommandNotFound", "%.64s", name);
	else if (world->answers_later)
		world->waiting = call;
	else
		answer(call);
}

static void ended(struct qmp_host *host, const struct qmp_session *session)
{
	struct world *world = container_of(host, struct world, host);

	FUZZ_CHECK(session == world->session);
	qmp_session_destroy(world->session);
	world->session = NULL;
}

static bool is_ready(const struct world *world)
{
	struct pollfd ready = { .fd = world->loop.epoll_fd, .events = POLLIN };

	return poll(&ready, 1, 0) == 1;
}

/* Until there is nothing to be done; the session does not spin. */
static void turn(struct world *world)
{
	for (int i = 0; world->session && is_ready(world); i++) {
		FUZZ_CHECK(i < MAX_TURNS);
		FUZZ_CHECK(!loop_run_once(&world->loop));
	}
}

static void check_message(struct world *world, const char *text, size_t nr)
{
	json_t *message = json_loadb(text, nr, JSON_REJECT_DUPLICATES, NULL);
	int nr_kinds = 0;

	FUZZ_CHECK(json_is_object(message));
	nr_kinds += json_object_get(message, "QMP") != NULL;
	nr_kinds += json_object_get(message, "event") != NULL;
	if (json_object_get(message, "return") ||
	    json_is_string(json_object_get(json_object_get(message, "error"),
					   "desc"))) {
		nr_kinds++;
		world->nr_answers++;
	}
	FUZZ_CHECK(nr_kinds == 1);
	json_decref(message);
}

/* Messages end with these, which are not in them: those for people have
 * lines of their own. */
static void check_messages(struct world *world)
{
	char *at = world->bytes;
	char *end;

	while ((end = memmem(at, world->nr_bytes, "\r\n", 2))) {
		check_message(world, at, (size_t)(end - at));
		world->nr_bytes -= (size_t)(end + 2 - at);
		at = end + 2;
	}
	memmove(world->bytes, at, world->nr_bytes);
}

static void read_answers(struct world *world)
{
	ssize_t nr;

	do {
		world->bytes = realloc(world->bytes, world->nr_bytes + 65536);
		FUZZ_CHECK(world->bytes);
		nr = recv(world->fd, world->bytes + world->nr_bytes, 65536,
			  MSG_DONTWAIT);
		if (nr > 0)
			world->nr_bytes += (size_t)nr;
		check_messages(world);
		turn(world);
	} while (nr > 0);
}

static void answer_waiting(struct world *world)
{
	struct qmp_call *call = world->waiting;

	world->waiting = NULL;
	if (call)
		answer(call);
}

static void tell_event(struct world *world)
{
	json_t *event = json_pack("{s:s}", "event", "SHUTDOWN");

	if (world->session)
		qmp_session_tell(world->session, event);
	json_decref(event);
}

static void send_piece(struct world *world, struct fuzz_input *in, size_t nr)
{
	nr = MIN(nr, (size_t)(in->end - in->at));
	if (send(world->fd, in->at, nr, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		nr = 0; /* it is over */
	in->at += nr ? nr : (size_t)(in->end - in->at);
}

static void begin_world(struct world *world, bool is_pretty)
{
	int fds[2];

	*world = (struct world){
		.host = { .loop = &world->loop, .run = run, .ended = ended },
	};
	FUZZ_CHECK(!loop_init(&world->loop));
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	FUZZ_CHECK(!rh_fd_set_nonblocking(fds[1]));
	world->fd = fds[0];
	FUZZ_CHECK(!qmp_session_create(&world->host, fds[1], is_pretty,
				       &world->session));
	turn(world);
}

/* The client goes, and a command that it has not seen the end of ends. */
static void end_world(struct world *world)
{
	shutdown(world->fd, SHUT_WR);
	turn(world);
	read_answers(world);
	if (world->session && world->answers_later)
		qmp_session_destroy(world->session);
	answer_waiting(world);
	FUZZ_CHECK(world->answers_later || !world->session);
	loop_deinit(&world->loop);
	close(world->fd);
	free(world->bytes);
}

/*
 * Pieces, each behind a byte: its length, and what else happens. A first byte
 * tells whether the client negotiates by itself.
 */
static void talk(struct fuzz_input *in)
{
	static const char negotiation[] = "{\"execute\":\"qmp_capabilities\"}";
	struct fuzz_input first = { (const uint8_t *)negotiation,
				    (const uint8_t *)negotiation +
					    strlen(negotiation) };
	uint8_t choice = fuzz_u8(in);
	struct world world;

	fuzz_note_fds();
	begin_world(&world, choice & 1);
	world.answers_later = choice & 2;
	if (choice & 4)
		send_piece(&world, &first, strlen(negotiation));
	turn(&world);
	while (fuzz_more(in)) {
		uint8_t piece = fuzz_u8(in);

		send_piece(&world, in, choice & 8 ? 1024 : piece & 63);
		turn(&world);
		if (piece & 64)
			answer_waiting(&world);
		if (piece & 128)
			read_answers(&world);
		if (choice & 16)
			tell_event(&world);
	}
	end_world(&world);
	fuzz_check_fds();
}

static char *text_of(const struct fuzz_input *in)
{
	size_t nr = (size_t)(in->end - in->at);
	char *text = malloc(nr + 1);

	FUZZ_CHECK(text);
	memcpy(text, in->at, nr);
	text[nr] = '\0';
	return text;
}

static void parse_option(struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);
	char *text = text_of(in);
	char why[KEYVAL_WHY_BYTES] = "";
	struct args args;
	bool typed;
	json_t *object =
		keyval_parse(text, choice & 1 ? "id" : NULL, &typed, why);

	if (object)
		take_arguments(&args, object, typed);
	else
		FUZZ_CHECK(why[0] && strlen(why) < KEYVAL_WHY_BYTES);
	json_decref(object);
	free(text);
}

static void check_item(const struct config *config, struct config_item *item)
{
	struct args args;

	FUZZ_CHECK(config_find(&config->items, item->kind, item->name) == item);
	FUZZ_CHECK(json_is_object(item->arguments));
	FUZZ_CHECK((item->kind == CONFIG_DAEMON) == !item->name[0]);
	if (!take_arguments(&args, item->arguments, false))
		FUZZ_CHECK(config_item_line(item, args.why) >= item->line);
	list_for_each(node, &config->items)
		FUZZ_CHECK(!config_item_needs(item, config_item_of(node)) ||
			   item->kind >= config_item_of(node)->kind);
}

static void parse_file(struct fuzz_input *in)
{
	static const char *const types[] = { "iothread", "secret", NULL };
	size_t nr = (size_t)(in->end - in->at);
	FILE *file = fmemopen((void *)in->at, nr ? nr : 1, "r");
	struct config config;

	FUZZ_CHECK(file);
	config_init(&config, types);
	if (config_read_stream(&config, "a.conf", file) < 0) {
		FUZZ_CHECK(!strncmp(config.why, "a.conf:", 7));
	} else {
		FUZZ_CHECK(!config.why[0]);
		list_for_each(node, &config.items)
			check_item(&config, config_item_of(node));
	}
	fclose(file);
	config_deinit(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, data + size };

	fuzz_keep_quiet();
	switch (fuzz_u8(&in) % 4) {
	case 0:
		parse_option(&in);
		break;
	case 1:
		parse_file(&in);
		break;
	default:
		talk(&in);
	}
	return 0;
}
