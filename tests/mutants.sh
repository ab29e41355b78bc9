# Plants faults, one at a time, in a program that checks something, and sees that it catches each. To be sourced:
#
#   source=TREE cc=COMPILER flags="FLAGS" libs="LIBRARIES"
#   sources="FILES"                   that make up the program, each below $source
#   arguments="ARGUMENTS"             of the program; it runs in a directory of its own, which is empty
#   sample=NUMBER                     try so many of the faults, chosen by chance; what chose them is printed (all)
#   SAMPLE=NUMBER                     in the environment: choose as it did then; 0: all
#   patience=SECONDS                  of processor time for one run (60); twenty times that by the clock
#   . "$source/tests/mutants.sh"
#   verdict() { ...; }                optional, see below
#   mutant NAME FILE SED [ARGUMENTS]  any number of them: what sed makes of the file is the fault
#   mutants_try [PATTERN]             all of them, or those whose name grep finds; ends the script
#
# The program without any fault runs first, with the same arguments (all of them, if faults have their own), and must pass. A fault that survives means that the check
# lacks something. Caught it is only by a verdict: of the check (exit status 3, or what verdict() says), of an assertion, or of a
# sanitizer. Whatever ends otherwise was not judged, and is a failure of this test: a time limit, another signal or status; and
# so is a fault that cannot be planted, for the file has changed. At most two compilers or programs run at a time.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/objects" "$work/faults"
patience=${patience:-60}
faults=0

# $1: exit status, $2: file with what was printed. The line that says what was wrong; false: that was no verdict of the check.
verdict() {
	[ "$1" = 3 ] && tail -n 1 "$2"
}

mutant() {
	faults=$((faults + 1))
	fault=$work/faults/$(printf %04d "$faults")
	mkdir "$fault"
	printf '%s' "$1" > "$fault/name"
	printf '%s' "$2" > "$fault/file"
	printf '%s' "$3" > "$fault/sed"
	printf '%s\n' "${4:-$arguments}" > "$fault/arguments"
}

object_of() {
	printf '%s/objects/%s.o' "$work" "$(printf '%s' "$1" | tr / _)"
}

# Prints what came of it; false unless the check caught it.
judge() {
	if [ "$1" = 0 ]; then
		echo "survived"
	elif line=$(verdict "$1" "$2"); then
		echo "caught by the check: $line"
		return 0
	elif line=$(grep -m 1 -E 'ERROR: [A-Za-z]*Sanitizer|runtime error:' "$2"); then
		echo "caught by a sanitizer: $line"
		return 0
	elif [ "$1" = 134 ] && line=$(grep -m 1 'Assertion .* failed' "$2"); then
		echo "caught by an assertion: $line"
		return 0
	elif [ "$1" = 124 ] || [ "$1" = 137 ] || [ "$1" = 152 ]; then
		echo "not judged: no end within its time"
	else
		echo "not judged: it ended with $1: $(tail -n 1 "$2")"
	fi
	return 1
}

# $1: program, $2: where its output goes, $3: its arguments.
run_program() {
	mkdir "$2.dir"
	status=0
	{
		(
			cd "$2.dir"
			ulimit -t "$patience"
			timeout -k 5 $((patience * 20)) "$1" $3
		) > "$2" 2>&1 || status=$?
	} 2> /dev/null # The shell's "Aborted".
	rm -rf "$2.dir"
}

try() {
	file=$(cat "$1/file")
	object=$(object_of "$file")
	sed "$(cat "$1/sed")" "$source/$file" > "$1/$(basename "$file")"
	if cmp -s "$source/$file" "$1/$(basename "$file")"; then
		echo "cannot be planted: $file has changed"
		return 1
	fi
	if ! $cc $flags -I"$source/$(dirname "$file")" -c "$1/$(basename "$file")" -o "$1/fault.o" 2> "$1/said"; then
		echo "cannot be compiled: $(grep -m 1 error "$1/said")"
		return 1
	fi
	$cc $(ls "$work"/objects/*.o | grep -Fvx "$object") "$1/fault.o" $libs -o "$1/program"
	run_program "$1/program" "$1/said" "$(cat "$1/arguments")"
	rm -f "$1/program" "$1/fault.o"
	judge "$status" "$1/said"
}

try_all() {
	for fault in "$work"/faults/*; do
		mkdir "$fault/taken" 2> /dev/null || continue # By the other one.
		if said=$(try "$fault"); then touch "$fault/caught"; fi
		echo "$(cat "$fault/name"): $said"
	done
}

# Leaves a sample, if one is asked for.
choose() {
	number=${SAMPLE:-$(od -An -N 2 -t u2 /dev/urandom | tr -d ' ')}
	[ -n "${sample:-}" ] && [ "$number" != 0 ] || return 0
	echo "sample of $sample, SAMPLE=$number (0: all of them)"
	for fault in "$work"/faults/*; do
		echo "$(echo "$number $(cat "$fault/name")" | cksum | cut -d' ' -f1) $fault"
	done | sort -n | tail -n +$((sample + 1)) | cut -d' ' -f2 | xargs -r rm -r
}

build_program() {
	for file in $sources; do
		echo "$cc $flags -c '$source/$file' -o '$(object_of "$file")'"
	done | xargs -P 2 -d '\n' -n 1 sh -c
	$cc "$work"/objects/*.o $libs -o "$work/program"
}

mutants_try() {
	for fault in "$work"/faults/*; do
		grep -q -e "${1:-}" "$fault/name" || rm -r "$fault"
	done
	choose
	build_program
	cat "$work"/faults/*/arguments | sort -u > "$work/arguments"
	while read -r own; do
		run_program "$work/program" "$work/said" "$own"
		[ "$status" != 0 ] || continue
		cat "$work/said"
		echo "without any fault planted, $own: $(judge "$status" "$work/said")"
		exit 1
	done < "$work/arguments"
	try_all &
	try_all
	wait
	caught=$(ls "$work"/faults/*/caught 2> /dev/null | wc -l)
	all=$(ls "$work/faults" | wc -l)
	echo "$caught passed, $((all - caught)) failed"
	[ "$all" -gt 0 ] && [ "$caught" = "$all" ]
	exit
}
