/* Secrets: taken out of what goes into a bug report. */
#ifndef LEV_CTL_SECRETS_H
#define LEV_CTL_SECRETS_H

#include <jansson.h>

/* Values under names that say password, secret, token or credential, and logins in URLs, at any depth,
 * become "***". */
void secrets_take_out(json_t *value);
/* The logins of URLs in a text, in place: stars take the place of "user:pw" in
 * "amqp://user:pw@host". */
void secrets_blank(char *text);

#endif
