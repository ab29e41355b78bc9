# Completion of leveret(1) for bash.
_leveret() {
	local commands="publish consume get request tail declare delete bind unbind purge info"
	local current=${COMP_WORDS[COMP_CWORD]} command= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-u | -t | --uri | --timeout) i=$((i + 1)) ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	local words
	case $command in
	"") words="$commands --uri --timeout --json --quiet --help --version" ;;
	publish) words="--exchange --key --header --property --rate --delay --lines --transient --optional" ;;
	request) words="--exchange --header --property" ;;
	consume) words="--count --idle --requeue --prefetch --exec --reject" ;;
	get) words="--count --requeue" ;;
	tail) words="--count --idle" ;;
	declare) words="queue exchange direct fanout topic headers --argument --transient --auto-delete --dlq" ;;
	delete) words="queue exchange" ;;
	bind | unbind) words="--argument" ;;
	*) words= ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
	[ "$command" != publish ] || [[ $current == -* ]] || mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current")
}
complete -F _leveret leveret
