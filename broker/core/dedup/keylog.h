/* Key log: where idempotency keys are kept, and when they go. */
#ifndef LEV_CORE_DEDUP_KEYLOG_H
#define LEV_CORE_DEDUP_KEYLOG_H

#include "core/dedup/keys.h"
#include "core/time/timer.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct core_figures;
struct effect;

struct gone_key {
	struct key_name name;
	uint64_t until; /* Keys of this name with lower positions are gone. */
};

/* Keys from this position on came with that batch. */
struct key_mark {
	uint64_t position;
	uint64_t sequence;
};

enum { KEY_MARKS = 4, KEYS_STORE_KEY_BYTES = 9 };

/* What the journal has of the keys. */
struct key_log {
	struct key_mark marks[KEY_MARKS]; /* The newest is first. */
	uint64_t noted;                   /* Keys below this position are in the log. */
	uint64_t saved_first;             /* As the store has it: the first chunk, */
	uint64_t saved_next;              /* the next position, */
	size_t saved_pending;             /* and how many of `pending`. */
	struct gone_key *gone;            /* In this turn. */
	size_t gone_len;
	size_t gone_cap;
	struct gone_key *pending; /* To be looked for when all keys are loaded. */
	size_t pending_len;
	size_t pending_cap;
	uint32_t work;                        /* Chunks that may still be loaded in this turn. */
	uint8_t wanted[KEYS_STORE_KEY_BYTES]; /* The one that is being loaded. */
	struct timer timer;
	uint64_t evicted_ms; /* How old the key was that was evicted last; NEVER: none was. */
	uint64_t longest_ms; /* The longest window that anything has. */
	bool has_seed;       /* The journal knows with which seed names are hashed. */
};

/* The turn begins. */
void keylog_begin(struct core *core);
/* Adds (flags as of keys_add()), removes: with all that follows from it for the journal. */
uint64_t keylog_add(struct core *core, struct key_name name, uint64_t print, uint32_t flags);
void keylog_remove(struct core *core, uint64_t position);
/* So many have been added: those go that are too old or too many. */
void keylog_tidy(struct core *core, uint64_t added);
/* The key is as if it had been added now. */
void keylog_renew(struct core *core, uint64_t position);
/* As keylog_remove(), for a key that may not be loaded yet. */
void keylog_forget(struct core *core, struct key_name name);
/* The journal's sequence that makes a key durable; 0: it is, or will never be. */
uint64_t keylog_sequence(const struct core *core, uint64_t position);
/* The same for a group. */
uint64_t keylog_group_sequence(const struct core *core, const struct keys_group *group);
/* Keys that are older than any window go. */
void keylog_is_due(struct core *core);
/* Writes what the turn changed, and for a checkpoint what differs from the store. */
void keylog_end(struct core *core);
void keylog_save(struct core *core);
bool keylog_next(struct core *core, struct effect *effect);
/* Recovery: what the store knows, and notes of the log's tail. */
void keylog_on_state(struct core *core, struct bytes value);
void keylog_on_note(struct core *core, struct bytes key, struct bytes value);
/* New keys come at this position or after it. */
void keylog_skip(struct core *core, uint64_t position);
void keylog_figures(const struct core *core, struct core_figures *figures);
void keylog_fini(struct core *core);

#endif
