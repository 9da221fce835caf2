# SPDX-License-Identifier: Apache-2.0
# bash completion of glancefs. Commands, flags, options and their values are what the program's own
# --help says, so that nothing here has to be kept up with it.

_glancefs_help() { "$_glancefs_program" "$@" --help 2>/dev/null </dev/null; }

# The table of commands.
_glancefs_commands() { _glancefs_help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\) .*/\1/p'; }

# The lines that show how a command is called, without its name: "list [--json]".
_glancefs_usage() { # COMMAND
    _glancefs_help "$1" | sed -nE "s/^(Usage:|      ) glancefs $1 ?//p"
}

# The words among which the command's first argument chooses: of images: list, show, add.
_glancefs_subcommands() { # COMMAND
    _glancefs_usage "$1" | sed -nE 's/^([a-z]+(\|[a-z]+)*)( .*)?$/\1/p' | tr '|' '\n' | sort -u
}

# What the last argument is: FILE, ID, MOUNT, without what tells that there may be none or more.
_glancefs_argument_kind() { # COMMAND [SUBCOMMAND]
    _glancefs_usage "$1" | grep -E "${2:+^([a-z]+\|)*$2(\|| |\$)}" |
        sed -nE 's/^(.* )?\[?([A-Z-]+)(\|-)?\]?(\.\.\.)?$/\2/p' | head -n 1
}

# The options of the configuration, as "name=values".
_glancefs_options() { _glancefs_help mount | sed -nE 's/^  ([a-z_]+=[^ ]+)$/\1/p'; }

# What such an option takes: "first|stream", "DIR".
_glancefs_option_kind() { _glancefs_options | sed -n "s/^$1=//p"; }

# The flags of a command; those of mount stand for the options, too.
_glancefs_flags() { # COMMAND
    _glancefs_help "$1" | sed -nE 's/^  (-[a-z], )?(--[a-z-]+)( .*)?$/\2/p'
    if [ "$1" = mount ]; then _glancefs_options | sed 's/^/--/; s/=.*//'; fi
}

# What a flag takes; where it is a mere MODE or NAME, what the option of this name takes.
_glancefs_flag_kind() { # COMMAND FLAG
    local kind option=${2#--}
    kind=$(_glancefs_help "$1" | sed -nE "s/^  $2 ([A-Z][^ ]*)( .*)?$/\1/p")
    case $kind in
    '' | MODE | NAME) _glancefs_option_kind "${option//-/_}" ;;
    *) printf '%s' "$kind" ;;
    esac
}

# How many seconds somebody who types may wait for a cloud.
_glancefs_patience=1

# Ids of the images of the configured cloud, when it tells them in time.
_glancefs_images() {
    timeout "$_glancefs_patience" "$_glancefs_program" images --json 2>/dev/null </dev/null |
        grep -Eo '"id": *"[0-9a-f-]{36}"' | grep -Eo '[0-9a-f-]{36}'
}

# _glancefs_offer PART COMPGEN-OPTION...: what completes PART, the end of the word that readline sees.
_glancefs_offer() {
    local part=$1 prefix=${current%"$1"}
    shift
    mapfile -t COMPREPLY < <(compgen -P "$prefix" "$@" -- "$part")
}

# Completes a value of a kind that --help names.
_glancefs_value() { # KIND PART
    case $1 in
    local:* | CLOUD) # local:DIR|openstack[:NAME]
        if [[ $2 == local:* ]]; then
            compopt -o filenames
            _glancefs_offer "${2#local:}" -d
        else
            compopt -o nospace
            _glancefs_offer "$2" -W 'local: openstack'
        fi
        ;;
    DIR)
        compopt -o filenames
        _glancefs_offer "$2" -d
        ;;
    FILE)
        compopt -o filenames
        _glancefs_offer "$2" -f
        ;;
    *ID) _glancefs_offer "$2" -W "$(_glancefs_images)" ;;
    MOUNT) _glancefs_offer "$2" -W "$(findmnt -rn -t fuse.glancefs -o TARGET)" ;;
    BYTES*) ;;
    *'|'*) _glancefs_offer "$2" -W "${1//|/ }" ;;
    esac
}

# Completes the last option of a list: mode=0440,verify=st
_glancefs_option_list() { # LIST
    local last=${1##*,}
    if [[ $last == *=* ]]; then
        _glancefs_value "$(_glancefs_option_kind "${last%%=*}")" "${last#*=}"
    else
        compopt -o nospace
        _glancefs_offer "$last" -W "$(_glancefs_options | sed 's/=.*/=/')"
    fi
}

# What follows a command: its second word, or an argument.
_glancefs_argument() { # COMMAND NUMBER-OF-WORDS SECOND-WORD PART
    local subcommands
    subcommands=$(_glancefs_subcommands "$1")
    if [ "$1" = mount ]; then
        _glancefs_value DIR "$4"
    elif [ -n "$subcommands" ] && [ "$2" -eq 2 ]; then
        _glancefs_offer "$4" -W "$subcommands"
    elif grep -Fqx -- "$3" <<<"$subcommands"; then
        _glancefs_value "$(_glancefs_argument_kind "$1" "$3")" "$4"
    elif [ -z "$subcommands" ]; then
        _glancefs_value "$(_glancefs_argument_kind "$1")" "$4"
    fi
}

_glancefs() {
    local _glancefs_program=$1 line=${COMP_LINE:0:COMP_POINT} current=${COMP_WORDS[COMP_CWORD]}
    local whole=${line##* } before command previous
    COMPREPLY=()
    # readline cuts words at "=" and ":", too, which are words of their own then.
    case $current in '=' | ':') current='' ;; esac
    read -ra before <<<"${line% *}"
    command=${before[1]-}
    if [ "$command" = attach ]; then command=mount; fi # takes its options
    previous=${before[-1]}
    if [ ${#before[@]} -eq 1 ]; then
        _glancefs_offer "$whole" -W "$(_glancefs_commands) --help --version"
    elif [ "$command $previous" = "mount -o" ]; then
        _glancefs_option_list "$whole"
    elif [[ $whole == --*=* ]]; then
        _glancefs_value "$(_glancefs_flag_kind "$command" "${whole%%=*}")" "${whole#*=}"
    elif [[ $whole == -* ]]; then
        _glancefs_offer "$whole" -W "$(_glancefs_flags "$command")"
    elif [[ $previous == --* && -n $(_glancefs_flag_kind "$command" "$previous") ]]; then
        _glancefs_value "$(_glancefs_flag_kind "$command" "$previous")" "$whole"
    else
        _glancefs_argument "$command" ${#before[@]} "${before[2]-}" "$whole"
    fi
}

complete -F _glancefs glancefs
