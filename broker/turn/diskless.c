#include "turn/diskless.h"

static enum login authenticate(void *arg, struct session *session, struct bytes user,
			       struct bytes password, struct user **account)
{
	(void)arg;
	*account = NULL;
	bool is_guest = session_peer(session)->is_loopback && bytes_equal_str(user, "guest") &&
			bytes_equal_str(password, "guest");
	return is_guest ? LOGIN_TAKEN : LOGIN_REFUSED;
}

static void log_nothing(void *arg, const struct session *session, bool is_warning, const char *kind,
			const char *text)
{
	(void)is_warning;
	(void)kind;
	(void)arg;
	(void)session;
	(void)text;
}

/* --- the disk that is a number --- */

static struct batch *begin(void *arg, uint64_t unix_ms)
{
	struct diskless *d = arg;
	d->batch.sequence = d->sequence;
	d->batch.now_ms = unix_ms;
	return &d->batch;
}

static uint64_t submit(void *arg, bool is_here)
{
	struct diskless *d = arg;
	(void)is_here;
	d->submitted = batch_is_empty(&d->batch) ? d->sequence - 1 : d->sequence;
	return d->submitted;
}

static uint64_t durable(void *arg)
{
	const struct diskless *d = arg;
	return d->durable;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static const struct disk_operations a_number = {
	.begin = begin,
	.submit = submit,
	.durable = durable,
	.checkpoint_begin = never,
	.checkpointed = never,
};

static void on_effect(void *arg, const struct effect *effect)
{
	struct diskless *d = arg;
	session_effect(effect);
	d->effects++;
}

static void drain(void *arg)
{
	struct diskless *d = arg;
	turn_drain(&d->turn);
}

/* --- life and turns --- */

void diskless_init(struct diskless *d, const struct core_options *limits, const char *product)
{
	struct core_options core = *limits;
	*d = (struct diskless){ .sequence = 1 };
	space_init(&d->space);
	batch_init(&d->batch, &d->space, &d->changes);
	core.space = &d->space;
	d->core = core_create(&core);
	struct turn_options turn = {
		.core = d->core,
		.disk = { &a_number, d },
		.on_effect = on_effect,
		.arg = d,
	};
	turn_init(&d->turn, &turn);
	outbuf_pool_init(&d->outbufs, core_messages(d->core));
	d->options = (struct session_options){
		.product = product,
		.version = LEV_VERSION,
		.cluster_name = "diskless",
		.frame_max = 131072,
		.channel_max = 2047,
		.heartbeat_s = 60,
		.message_bytes_max = 128 << 20,
		.table_fields_max = 8192,
		.table_depth_max = 128,
		.handshake_timeout_ms = 10000,
		.send_timeout_ms = 30000,
	};
	d->host = (struct session_host){
		.core = d->core,
		.outbufs = &d->outbufs,
		.batch = &d->batch,
		.now_ms = 1000,
		.options = &d->options,
		.authenticate = authenticate,
		.drain = drain,
		.log = log_nothing,
		.arg = d,
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
	d->effects = 0;
	turn_begin(&d->turn, d->host.now_ms);
}

bool diskless_end(struct diskless *d)
{
	turn_end(&d->turn, TURN_NO_CHECKPOINT, false);
	return d->effects > 0;
}

void diskless_sync(struct diskless *d)
{
	d->durable = d->submitted;
	batch_close(&d->batch, 0);
	batch_clear(&d->batch);
	d->sequence = d->submitted + 1;
}
