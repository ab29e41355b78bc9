/* Verbs: the commands of rabbitmqctl, what each takes, asks and prints. */
#ifndef LEV_CTL_VERBS_H
#define LEV_CTL_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { VERB_ARGUMENTS_MAX = 5 };

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
	const char *command; /* Of the question. */
	enum verb_kind kind;
	int least; /* Arguments. */
	const char *usage;
	const char *fields[VERB_ARGUMENTS_MAX]; /* Of the question, by argument. */
	bool has_vhost;
	const char *title;   /* $1, $2, $3: arguments; $v: the virtual host; $t: tags. */
	const char *done;    /* Printed when it is; NULL: nothing. */
	const char *columns; /* Of a list, separated by blanks. */
};

const struct verb *verb_find(const char *name); /* NULL: there is none. */
/* All of them, for the help. */
extern const struct verb verbs[];

#endif
