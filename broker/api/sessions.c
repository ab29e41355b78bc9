#include "api/sessions.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	LIFE_MS = 12 * 3600 * 1000,
	UNUSED_MS = 30 * 60 * 1000,
	DIGEST_BYTES = 32,
	SECRET_BYTES = 32
};

struct entry {
	struct list in_order;
	uint8_t digest[DIGEST_BYTES]; /* Of the secret: that itself is nowhere but in the browser.
				       */
	struct bytes user;            /* Owned. */
	uint64_t version;
	uint64_t began_ms;
	uint64_t used_ms;
	char csrf[SESSION_SECRET_CHARS + 1];
};

struct sessions {
	struct map by_digest;
	struct list order; /* Who was used longest ago first. */
};

struct sessions *sessions_create(uint64_t seed)
{
	struct sessions *s = alloc_zeroed(sizeof *s);
	map_init(&s->by_digest, seed);
	list_init(&s->order);
	return s;
}

static void drop(struct sessions *s, struct entry *e)
{
	map_remove(&s->by_digest, bytes_of(e->digest, sizeof e->digest));
	list_remove(&e->in_order);
	free((void *)e->user.data);
	free(e);
}

void sessions_destroy(struct sessions *s)
{
	if (s == NULL)
		return;
	while (!list_is_empty(&s->order))
		drop(s, list_entry(s->order.next, struct entry, in_order));
	map_fini(&s->by_digest);
	free(s);
}

/* Base64 for addresses, without padding. */
static void make_secret(char out[SESSION_SECRET_CHARS + 1])
{
	uint8_t random[SECRET_BYTES];
	char text[48];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		abort();
	EVP_EncodeBlock((unsigned char *)text, random, sizeof random);
	for (size_t i = 0; i < SESSION_SECRET_CHARS; i++)
		out[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	out[SESSION_SECRET_CHARS] = '\0';
}

static void digest(struct bytes secret, uint8_t out[DIGEST_BYTES])
{
	unsigned len = DIGEST_BYTES;
	if (EVP_Digest(secret.data, secret.len, out, &len, EVP_sha256(), NULL) != 1)
		abort();
}

void sessions_begin(struct sessions *s, struct bytes user, uint64_t version, uint64_t now_ms,
		    char secret[SESSION_SECRET_CHARS + 1])
{
	struct entry *e = alloc_zeroed(sizeof *e);
	if (s->by_digest.len >= SESSIONS_MAX)
		drop(s, list_entry(s->order.next, struct entry, in_order));
	make_secret(secret);
	make_secret(e->csrf);
	digest(bytes_str(secret), e->digest);
	e->user = alloc_copy(user);
	e->version = version;
	e->began_ms = e->used_ms = now_ms;
	map_put(&s->by_digest, bytes_of(e->digest, sizeof e->digest), e);
	list_push_tail(&s->order, &e->in_order);
}

/* "a=b; leveret=SECRET" or, under TLS, "__Host-leveret=SECRET". */
static struct bytes secret_of(struct bytes cookies)
{
	static const char *const names[] = { "__Host-leveret=", "leveret=" };
	size_t at = 0;
	while (at < cookies.len) {
		const uint8_t *from = cookies.data + at;
		const uint8_t *end = memchr(from, ';', cookies.len - at);
		size_t len = end == NULL ? cookies.len - at : (size_t)(end - from);
		at += len + 1;
		for (; len > 0 && *from == ' '; len--)
			from++;
		for (size_t i = 0; i < 2; i++) {
			size_t name = strlen(names[i]);
			if (len > name && memcmp(from, names[i], name) == 0)
				return bytes_of(from + name, len - name);
		}
	}
	return bytes_of("", 0);
}

static struct entry *find(const struct sessions *s, struct bytes cookies)
{
	uint8_t key[DIGEST_BYTES];
	struct bytes secret = secret_of(cookies);
	if (secret.len == 0)
		return NULL;
	digest(secret, key);
	return map_get(&s->by_digest, bytes_of(key, sizeof key));
}

bool sessions_find(struct sessions *s, struct bytes cookies, uint64_t now_ms,
		   struct page_session *session)
{
	struct entry *e = find(s, cookies);
	if (e == NULL)
		return false;
	if (now_ms - e->began_ms > LIFE_MS || now_ms - e->used_ms > UNUSED_MS) {
		drop(s, e);
		return false;
	}
	e->used_ms = now_ms;
	list_remove(&e->in_order);
	list_push_tail(&s->order, &e->in_order);
	*session = (struct page_session){ e->user, e->version, e->csrf };
	return true;
}

void sessions_end(struct sessions *s, struct bytes cookies)
{
	struct entry *e = find(s, cookies);
	if (e != NULL)
		drop(s, e);
}
