/* Space: which slots of the log hold something that lives, and where in the file each of them is.
 *
 * The log's addresses only grow; the file's slots are used again. A slot may be used again once (1)
 * nothing in it lives and (2) the store has a checkpoint which says so and which is later than the
 * slot, because recovery reads the log from the last checkpoint on. So space_checkpoint() sets dead
 * slots aside and space_checkpointed() frees them.
 *
 * Memory alone and no I/O, so the core can count its references here and stay deterministic. Some
 * 40 bytes for each slot in use: 2.5 MiB for a terabyte. Not thread-safe. */
#ifndef LEV_STORAGE_SPACE_H
#define LEV_STORAGE_SPACE_H

#include "changes.h"
#include "segment.h"

struct space_slot {
	uint64_t number;   /* at / LOG_SLOT_BYTES */
	uint32_t physical; /* Where in the file, in slots. */
	uint32_t span;   /* Slots in a row that it takes: more than one for a message that is longer
			    than a slot. */
	uint32_t places; /* Living places of its messages. */
	uint32_t volatile_places;
	uint32_t places_ever;   /* Living ones and all that have gone. */
	uint32_t places_saved;  /* Living ones at the last checkpoint, */
	uint32_t places_before; /* and at the one before. */
	bool is_leaving; /* Its place in the file is free once the running checkpoint is in the
			    store. */
	bool is_copied;  /* What lives of it goes into the store with the next checkpoint, */
	bool is_moved;   /* is there, and its place in the file has been given back. */
	bool is_stuck;   /* It cannot be copied. */
	bool is_dirty;   /* Differs from its record in the store. */
};

struct space {
	uint64_t next_at;         /* The end of the log: where the next segment goes. */
	struct space_slot *slots; /* By number. */
	size_t slots_len;
	size_t slots_cap;
	size_t recent;  /* Index of the slot used last: most uses come in runs. */
	uint32_t *free; /* Physical slots, the lowest last. */
	size_t free_len;
	size_t free_cap;
	uint32_t *leaving; /* Physical slots that are free once the running checkpoint is in the
			      store. */
	size_t leaving_len;
	size_t leaving_cap;
	uint32_t file_slots; /* Length of the file. */
};

/* The log begins in slot 1: at 0 is nowhere. */
void space_init(struct space *space);
void space_fini(struct space *space);

/* Finds a place in the file for a slot; one that has a place keeps it. */
void space_open_slot(struct space *space, uint64_t number, uint32_t span);

/* Nothing has been put into this slot after all. */
void space_close_slot(struct space *space, uint64_t number);

/* A slot of the file is ready for use. */
void space_add_free(struct space *space, uint32_t physical);

void space_ref(struct space *space, uint64_t location);
void space_unref(struct space *space, uint64_t location);

/* As space_unref(), for a location that was read from the disk and may be wrong. */
void space_forget(struct space *space, uint64_t location);

/* The slot that holds an address; NULL if nothing is known of it. Valid until the next call. */
struct space_slot *space_slot_at(struct space *space, uint64_t at);

/* Offset in the file of an address, UINT64_MAX if it is not there (any more). */
uint64_t space_offset(struct space *space, uint64_t at);

/* --- checkpoints --- */

/* Adds the records of slots that changed, and sets aside what is dead. */
void space_checkpoint(struct space *space, struct changes *changes);

/* That checkpoint is in the store. */
void space_checkpointed(struct space *space);

/* --- clearing --- */

/* A slot of which less than half lives, and which is not about to be consumed anyway; NULL if there
 * is none. Its survivors can be copied to the store: then is_copied is to be set. */
struct space_slot *space_sparse(struct space *space);

/* --- recovery --- */

/* Takes in a record that space_checkpoint() made; false if it makes no sense. Records come in
 * order. */
bool space_load(struct space *space, struct bytes key, struct bytes value);

/* A slot that was begun after the checkpoint, in this place of the file. */
void space_found(struct space *space, uint64_t number, uint32_t span, uint32_t physical);

/* The log ends here: slots that begin at or after it are none. */
void space_forget_from(struct space *space, uint64_t at);

/* All that is in use is known: the rest of a file of this many slots is free. */
void space_loaded(struct space *space, uint32_t file_slots);

#endif
