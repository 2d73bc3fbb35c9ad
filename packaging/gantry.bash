# Completion of gantry for bash: verbs, options, tasks and nodes, as gantry itself lists them.
_gantry() {
    local verb=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]} list=''
    if [ "$COMP_CWORD" -eq 1 ]; then
        list=$(gantry help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')
    elif [ "${word#-}" != "$word" ]; then
        list=$(gantry help "$verb" 2>/dev/null | grep -o -- '^ .* --[a-z][a-z-]*' | grep -o -- '--.*')
    else
        case $verb in
        logs) list=$(gantry ps -aq 2>/dev/null) ;;
        exec | stop) list=$(gantry ps -q 2>/dev/null) ;;
        drain | fence) list=$(gantry nodes -q 2>/dev/null) ;;
        help) list=$(gantry help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p') ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
}
complete -o default -F _gantry gantry
