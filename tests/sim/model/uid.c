/* Uid: what the broker calls a message that has an identity: the same wherever it is met, and no
 * other one. */
#include "model.h"

void model_uid_expected(struct model *m, const struct model_publish *p)
{
	m->uids[p->id % MODEL_UIDS] =
		(struct model_uid){ .id = p->id,
				    .is_due = p->key != 0 || p->producer != 0 || p->is_copy,
				    .origin = p->origin };
}

static void check_new(struct model *m, uint64_t uid)
{
	size_t at = uid % (4 * MODEL_UIDS), steps = 0;
	for (; m->uids_given[at] != 0; at = (at + 1) % (4 * MODEL_UIDS)) {
		MODEL_CHECK(m, m->uids_given[at] != uid);
		MODEL_CHECK(m, steps++ < 2 * MODEL_UIDS);
	}
	m->uids_given[at] = uid;
}

void model_uid_told(struct model *m, uint64_t id)
{
	struct model_uid *u = &m->uids[id % MODEL_UIDS];
	if (u->id != id) /* Long ago. */
		return;
	MODEL_CHECK(m, (m->told.uid != 0) == u->is_due);
	MODEL_CHECK(m, m->told.origin == u->origin);
	if (u->uid == 0 && u->is_due)
		check_new(m, m->told.uid);
	else
		MODEL_CHECK(m, m->told.uid == u->uid);
	u->uid = m->told.uid;
}
