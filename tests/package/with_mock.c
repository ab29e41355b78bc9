/* A stranger's unit test: it has functions of its own that are called like some in the library's
 * insides, and a broker in its own process. */
#include <leveret/mock.h>
#include <stdio.h>

int channel_open(void);
int message_create(void);

int channel_open(void)
{
	return 1;
}

int message_create(void)
{
	return 2;
}

int main(void)
{
	struct lev_mock *mock;
	struct lev *lev;
	if (lev_mock_start(&mock) != LEV_OK ||
	    lev_connect(&lev, lev_mock_uri(mock), lev_in(10000)) != LEV_OK)
		return 1;
	int rc = lev_declare_queue(lev, "q", NULL, lev_in(10000));
	if (rc == LEV_OK)
		rc = lev_send(lev, "", "q", "x", 1, lev_in(10000));
	lev_close(lev, lev_in(10000));
	lev_mock_stop(mock);
	printf("%s %d\n", lev_result_name(rc), channel_open() + message_create());
	return rc;
}
