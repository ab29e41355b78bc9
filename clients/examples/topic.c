/* Notifications by topic: an e-mail service takes notification.email.*, an audit everything.
 *
 *   topic [URI] */
#include <leveret/leveret.h>
#include <stdio.h>
#include <string.h>

static int subscribe(struct lev *lev, const char *queue, const char *pattern)
{
	const struct lev_queue own = { .is_exclusive = true, .is_transient = true };
	int rc = lev_topic_check(pattern);
	if (rc == LEV_OK)
		rc = lev_declare_queue(lev, queue, &own, lev_in(5000));
	return rc == LEV_OK ? lev_bind(lev, queue, "notifications", pattern, NULL, lev_in(5000))
			    : rc;
}

static void print_all(struct lev *lev, const char *queue)
{
	struct lev_message *m;
	while (lev_get(lev, queue, &m, lev_in(5000)) == LEV_OK) {
		printf("%s: %s: %s\n", queue, m->routing_key, (const char *)m->body);
		lev_ack(m);
	}
}

int main(int argc, char **argv)
{
	static const char *const keys[] = { "notification.email.welcome", "notification.sms.code",
					    "notification.email.receipt" };
	struct lev *lev;
	if (lev_connect(&lev, argc > 1 ? argv[1] : "amqp://localhost", lev_in(5000)) < 0 ||
	    lev_declare_exchange(lev, "notifications", "topic", NULL, lev_in(5000)) < 0 ||
	    subscribe(lev, "email", "notification.email.*") < 0 ||
	    subscribe(lev, "audit", "notification.#") < 0)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	for (int i = 0; i < 3; i++)
		if (lev_send(lev, "notifications", keys[i], "for ada", 7, lev_in(5000)) < 0)
			return fprintf(stderr, "%s\n", lev_reason()), 1;
	print_all(lev, "email");
	print_all(lev, "audit");
	return lev_close(lev, lev_in(5000)) < 0;
}
