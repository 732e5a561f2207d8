# shellcheck shell=bash
# bash completion of prgatectl; `make install` puts it where bash-completion looks. A test compares it with
# `prgatectl --help`.

_prgatectl_commands='status explain tail check drain approve retrigger dead simulate replay backup restore recover dump load setup app-manifest json'
_prgatectl_options='--config --json --trusted --untrusted --may-approve --may-not-approve --org --manual --version --help'
_prgatectl_events='pull_request check_run check_suite member membership team'

_prgatectl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' argument=0 i word
    COMPREPLY=()
    case $previous in
    --org) return ;;
    -c | --config)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_prgatectl_options" -- "$current")
        return
    fi
    # The command, and which of its arguments this one is.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -c | --config | --org) ((i++)) ;;
        -*) ;;
        *) if [[ -z $command ]]; then command=$word; else ((argument++)); fi ;;
        esac
    done
    case $command:$argument in
    :*) mapfile -t COMPREPLY < <(compgen -W "$_prgatectl_commands" -- "$current") ;;
    dead:0) mapfile -t COMPREPLY < <(compgen -W 'list retry drop' -- "$current") ;;
    dead:1) mapfile -t COMPREPLY < <(compgen -W 'all' -- "$current") ;;
    check:0) mapfile -t COMPREPLY < <(compgen -W 'configuration' -- "$current") ;;
    simulate:0) mapfile -t COMPREPLY < <(compgen -W "$_prgatectl_events" -- "$current") ;;
    simulate:1) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    setup:0) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    replay:0 | backup:0 | restore:0) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    esac
}

complete -F _prgatectl prgatectl
