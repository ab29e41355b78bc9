# Completion of leveretctl for bash: commands as the program itself lists them, then virtual hosts, users and queues of the broker.
_leveretctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command="" i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
			-*) ;;
			*_* | status | help | version | ping | alarms | listeners | environment | peek | replay | move | explain | top | diagnostics) command=${COMP_WORDS[i]} ;;
		esac
	done
	case $before in
		-p | --vhost) COMPREPLY=($(compgen -W "$(leveretctl -s list_vhosts 2> /dev/null)" -- "$word")); return ;;
		--data-dir) COMPREPLY=($(compgen -d -- "$word")); return ;;
		--formatter) COMPREPLY=($(compgen -W "table pretty_table json csv" -- "$word")); return ;;
	esac
	case $command:$word in
		*:-*) COMPREPLY=($(compgen -W "--vhost --quiet --silent --formatter --no-table-headers --data-dir" -- "$word")) ;;
		:*) COMPREPLY=($(compgen -W "$(leveretctl help | sed -n 's/^   \([a-z_][a-z_]*\).*/\1/p')" -- "$word")) ;;
		*_user:* | *_password:* | *_permissions:* | *_user_*:*)
			COMPREPLY=($(compgen -W "$(leveretctl -s list_users 2> /dev/null | cut -f 1)" -- "$word")) ;;
		*_queue:* | peek:* | replay:* | move:*) COMPREPLY=($(compgen -W "$(leveretctl -s list_queues name 2> /dev/null)" -- "$word")) ;;
		delete_vhost:* | set_vhost_tags:*) COMPREPLY=($(compgen -W "$(leveretctl -s list_vhosts 2> /dev/null)" -- "$word")) ;;
		*_definitions:* | diagnostics:*) COMPREPLY=($(compgen -f -- "$word")) ;;
	esac
}
complete -F _leveretctl leveretctl
