#compdef glancefs
# SPDX-License-Identifier: Apache-2.0
# zsh completion of glancefs. Commands, flags, options and their values are what the program's own
# --help says, so that nothing here has to be kept up with it.

_glancefs_help() { $_glancefs_program "$@" --help 2>/dev/null </dev/null }

# The table of commands.
_glancefs_commands() { _glancefs_help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\) .*/\1/p' }

# The lines that show how a command is called, without its name: "list [--json]".
_glancefs_usage() { # COMMAND
    _glancefs_help $1 | sed -nE "s/^(Usage:|      ) glancefs $1 ?//p"
}

# The words among which the command's first argument chooses: of images: list, show, add.
_glancefs_subcommands() { # COMMAND
    _glancefs_usage $1 | sed -nE 's/^([a-z]+(\|[a-z]+)*)( .*)?$/\1/p' | tr '|' '\n' | sort -u
}

# What the last argument is: FILE, ID, MOUNT, without what tells that there may be none or more.
_glancefs_argument_kind() { # COMMAND [SUBCOMMAND]
    _glancefs_usage $1 | grep -E "${2:+^([a-z]+\|)*$2(\|| |\$)}" |
        sed -nE 's/^(.* )?\[?([A-Z-]+)(\|-)?\]?(\.\.\.)?$/\2/p' | head -n 1
}

# The options of the configuration, as "name=values".
_glancefs_options() { _glancefs_help mount | sed -nE 's/^  ([a-z_]+=[^ ]+)$/\1/p' }

# What such an option takes: "first|stream", "DIR".
_glancefs_option_kind() { _glancefs_options | sed -n "s/^$1=//p" }

# The flags of a command; those of mount stand for the options, too.
_glancefs_flags() { # COMMAND
    _glancefs_help $1 | sed -nE 's/^  (-[a-z], )?(--[a-z-]+)( .*)?$/\2/p'
    if [[ $1 == mount ]]; then _glancefs_options | sed 's/^/--/; s/=.*//'; fi
}

# What a flag takes; where it is a mere MODE or NAME, what the option of this name takes.
_glancefs_flag_kind() { # COMMAND FLAG
    local option=${2#--} kind
    kind=$(_glancefs_help $1 | sed -nE "s/^  $2 ([A-Z][^ ]*)( .*)?$/\1/p")
    case $kind in
    '' | MODE | NAME) _glancefs_option_kind ${option//-/_} ;;
    *) print -r -- $kind ;;
    esac
}

# Ids of the images of the configured cloud, when it tells them before who types gets impatient.
_glancefs_images() {
    timeout ${_glancefs_patience:-1} $_glancefs_program images --json 2>/dev/null </dev/null |
        grep -Eo '"id": *"[0-9a-f-]{36}"' | grep -Eo '[0-9a-f-]{36}'
}

# Completes a value of a kind that --help names.
_glancefs_value() { # KIND
    case $1 in
    local:* | CLOUD) # local:DIR|openstack[:NAME]
        if compset -P 'local:'; then
            _files -/
        else
            compadd -S '' -- local: openstack
        fi
        ;;
    DIR) _files -/ ;;
    FILE) _files ;;
    *ID) compadd -- ${(f)"$(_glancefs_images)"} ;;
    MOUNT) compadd -- ${(f)"$(findmnt -rn -t fuse.glancefs -o TARGET)"} ;;
    BYTES*) ;;
    *'|'*) compadd -- ${(s:|:)1} ;;
    esac
}

# Completes the last option of a list: mode=0440,verify=st
_glancefs_option_list() {
    local name
    compset -P '*,'
    if [[ $PREFIX == *=* ]]; then
        name=${PREFIX%%=*}
        compset -P 1 '*='
        _glancefs_value "$(_glancefs_option_kind $name)"
    else
        compadd -S '' -- ${(f)"$(_glancefs_options | sed 's/=.*/=/')"}
    fi
}

# What follows a command: its second word, or an argument.
_glancefs_argument() { # COMMAND
    local subcommands=(${(f)"$(_glancefs_subcommands $1)"})
    if [[ $1 == mount ]]; then
        _glancefs_value DIR
    elif (( $#subcommands > 0 && CURRENT == 3 )); then
        compadd -a subcommands
    elif (( $#subcommands == 0 )); then
        _glancefs_value "$(_glancefs_argument_kind $1)"
    elif (( $subcommands[(Ie)$words[3]] )); then
        _glancefs_value "$(_glancefs_argument_kind $1 $words[3])"
    fi
}

_glancefs() {
    local _glancefs_program=$words[1] command=$words[2] previous=$words[CURRENT-1] flag
    if [[ $command == attach ]]; then command=mount; fi # takes its options
    if (( CURRENT == 2 )); then
        compadd -- ${(f)"$(_glancefs_commands)"} --help --version
    elif [[ $command == mount && $previous == -o ]]; then
        _glancefs_option_list
    elif [[ $PREFIX == --*=* ]]; then
        flag=${PREFIX%%=*}
        compset -P 1 '*='
        _glancefs_value "$(_glancefs_flag_kind $command $flag)"
    elif [[ $PREFIX == -* ]]; then
        compadd -- ${(f)"$(_glancefs_flags $command)"}
    elif [[ $previous == --* && -n $(_glancefs_flag_kind $command $previous) ]]; then
        _glancefs_value "$(_glancefs_flag_kind $command $previous)"
    else
        _glancefs_argument $command
    fi
}

_glancefs "$@"
