#!/bin/sh
# The examples in clients/examples, run as a reader would, with what they should say.
set -eu
examples=$(dirname "$0")/../../clients/examples
expect() { # script, text
	out=$(/usr/bin/python3 "$examples/$1" "$PORT")
	echo "$out" | grep -qF "$2" || {
		echo "$1 did not say '$2':"
		echo "$out"
		exit 1
	}
}
expect orders.py 'email received {"order": 4711}'
expect notifications.py 'audit (notification.#) received notification.email.welcome, notification.sms.code, notification.email.order.confirmed'
expect images.py '30 of 30 jobs are done'
echo "3 passed, 0 failed"
