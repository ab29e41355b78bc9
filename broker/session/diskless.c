#include "session/diskless.h"

static bool authenticate(void *arg, struct bytes user, struct bytes password, bool is_loopback)
{
	(void)arg;
	return is_loopback && bytes_equal_str(user, "guest") && bytes_equal_str(password, "guest");
}

static void log_nothing(void *arg, const struct session *session, const char *kind,
			const char *text)
{
	(void)kind;
	(void)arg;
	(void)session;
	(void)text;
}

void diskless_init(struct diskless *d, const struct core_options *limits, const char *product)
{
	struct core_options core = *limits;
	*d = (struct diskless){ .sequence = 1 };
	space_init(&d->space);
	batch_init(&d->batch, &d->space, &d->changes);
	core.space = &d->space;
	d->core = core_create(&core);
	outbuf_pool_init(&d->outbufs, core_messages(d->core));
	d->options = (struct session_options){
		.product = product,
		.version = LEV_VERSION,
		.cluster_name = "diskless",
		.frame_max = 131072,
		.channel_max = 2047,
		.heartbeat_s = 60,
		.message_bytes_max = 128 << 20,
		.handshake_timeout_ms = 10000,
	};
	d->host = (struct session_host){
		.core = d->core,
		.outbufs = &d->outbufs,
		.batch = &d->batch,
		.now_ms = 1000,
		.options = &d->options,
		.authenticate = authenticate,
		.log = log_nothing,
	};
}

void diskless_fini(struct diskless *d)
{
	core_destroy(d->core);
	outbuf_pool_fini(&d->outbufs);
	batch_close(&d->batch, 0);
	batch_fini(&d->batch);
	changes_fini(&d->changes);
	space_fini(&d->space);
}

void diskless_begin(struct diskless *d)
{
	d->batch.sequence = d->sequence;
	d->batch.now_ms = d->host.now_ms;
	core_begin(d->core, &d->batch, d->host.now_ms);
	core_durable(d->core, d->durable);
}

void diskless_end(struct diskless *d)
{
	core_end(d->core);
	d->submitted = batch_is_empty(&d->batch) ? d->sequence - 1 : d->sequence;
}

void diskless_sync(struct diskless *d)
{
	d->durable = d->submitted;
	batch_close(&d->batch, 0);
	batch_clear(&d->batch);
	d->sequence = d->submitted + 1;
}
