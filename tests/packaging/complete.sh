#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# complete.sh COMPLETION LINE...: what bash would offer at the end of each line, one line of words each.
set -u
# shellcheck source=contrib/completion/glancefs.bash
source "$1"
shift

compopt() { :; } # only readline has options
# shellcheck disable=SC2034 # used in what was sourced
_glancefs_patience=20 # nobody types here, and the machine may be busy

for line in "$@"; do
    COMP_LINE=$line
    COMP_POINT=${#line}
    # readline's words: blanks divide, "=" and ":" are words of their own; after a blank begins a new one.
    mapfile -t COMP_WORDS < <(sed -E 's/([=:])/ \1 /g' <<<"$line" | tr -s ' ' '\n')
    if [[ $line == *' ' ]]; then COMP_WORDS+=(''); fi
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _glancefs glancefs
    printf '%s\n' "${COMPREPLY[*]}"
done
