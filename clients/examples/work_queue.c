/* Images to be resized, by four threads with five images at a time; what fails three times lies in
 * images.resize.dlq.
 *
 *   work_queue [URI]        puts twenty images into the queue, and resizes them */
#include <leveret/patterns.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static atomic_int resized, refused;

static int resize(void *arg, const struct lev_message *m)
{
	(void)arg;
	if (strcmp(m->body, "broken.png") == 0) {
		refused++;
		return LEV_JOB_RETRY;
	}
	printf("resized %s\n", (const char *)m->body);
	resized++;
	return LEV_JOB_OK;
}

static int declare(struct lev *lev)
{
	struct lev_table *arguments = lev_table_create();
	const struct lev_queue queue = { .arguments = arguments };
	lev_table_set_int(arguments, "x-delivery-limit", 3);
	int rc = lev_declare_with_dlq(lev, "images.resize", &queue, lev_in(5000));
	lev_table_destroy(arguments);
	return rc;
}

int main(int argc, char **argv)
{
	const struct lev_worker_options options = {
		.queue = "images.resize", .threads = 4, .prefetch = 5, .handler = resize
	};
	struct lev *lev;
	struct lev_worker *worker;
	if (lev_connect(&lev, argc > 1 ? argv[1] : "amqp://localhost", lev_in(5000)) < 0 ||
	    declare(lev) < 0)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	for (int i = 0; i < 20; i++) {
		char name[32];
		int len = snprintf(name, sizeof name, i == 7 ? "broken.png" : "image-%d.png", i);
		struct lev_publish image = { .routing_key = "images.resize",
					     .body = name,
					     .body_len = (size_t)len };
		lev_publish(lev, &image, NULL, NULL, lev_in(5000));
	}
	if (lev_flush(lev, lev_in(5000)) < 0 ||
	    lev_worker_start(lev, &options, &worker, lev_in(5000)) < 0)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	while (resized < 19 || refused < 4)
		usleep(10000);
	lev_worker_stop(worker, lev_in(5000));
	struct lev_queue_info info;
	if (lev_queue_info(lev, "images.resize.dlq", &info, lev_in(5000)) == LEV_OK)
		printf("%u in images.resize.dlq\n", info.messages);
	return lev_close(lev, lev_in(5000)) < 0;
}
