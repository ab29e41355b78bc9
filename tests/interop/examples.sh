#!/bin/sh
# The examples in clients/examples and docs/examples, run as a reader would, with what they should say.
set -eu
root=$(dirname "$0")/../..
expect() { # script, text
	out=$(/usr/bin/python3 "$root/$1" "$PORT")
	echo "$out" | grep -qF "$2" || {
		echo "$1 did not say '$2':"
		echo "$out"
		exit 1
	}
}
expect clients/examples/orders.py 'email received {"order": 4711}'
expect clients/examples/notifications.py 'audit (notification.#) received notification.email.welcome, notification.sms.code, notification.email.order.confirmed'
expect clients/examples/images.py '30 of 30 jobs are done'
expect docs/examples/dead_letters.py 'order 2: rejected in orders.process, 1 time(s)'
expect docs/examples/dead_letters.py 'order 2: handled, as if it were new'
expect docs/examples/dead_letters.py 'parked: 0'
echo "6 passed, 0 failed"
