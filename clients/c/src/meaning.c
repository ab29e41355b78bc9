/* What results mean to the patterns: the header's table, as a function. */
#include <leveret/patterns.h>

struct lev_meaning lev_result_meaning(int result)
{
	switch (result) {
#define X(name, step, retry, breaker, worker)                                               \
	case name:                                                                          \
		return (struct lev_meaning){ LEV_STEP_##step, LEV_RETRY_##retry,            \
					     LEV_BREAKER_##breaker, LEV_WORKER_##worker };
		LEV_MEANINGS(X)
#undef X
	default:
		if (result > 0)
			return lev_result_meaning(LEV_OK);
		return (struct lev_meaning){ LEV_STEP_MAYBE, LEV_RETRY_AGAIN, LEV_BREAKER_BAD,
					     LEV_WORKER_BACK };
	}
}
