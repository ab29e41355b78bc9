/* Says hello to itself through a queue:  hello [URI] */
#include <leveret/leveret.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct lev *lev;
	struct lev_message *m;
	if (lev_connect(&lev, argc > 1 ? argv[1] : "amqp://localhost", lev_in(5000)) < 0)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	lev_declare_queue(lev, "hello", NULL, lev_in(5000));
	lev_send(lev, "", "hello", "Hello, world", 12, lev_in(5000));
	if (lev_get(lev, "hello", &m, lev_in(5000)) == LEV_OK) {
		printf("%s\n", (const char *)m->body);
		lev_ack(m);
	}
	return lev_close(lev, lev_in(5000)) < 0;
}
