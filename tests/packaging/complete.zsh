#!/usr/bin/zsh -f
# SPDX-License-Identifier: Apache-2.0
# complete.zsh COMPLETION LINE...: what zsh would offer at the end of each line, one line of words each.
# The builtins of a completion only work below the line editor: these are as much of them as is used.
completion=$1
shift
_glancefs_patience=20 # nobody types here, and the machine may be busy

compset() { # -P [1] PATTERN: moves what matches from PREFIX to IPREFIX, the shortest where a 1 says so
    local rest
    if [[ $2 == 1 ]]; then rest=${PREFIX#${~3}}; else rest=${PREFIX##${~2}}; fi
    [[ $rest != "$PREFIX" ]] || return 1
    IPREFIX+=${PREFIX%"$rest"}
    PREFIX=$rest
}

compadd() { # [-S SUFFIX] -- WORD..., or -a ARRAY
    if [[ $1 == -a ]]; then set -- -- ${(P)2}; fi
    if [[ $1 == -S ]]; then shift 2; fi
    shift
    local word
    for word; do if [[ $word == "$PREFIX"* ]]; then offers+=("$IPREFIX$word"); fi; done
}

_files() { # [-/]: only directories
    local found
    if [[ $1 == -/ ]]; then found=($PREFIX*(N/)); else found=($PREFIX*(N)); fi
    offers+=($IPREFIX$^found)
}

for line; do
    words=(${(z)line})
    if [[ $line == *' ' ]]; then words+=(''); fi
    CURRENT=$#words PREFIX=$words[-1] IPREFIX='' offers=()
    source $completion
    print -r -- $offers
done
