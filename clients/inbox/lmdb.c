/* Keys:  'k' hash of consumer and key, 1       -> time, 8 bytes
 *        't' time, big-endian, the key above   -> nothing
 * The second kind is in order of time, for forgetting. */
#define LEV_INBOX_LMDB
#include "check.h"

#include <leveret/inbox.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { KEY_BYTES = 18 }; /* 'k', 16 bytes of hash, and one to tell them from others. */

static int failed(int rc)
{
	return lev_fail(LEV_SYSTEM, "inbox: %s", mdb_strerror(rc));
}

int lev_inbox_lmdb_open(MDB_txn *txn, MDB_dbi *inbox)
{
	int rc = mdb_dbi_open(txn, "leveret_inbox", MDB_CREATE, inbox);
	return rc == 0 ? LEV_OK : failed(rc);
}

static void store_time(uint8_t *at, uint64_t time)
{
	for (int i = 7; i >= 0; i--, time >>= 8)
		at[i] = (uint8_t)time;
}

static uint64_t load_time(const uint8_t *at)
{
	uint64_t time = 0;
	for (int i = 0; i < 8; i++)
		time = time << 8 | at[i];
	return time;
}

/* Two names as one key: 128 bits, so that a collision is not to be expected in the life of the
 * universe. */
static void make_key(uint8_t key[KEY_BYTES], const char *consumer, const char *name)
{
	XXH3_state_t state;
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, consumer, strlen(consumer) + 1);
	XXH3_128bits_update(&state, name, strlen(name) + 1);
	XXH128_canonical_t hash;
	XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(&state));
	key[0] = 'k';
	memcpy(key + 1, &hash, sizeof hash);
	key[KEY_BYTES - 1] = 1;
}

int lev_inbox_lmdb_claim(MDB_txn *txn, MDB_dbi inbox, const char *consumer, const char *name,
			 uint64_t now_s)
{
	uint8_t key[KEY_BYTES], time[8], by_time[1 + 8 + KEY_BYTES] = { 't' };
	int rc = inbox_check(consumer, name);
	if (rc != LEV_OK)
		return rc;
	make_key(key, consumer, name);
	store_time(time, now_s);
	memcpy(by_time + 1, time, sizeof time);
	memcpy(by_time + 9, key, sizeof key);
	MDB_val k = { sizeof key, key }, v = { sizeof time, time }, t = { sizeof by_time, by_time },
		nothing = { 0, NULL };
	rc = mdb_put(txn, inbox, &k, &v, MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST)
		return LEV_DUPLICATE;
	if (rc == 0)
		rc = mdb_put(txn, inbox, &t, &nothing, 0);
	return rc == 0 ? LEV_OK : failed(rc);
}

int lev_inbox_lmdb_forget(MDB_txn *txn, MDB_dbi inbox, uint64_t before_s, size_t most,
			  size_t *forgotten)
{
	MDB_cursor *cursor;
	size_t len = 0;
	int rc = mdb_cursor_open(txn, inbox, &cursor);
	if (rc != 0)
		return failed(rc);
	for (; len < most; len++) {
		uint8_t first = 't', key[KEY_BYTES];
		MDB_val t = { 1, &first }, none;
		rc = mdb_cursor_get(cursor, &t, &none, MDB_SET_RANGE);
		if (rc != 0 || t.mv_size != 1 + 8 + KEY_BYTES ||
		    load_time((const uint8_t *)t.mv_data + 1) >= before_s)
			break;
		memcpy(key, (const uint8_t *)t.mv_data + 9, sizeof key);
		MDB_val k = { sizeof key, key };
		rc = mdb_cursor_del(cursor, 0);
		if (rc == 0)
			rc = mdb_del(txn, inbox, &k, NULL);
		if (rc != 0)
			break;
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return failed(rc);
	if (forgotten != NULL)
		*forgotten = len;
	return LEV_OK;
}
