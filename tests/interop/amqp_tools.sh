#!/bin/sh
# amqp-tools, unchanged: declare, publish, get, consume, delete.
set -eu
url="amqp://guest:guest@127.0.0.1:$PORT"

amqp-declare-queue -u "$url" -d -q tools > /dev/null
amqp-publish -u "$url" -r tools -p -b 'first message'
amqp-publish -u "$url" -r tools -p -b 'second message'
[ "$(amqp-get -u "$url" -q tools)" = 'first message' ]
[ "$(amqp-consume -u "$url" -q tools -c 1 cat)" = 'second message' ]
if amqp-get -u "$url" -q tools > /dev/null; then
	echo "the queue should be empty" >&2
	exit 1
fi
amqp-delete-queue -u "$url" -q tools > /dev/null
if amqp-get -u "$url" -q tools > /dev/null 2>&1; then
	echo "the queue should be gone" >&2
	exit 1
fi
echo "1 passed, 0 failed"
