#include "store.h"

#include <stdlib.h>
#include <string.h>

int store_create(struct store **out, const char *database)
{
	static const char sqlite[] = "sqlite:";
	struct store *s = NULL;
	if (database == NULL || database[0] == '\0')
		return lev_fail(LEV_INVALID, "no database");
	if (strncmp(database, sqlite, sizeof sqlite - 1) == 0) {
#ifdef HAS_SQLITE
		s = store_sqlite_create(database + sizeof sqlite - 1);
#else
		return lev_fail(LEV_UNSUPPORTED, "built without SQLite");
#endif
	} else {
#ifdef HAS_POSTGRESQL
		s = store_postgresql_create(database);
#else
		return lev_fail(LEV_UNSUPPORTED, "built without PostgreSQL");
#endif
	}
	if (s == NULL)
		return lev_fail(LEV_NO_MEMORY, "%s", lev_result_text(LEV_NO_MEMORY));
	*out = s;
	return LEV_OK;
}

void row_fini(struct row *row)
{
	free(row->aggregate_type);
	free(row->aggregate_id);
	free(row->event_type);
	free(row->payload);
	*row = (struct row){ 0 };
}
