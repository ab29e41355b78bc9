/* Notify: the service manager's protocols, systemd's sd_notify(3) and sd_listen_fds(3), without its
 * library. */
#ifndef LEV_SERVER_NOTIFY_H
#define LEV_SERVER_NOTIFY_H

/* Sends "READY=1", "STOPPING=1", ... to whoever started us, if they asked for it (NOTIFY_SOCKET).
 */
void notify_state(const char *state);

/* How many listening sockets were passed to us; the first is NOTIFY_FIRST_FD. The variables are
 * removed. */
int notify_listen_fds(void);

enum { NOTIFY_FIRST_FD = 3 };

#endif
