/* SPDX-License-Identifier: MIT */
/*
 * daemon_internal - what the files of the daemon share
 *
 * daemon.c has the loop, daemon_events.c what is told, daemon_options.c the
 * command line, daemon_monitor.c the control sockets, daemon_metrics.c what
 * Prometheus reads, daemon_config.c what of the configuration files is for the
 * start, daemon_confine.c what the process gives up, daemon_start.c how it
 * becomes a daemon.
 */
#ifndef SERVER_DAEMON_INTERNAL_H
#define SERVER_DAEMON_INTERNAL_H

#include "server/config.h"
#include "server/daemon.h"
#include "server/qmp/monitor.h"
#include "server/sandbox.h"
#include "server/socket_file.h"

/* daemon_events.c: what its exports tell. */
extern const struct exports_ops daemon_exports_ops;

/* A control socket. */
struct monitor {
	struct list_node link;
	struct qmp_monitor *monitor;
	struct socket_file socket_file;
	char *path; /* NULL: its socket was passed by the service manager */
	bool pretty;
};

static inline struct monitor *monitor_of(struct list_node *node)
{
	return container_of(node, struct monitor, link);
}

/* From now on, and when all that is to be served is there. */
void daemon_tell_manager(struct daemon *daemon);
void daemon_ready(struct daemon *daemon);

/* daemon_monitor.c: returns 0 or -errno (logged). */
int daemon_add_monitor(struct daemon *daemon, const char *path, bool pretty);
int daemon_adopt_monitor(struct daemon *daemon,
			 const struct activation_socket *passed, bool pretty);
void daemon_remove_monitor(struct monitor *monitor);

/* Somebody else will listen there, for metrics too; clients stay. */
void daemon_forget_monitors(struct daemon *daemon);

/*
 * daemon_metrics.c: tell metrics to who connects there; where: "unix:PATH", or
 * a loopback address. Returns 0 or -errno (logged).
 */
int daemon_add_metrics(struct daemon *daemon, const char *where);
void daemon_remove_metrics(struct daemon *daemon);

#define MAX_CHARDEVS	  8
#define MAX_METRICS	  8
#define MAX_ALLOWED_PATHS 32

/* A socket of the command line that a monitor may use. */
struct chardev {
	json_t *object; /* what it was given in; owned */
	const char *id;
	const char *path; /* NULL: passed */
	const struct activation_socket *passed;
};

/* What the command line says that is no command. */
struct start {
	struct daemon daemon;
	struct activation activation;
	struct chardev chardevs[MAX_CHARDEVS];
	unsigned int nr_chardevs;
	enum engine_kind engine;
	bool engine_given;	   /* no silent fallback */
	const char *config_option; /* --config; NULL: none */
	char *config_path;	   /* the same, absolute; owned */
	struct config config;
	const struct config_item *monitors[MAX_CHARDEVS]; /* of the files */
	unsigned int nr_monitors;
	const char *metrics[MAX_METRICS]; /* see daemon_add_metrics() */
	unsigned int nr_metrics;
	bool metrics_of_files;	    /* until the command line names some */
	bool log_format_given;	    /* on the command line */
	const char *state_dir;	    /* NULL: none */
	const char *take_over;	    /* a control socket; NULL: nobody's place */
	json_t *take_over_object;   /* what that was given in; owned */
	bool may_be_first;	    /* nobody need have that socket */
	unsigned int watch_seconds; /* between looks at sizes; 0: none */
	enum sandbox_mode sandbox;
	int allowed_fds[MAX_ALLOWED_PATHS]; /* of --allow-path, by O_PATH */
	unsigned int nr_allowed;
	char *pidfile; /* NULL: none; owned, outlives the files of --config */
	int pidfile_fd;
	struct socket_file pidfile_file; /* that path, once it is there */
	int null_fd; /* to take the terminal's place; -1: that stays */
	bool daemonize, help, version;
};

enum daemon_stage {
	DAEMON_FIRST, /* before the configuration files are read */
	DAEMON_EARLY, /* before the daemon is there */
	DAEMON_MAIN,  /* what is served */
	DAEMON_LAST,  /* when all of that is there */
};

/*
 * daemon.c: as start says, for start->daemon. Returns 0 or -errno (logged), and
 * needs daemon_deinit() then, too.
 */
int daemon_init(struct daemon *daemon, const struct start *start);
void daemon_deinit(struct daemon *daemon);

/* Until it was told to quit, and all exports have ended. */
int daemon_run(struct daemon *daemon);

/*
 * daemon_options.c: take the options of this stage. Returns 0 or -errno
 * (logged).
 */
int daemon_take_options(struct start *start, int argc, char **argv,
			enum daemon_stage stage);

/*
 * One from a file; value outlives start. What the command line has said or will
 * say of it counts. As above.
 */
int daemon_take_setting(struct start *start, const char *name,
			const char *value);

/*
 * daemon_config.c: read what --config names; have it served, as far as that
 * is possible; open its control sockets. Each returns 0 or -errno (logged).
 */
int daemon_read_config(struct start *start);
int daemon_apply_config(struct start *start);
int daemon_open_monitors(struct start *start);
void daemon_free_config(struct start *start);

/*
 * daemon_confine.c: give up what serving does not take, when all that the
 * command line names is open and no thread runs yet. What it names can still
 * be opened again and removed, whatever the allowed paths are. Who is going to
 * take another one's place (taker; NULL: nobody) still makes its sockets.
 * Returns 0 or -errno (logged).
 */
int daemon_confine(const struct start *start, const struct taker *taker);

#endif
