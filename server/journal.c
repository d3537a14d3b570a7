/* SPDX-License-Identifier: MIT */
/*
 * journal - what there is, as the commands that would make it again
 *
 * An entry belongs to a thing: an image, an export, an object. What changes
 * the thing later has an entry of its own, in whose place the next change of
 * the same kind comes; all of them go with the thing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/journal.h"
#include "server/qmp/object_path.h"

enum effect {
	MAKES,
	CHANGES,
	REMOVES,
};

static const struct row {
	const char *command;
	enum effect effect;
	const char *kind; /* of thing */
	const char *key;  /* the argument that names it */
	const char *part; /* the argument that says what of it; NULL: all */
	/*
	 * The argument that a change of all of it gives another value: what the
	 * thing was made with may be gone by now. NULL: none
	 */
	const char *renewed;
} rows[] = {
	{ "block-export-add", MAKES, "export", "id", NULL },
	{ "block-export-del", REMOVES, "export", "id", NULL },
	{ "blockdev-add", MAKES, "node", "node-name", NULL },
	{ "blockdev-del", REMOVES, "node", "node-name", NULL },
	{ "object-add", MAKES, "object", "id", NULL },
	{ "object-del", REMOVES, "object", "id", NULL },
	{ "qom-set", CHANGES, "object", "path", "property" },
	{ "x-export-limit", CHANGES, "export", "id", NULL },
	{ "x-export-move", CHANGES, "export", "id", "queue", "iothread" },
};

struct entry {
	struct list_node link;
	const struct row *row;
	json_t *arguments; /* owned */
	bool typed;
};

static struct entry *entry_of(struct list_node *node)
{
	return container_of(node, struct entry, link);
}

static const struct row *find_row(const char *command)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!strcmp(rows[i].command, command))
			return &rows[i];
	}
	return NULL;
}

bool journal_keeps(const char *command)
{
	return find_row(command);
}

void journal_init(struct journal *journal)
{
	list_init(&journal->entries);
	journal->generation = 0;
}

static void drop(struct entry *entry)
{
	list_remove(&entry->link);
	json_decref(entry->arguments);
	free(entry);
}

void journal_deinit(struct journal *journal)
{
	list_for_each(node, &journal->entries)
		drop(entry_of(node));
}

static const char *name_of(const struct row *row, const json_t *arguments)
{
	const char *name =
		json_string_value(json_object_get(arguments, row->key));

	return name && !strcmp(row->key, "path") ? object_path_id(name) : name;
}

/* What makes it says what it is. */
static bool is_secret(const json_t *arguments)
{
	const char *type =
		json_string_value(json_object_get(arguments, "qom-type"));

	return type && !strcmp(type, "secret");
}

static bool is_of(const struct entry *entry, const struct row *row,
		  const char *name)
{
	const char *own = name_of(entry->row, entry->arguments);

	return !strcmp(entry->row->kind, row->kind) && own && name &&
	       !strcmp(own, name);
}

static bool is_same_part(const struct entry *entry, const struct row *row,
			 const json_t *arguments)
{
	json_t *one;
	json_t *other;

	if (entry->row != row || !row->part)
		return entry->row == row;
	one = json_object_get(entry->arguments, row->part);
	other = json_object_get(arguments, row->part);
	/* All of it takes the place of each part. */
	return !other || (one && json_equal(one, other));
}

/* The entries in whose place a command with these arguments comes. */
static void drop_replaced(struct journal *journal, const struct row *row,
			  const json_t *arguments)
{
	const char *name = name_of(row, arguments);

	list_for_each(node, &journal->entries) {
		struct entry *entry = entry_of(node);

		if (is_of(entry, row, name) &&
		    (row->effect == REMOVES ||
		     is_same_part(entry, row, arguments)))
			drop(entry);
	}
}

static struct entry *find_maker(const struct journal *journal,
				const struct row *row, const char *name)
{
	list_for_each(node, &journal->entries) {
		struct entry *entry = entry_of(node);

		if (entry->row->effect == MAKES && is_of(entry, row, name))
			return entry;
	}
	return NULL;
}

/* Returns 1 when the maker says it now, 0 when it cannot, or -ENOMEM. */
static int renew(struct journal *journal, const struct row *row,
		 const json_t *arguments)
{
	struct entry *maker = find_maker(journal, row, name_of(row, arguments));
	json_t *copy;

	if (!row->renewed || json_object_get(arguments, row->part) || !maker)
		return 0;
	copy = json_copy(maker->arguments);
	if (!copy ||
	    json_object_set(copy, row->renewed,
			    json_object_get(arguments, row->renewed)) < 0) {
		json_decref(copy);
		return -ENOMEM;
	}
	json_decref(maker->arguments);
	maker->arguments = copy;
	return 1;
}

void journal_touch(struct journal *journal)
{
	journal->generation++;
}

int journal_note(struct journal *journal, const char *command,
		 json_t *arguments, bool typed)
{
	const struct row *row = find_row(command);
	struct entry *entry;
	int outcome;

	if (!row)
		return 0;
	journal->generation++;
	drop_replaced(journal, row, arguments);
	if (row->effect == REMOVES || is_secret(arguments))
		return 0;
	outcome = renew(journal, row, arguments);
	if (outcome)
		return MIN(outcome, 0);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){
		.row = row,
		.arguments = json_incref(arguments),
		.typed = typed,
	};
	list_append(&journal->entries, &entry->link);
	return 0;
}

bool journal_has(const struct journal *journal, const char *command,
		 const json_t *arguments)
{
	const struct row *row = find_row(command);
	const char *name = row ? name_of(row, arguments) : NULL;

	return row && row->effect == MAKES && find_maker(journal, row, name);
}

json_t *journal_commands(const struct journal *journal)
{
	json_t *list = json_array();

	list_for_each(node, &journal->entries) {
		const struct entry *entry = entry_of(node);
		json_t *command =
			json_pack("{s:s,s:O,s:b}", "execute",
				  entry->row->command, "arguments",
				  entry->arguments, "x-typed", entry->typed);

		if (json_array_append_new(list, command) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
