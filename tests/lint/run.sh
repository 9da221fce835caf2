#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every lint rule: first its self-test, which proves that it can fail, then on the project.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
passed=0
failed=0

run_rule() { # NAME COMMAND...
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        passed=$((passed + 1))
        printf 'ok   %s\n' "$name"
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n%s\n' "$name" "$output"
    fi
}

export PYTHONDONTWRITEBYTECODE=1
for rule in "$here"/*.py; do
    name=$(basename "$rule" .py)
    [ "$name" = lint ] && continue
    run_rule "$name.selftest" /usr/bin/python3 "$rule" --selftest
    run_rule "$name" /usr/bin/python3 "$rule"
done

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
