/* Says hello to itself through a queue:  hello [URI] */
#include <leveret/leveret.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct lev *lev;
	struct lev_message *m;
	int rc = lev_connect(&lev, argc > 1 ? argv[1] : "amqp://localhost", lev_in(5000));
	if (rc < 0)
		return fprintf(stderr, "hello: %s\n", lev_reason()), 1;
	rc = lev_declare_queue(lev, "hello", NULL, lev_in(5000));
	if (rc >= 0)
		rc = lev_send(lev, "", "hello", "Hello, world", 12, lev_in(5000));
	if (rc >= 0)
		rc = lev_get(lev, "hello", &m, lev_in(5000));
	if (rc >= 0) {
		printf("%s\n", (const char *)m->body);
		rc = lev_ack(m);
	}
	if (rc < 0)
		fprintf(stderr, "hello: %s\n", lev_reason());
	return lev_close(lev, lev_in(5000)) < 0 || rc < 0;
}
