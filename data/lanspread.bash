# bash completion of lanspread, which is asked itself what may come next.

_lanspread() {
	local program=${COMP_WORDS[0]/#\~/$HOME} current word words=()
	for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
		# Of --name=value bash makes three words.
		current=$word
		[ "$word" = = ] && continue
		word=${word#[\"\']}
		words+=("${word//\\/}")
	done
	[ "$current" = = ] && current= && words+=("")
	COMPREPLY=()
	while IFS=$'\t' read -r word _; do
		case $word in
		:files)
			compopt -o filenames 2>/dev/null
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${words[-1]}")
			;;
		:folders)
			compopt -o filenames 2>/dev/null
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "${words[-1]}")
			;;
		*)
			# Between quotes of the user's, nothing needs one of ours; what they do not hold
			# is not offered, for others choose the names of their games.
			case $current in
			\"*) [[ $word == *[\"\$\`\\!]* ]] && continue ;;
			\'*) [[ $word == *[\'!]* ]] && continue ;;
			*) printf -v word %q "$word" ;;
			esac
			COMPREPLY+=("$word")
			;;
		esac
	done < <("$program" --complete "${words[@]}" 2>/dev/null)
}

complete -F _lanspread lanspread
