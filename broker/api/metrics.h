/* Metrics: what Prometheus scrapes: /metrics (sums), /metrics/per-object, /metrics/detailed, with
 * RabbitMQ's names, and ours beside them under leveret_. No login. */
#ifndef LEV_API_METRICS_H
#define LEV_API_METRICS_H

struct api;
struct http_request;

/* For struct http_options, with the api as argument. */
void metrics_handle(void *api, struct http_request *request);

#endif
