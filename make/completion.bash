# Completes make's targets, variables and their values in this repository; anywhere else files, as ever.
#
#   source make/completion.bash        in ~/.bashrc with its whole path
#
# Targets and variables are those of `make help`; MISSION, MODELS, FUSION and RUN are what is there.

# The names below folders or files, without what stands before and behind.
_verdicts_names() {
    local path
    for path in "${@:2}"; do
        [ -e "$path" ] || continue
        path=${path%/}
        path=${path##*/}
        echo "${path%"$1"}"
    done
}

_verdicts_values() {
    case $1 in
        MISSION) _verdicts_names .yaml configs/missions/*.yaml ;;
        MODELS) _verdicts_names .yaml configs/models/*.yaml ;;
        FUSION) _verdicts_names .yaml configs/fusion/*.yaml ;;
        RUN | A | B) _verdicts_names '' runs/*/ ;;
        TRACK) printf '%s\n' tensorboard mlflow trackio ;;
        REMAKE | QUIET | DEV) echo 1 ;;
        ROOM) _verdicts_names '' tests/*/ ;;
        *) compgen -f -- "$2" ;;
    esac
}

_verdicts_make() {
    local line=${COMP_LINE:0:COMP_POINT} word name value said
    word=${line##* }
    COMPREPLY=()
    [ -f make/help.awk ] || return 0
    if [[ $word == *=* ]]; then
        name=${word%%=*} value=${word#*=}
        said=$(_verdicts_values "$name" "$value")
        COMPREPLY=($(compgen -W "$said" -- "$value"))
        # bash takes = for the end of a word, so that the value alone is replaced, unless it was told otherwise
        [[ ${COMP_WORDBREAKS:-} == *=* ]] || COMPREPLY=("${COMPREPLY[@]/#/$name=}")
    else
        said=$(awk -f make/help.awk Makefile make/*.mk | awk '/^  [a-z]/ { print $1 } /^  [A-Z]/ { print $1 "=" }')
        COMPREPLY=($(compgen -W "$said" -- "$word"))
        # a variable is not whole at its name
        [[ ${COMPREPLY[0]:-} == *= ]] && compopt -o nospace 2>/dev/null
    fi
    return 0
}

complete -o default -F _verdicts_make make
