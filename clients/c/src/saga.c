/* Saga: the state machine, and what drives it. */
#include "reason.h"

#include <leveret/patterns.h>
#include <stdio.h>

enum { ID_BYTES_MAX = 150, STEPS_MAX = 1000, KEY_BYTES = 256 };

/* The next one, downward from `step`, that can be undone. */
static struct lev_saga_state undo_from(const struct lev_saga *saga, size_t step)
{
	while (step > 0 && saga->steps[step - 1].undo == NULL)
		step--;
	if (step == 0)
		return (struct lev_saga_state){ LEV_SAGA_UNDONE, 0 };
	return (struct lev_saga_state){ LEV_SAGA_UNDOING, (uint32_t)step - 1 };
}

struct lev_saga_state lev_saga_next(const struct lev_saga *saga, struct lev_saga_state s,
				    int result)
{
	enum lev_step_meaning meaning = lev_result_meaning(result).step;
	if (s.phase == LEV_SAGA_RUNNING && meaning == LEV_STEP_DONE) {
		bool is_last = s.step + 1 >= saga->steps_len;
		return is_last ? (struct lev_saga_state){ LEV_SAGA_COMPLETED, s.step }
			       : (struct lev_saga_state){ LEV_SAGA_RUNNING, s.step + 1 };
	}
	if (s.phase == LEV_SAGA_RUNNING)
		return undo_from(saga, s.step + (meaning == LEV_STEP_MAYBE ? 1u : 0u));
	if (s.phase == LEV_SAGA_UNDOING && meaning == LEV_STEP_DONE)
		return undo_from(saga, s.step);
	return s; /* What could not be undone is to be undone again. */
}

struct undo {
	const struct lev_saga_step *step;
	const struct lev_saga_call *call;
};

static int undo(void *arg)
{
	const struct undo *u = arg;
	int rc = u->step->undo(u->call);
	return rc < 0 ? LEV_TIMEOUT : rc; /* No answer is final. */
}

static int take_step(const struct lev_saga *saga, struct lev_saga_state s,
		     struct lev_saga_call *call)
{
	const struct lev_saga_step *step = &saga->steps[s.step];
	char key[KEY_BYTES];
	snprintf(key, sizeof key, "%s/%s%s", call->saga_id, step->name,
		 s.phase == LEV_SAGA_UNDOING ? "/undo" : "");
	call->key = key;
	if (s.phase == LEV_SAGA_RUNNING)
		return step->run(call);
	struct undo u = { step, call };
	return lev_retry_call(saga->retry, undo, &u);
}

static int check(const struct lev_saga *saga, const char *id, struct lev_saga_state s)
{
	size_t id_len = strlen(id);
	if (id_len == 0 || id_len > ID_BYTES_MAX || strpbrk(id, "\n\t ") != NULL)
		return lev_fail(LEV_INVALID, "a saga's id has 1 to %d bytes, and no white space",
				ID_BYTES_MAX);
	if (saga->steps_len == 0 || saga->steps_len > STEPS_MAX || s.step >= saga->steps_len)
		return lev_fail(LEV_INVALID, "a saga has 1 to %d steps, and stands at one of them",
				STEPS_MAX);
	for (size_t i = 0; i < saga->steps_len; i++)
		if (id_len + strlen(saga->steps[i].name) + sizeof "//undo" > KEY_BYTES)
			return lev_fail(LEV_INVALID, "the name of a step is too long");
	return LEV_OK;
}

int lev_saga_resume(const struct lev_saga *saga, const struct lev_saga_log *log, const char *id,
		    struct lev_saga_state s, const void *data, size_t data_len, void *arg)
{
	struct lev_saga_call call = {
		.saga_id = id, .data = data, .data_len = data_len, .arg = arg
	};
	int rc = check(saga, id, s);
	while (rc >= 0 && (s.phase == LEV_SAGA_RUNNING || s.phase == LEV_SAGA_UNDOING)) {
		int result = take_step(saga, s, &call);
		if (s.phase == LEV_SAGA_UNDOING && result < 0)
			return result;
		s = lev_saga_next(saga, s, result);
		rc = log->save(log->arg, id, &s, data, data_len);
	}
	return rc < 0 ? rc : s.phase == LEV_SAGA_COMPLETED ? LEV_OK : LEV_UNDONE;
}

int lev_saga_run(const struct lev_saga *saga, const struct lev_saga_log *log, const char *id,
		 const void *data, size_t data_len, void *arg)
{
	struct lev_saga_state first = { LEV_SAGA_RUNNING, 0 };
	int rc = check(saga, id, first);
	if (rc == LEV_OK)
		rc = log->save(log->arg, id, &first, data, data_len);
	return rc < 0 ? rc : lev_saga_resume(saga, log, id, first, data, data_len, arg);
}
