#include "disk.h"

#include "base/alloc.h"
#include "store.h"

#include <stdlib.h>

/* A key and what it was set to, with the sequences between which that holds. */
struct version {
	struct bytes key;
	struct bytes value;
	uint64_t from;
	uint64_t until; /* 0: still there. */
};

struct disk {
	struct version *versions;
	size_t len;
	size_t cap;
};

struct disk *disk_create(void)
{
	return alloc_zeroed(sizeof(struct disk));
}

static void version_free(struct version *v)
{
	free((void *)v->key.data);
	free((void *)v->value.data);
}

void disk_destroy(struct disk *disk)
{
	for (size_t i = 0; i < disk->len; i++)
		version_free(&disk->versions[i]);
	free(disk->versions);
	free(disk);
}

static struct version *find(struct disk *disk, struct bytes key)
{
	for (size_t i = disk->len; i-- > 0;)
		if (disk->versions[i].until == 0 && bytes_equal(disk->versions[i].key, key))
			return &disk->versions[i];
	return NULL;
}

static void delete (struct disk *disk, struct bytes key, uint64_t sequence)
{
	struct version *v = find(disk, key);
	if (v != NULL)
		v->until = sequence;
}

static void put(struct disk *disk, struct bytes key, struct bytes value, uint64_t sequence)
{
	delete (disk, key, sequence);
	disk->versions = alloc_grow(disk->versions, &disk->cap, disk->len + 1, sizeof *disk->versions);
	disk->versions[disk->len++] = (struct version){ alloc_copy(key), alloc_copy(value), sequence, 0 };
}

void disk_write(struct disk *disk, struct batch *batch)
{
	static const uint8_t checkpoint_key[] = { STORE_KEY_CHECKPOINT };
	struct batch_change change;
	uint8_t key[16];
	size_t at = 0;
	batch_close(batch);
	while (batch_next_put(batch, &at, &change)) {
		if (change.is_delete)
			delete (disk, change.key, batch->sequence);
		else
			put(disk, change.key, change.value, batch->sequence);
	}
	for (size_t i = 0; i < batch->segments_len; i++)
		put(disk, store_segment_key(key, batch->segments[i].number),
		    bytes_of(batch->segments[i].data, batch->segments[i].len), batch->sequence);
	for (size_t i = 0; i < batch->deletes_len; i++)
		delete (disk, store_segment_key(key, batch->deletes[i]), batch->sequence);
	if (batch->checkpoint_segment != 0) {
		struct store_checkpoint checkpoint = { .segment = batch->checkpoint_segment };
		put(disk, bytes_of(checkpoint_key, 1), bytes_of(&checkpoint, sizeof checkpoint), batch->sequence);
	}
	batch_clear(batch);
}

void disk_crash(struct disk *disk, uint64_t durable)
{
	size_t kept = 0;
	for (size_t i = 0; i < disk->len; i++) {
		struct version *v = &disk->versions[i];
		if (v->until > durable)
			v->until = 0;
		if (v->from > durable || v->until != 0)
			version_free(v);
		else
			disk->versions[kept++] = *v;
	}
	disk->len = kept;
}

static int by_key(const void *a, const void *b)
{
	const struct version *x = a, *y = b;
	size_t len = x->key.len < y->key.len ? x->key.len : y->key.len;
	int order = memcmp(x->key.data, y->key.data, len);
	return order != 0 ? order : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

static void recover_segment(struct live *live, const struct version *v, uint64_t checkpoint,
			    const struct journal_visitor *visitor, void *arg)
{
	uint64_t number = load_u64(v->key.data + 1);
	struct segment_head head;
	struct entry entry;
	uint32_t next;
	if (!segment_open(v->value, number, &head))
		abort();
	live_add(live, number);
	for (uint32_t offset = SEGMENT_HEAD_BYTES;; offset = next) {
		int rc = entry_read(v->value, head.time_ms, offset, &entry, &next);
		if (rc == ENTRY_END)
			break;
		if (rc != ENTRY_OK)
			abort();
		if (entry.kind == ENTRY_MESSAGE || number > checkpoint)
			visitor->entry(arg, location_of(number, offset), &entry, number > checkpoint);
	}
	live_unref(live, number);
}

uint64_t disk_recover(struct disk *disk, struct live *live, const struct journal_visitor *visitor, void *arg)
{
	uint64_t checkpoint = 0, next = 1;
	disk_crash(disk, UINT64_MAX);
	if (disk->len > 0)
		qsort(disk->versions, disk->len, sizeof *disk->versions, by_key);
	for (size_t i = 0; i < disk->len; i++) {
		const struct version *v = &disk->versions[i];
		struct bytes rest = bytes_of(v->key.data + 1, v->key.len - 1);
		switch (v->key.data[0]) {
		case STORE_KEY_CHECKPOINT:
			checkpoint = ((const struct store_checkpoint *)(const void *)v->value.data)->segment;
			break;
		case STORE_KEY_COUNTERS: visitor->counters(arg, v->value); break;
		case STORE_KEY_DEFINITION: visitor->definition(arg, rest, v->value); break;
		case STORE_KEY_QUEUE: visitor->queue(arg, load_u32(rest.data), v->value); break;
		default: recover_segment(live, v, checkpoint, visitor, arg); next = load_u64(rest.data) + 1;
		}
	}
	return next > checkpoint ? next : checkpoint + 1;
}

bool disk_read(struct disk *disk, uint64_t location, struct entry *entry)
{
	uint8_t key[16];
	struct segment_head head;
	uint32_t next;
	uint64_t number = location_segment(location);
	struct version *v = find(disk, store_segment_key(key, number));
	return v != NULL && segment_open(v->value, number, &head) &&
	       entry_read(v->value, head.time_ms, location_offset(location), entry, &next) == ENTRY_OK;
}

size_t disk_segments(const struct disk *disk)
{
	size_t n = 0;
	for (size_t i = 0; i < disk->len; i++)
		n += disk->versions[i].until == 0 && disk->versions[i].key.data[0] == STORE_KEY_SEGMENT;
	return n;
}
