/* Verbs: the commands, what each takes, asks and prints: a row each. */
#ifndef LEV_CTL_VERBS_H
#define LEV_CTL_VERBS_H

#include "ctl/options.h"

#include <stdbool.h>
#include <stddef.h>

enum { VERB_ARGUMENTS_MAX = 5, VERB_ANY = 1000 };

/* How an argument becomes a field of the question. */
enum verb_kind {
	VERB_PLAIN,    /* Each argument is a text. */
	VERB_TAGS,     /* What follows the first one is a list of texts. */
	VERB_PASSWORD, /* The second is a password, or comes from standard input. */
	VERB_JSON,     /* The last one is JSON. */
	VERB_LIST,     /* Prints rows; arguments are columns. */
	VERB_LIST_OF,  /* The same, and the first argument is a field. */
};

struct verb {
	const char *name;
	const char *group; /* Of the help; NULL: as the one before. */
	const char *usage; /* Arguments and options of its own. */
	/* Of the question to the broker (asked.h); of a list, what of management (lists.h); what
	 * else runs has it for itself. */
	const char *command;
	int (*run)(const struct options *options, const struct verb *verb);
	enum verb_kind kind;
	int least, most; /* Arguments. */
	bool has_vhost;
	bool has_columns; /* Arguments are columns, but for those of VERB_LIST_OF. */
	const char *fields[VERB_ARGUMENTS_MAX]; /* Of the question, by argument. */
	const char *title;			/* say_title(). */
	const char *done;			/* Printed when it is; NULL: nothing. */
	const char *columns;			/* Of a list, separated by blanks, */
	const char *all_columns;		/* and those that may be asked for. */
};

const struct verb *verb_find(const char *name); /* NULL: there is none. */
/* The one whose name is nearest; NULL: none is near. */
const struct verb *verb_near(const char *name);
/* All of them; the last one has no name. */
extern const struct verb verbs[];

#endif
