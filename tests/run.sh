#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything with warnings as errors and runs every test, fast ones first. Installs the
# Debian packages that are missing. Ends with a table and `N passed, N failed`.
#
#   tests/run.sh            everything
#   tests/run.sh --quick    lint, the debug build, its unit and mount tests
set -u

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$top/build/test-logs
quick=no
case ${1-} in
'') ;;
--quick) quick=yes ;;
*)
    printf 'Usage: tests/run.sh [--quick]\n' >&2
    exit 2
    ;;
esac

cd "$top" || exit 1
# shellcheck source=contrib/debian-packages.sh
source contrib/debian-packages.sh
require_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}" || exit 1
if [ $quick = no ]; then
    tests/openstack/cloud.sh install || exit 1
fi
if [ ! -c /dev/fuse ]; then
    printf 'The tests mount filesystems, but /dev/fuse is missing: a container needs %s\n' \
        '--device /dev/fuse --cap-add SYS_ADMIN' >&2
    exit 1
fi

mkdir -p "$logs"
export PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
# Without the last every program that ends sleeps for a second, in case that a thread which it did not
# wait for still does something: our programs join theirs.
export TSAN_OPTIONS=second_deadlock_stack=1:atexit_sleep_ms=20
# Half of the time a test waits: for a limit to pass, or for a process.
jobs=$((2 * $(nproc)))

rows=()
total_passed=0
total_failed=0
started=$SECONDS

# suite NAME COMMAND...: runs one suite and keeps its output. Suites of tests end with
# `N passed, N failed`; a build is no test, but a failing one counts as a failure.
suite() {
    local name=$1 begin=$SECONDS code passed=0 failed=0 verdict log
    shift
    log=$logs/${name// /-}.log
    printf '== %s\n' "$name"
    "$@" >"$log" 2>&1
    code=$?
    if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=${BASH_REMATCH[1]}
        failed=${BASH_REMATCH[2]}
        verdict="$passed passed, $failed failed"
    else
        verdict=$([ "$code" -eq 0 ] && printf 'done' || printf 'FAILED')
    fi
    if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1
        verdict="FAILED with exit code $code"
    fi
    if [ "$failed" -gt 0 ]; then
        if grep -q '^FAIL' "$log"; then
            awk '/^(ok|out) /{told = 0} /^FAIL/{told = 40} told-- > 0' "$log"
        else
            tail -n 60 "$log"
        fi
        printf '   (all of it: %s)\n' "${log#"$top"/}"
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    rows+=("$(printf '%-24s %5d s   %s' "$name" $((SECONDS - begin)) "$verdict")")
    printf '   %s\n' "$verdict"
    return "$code"
}

build() { # PRESET [CMAKE-OPTION...]
    local preset=$1
    shift
    cmake --preset "$preset" "$@" && cmake --build --preset "$preset"
}

# ThreadSanitizer of GCC 12 cannot live with the address randomisation of newer kernels.
fixed_addresses() { setarch "$(uname -m)" --addr-no-randomize "$@"; }

unit_tests() { # PRESET
    local output=$logs/ctest-$1.log
    fixed_addresses ctest --test-dir "build/$1" --verbose --parallel "$jobs" >"$output" 2>&1
    grep -E '^[0-9]+: .*(\[  FAILED|\[   LINE|ERROR|WARNING: Thread|runtime error|SUMMARY)' "$output"
    /usr/bin/python3 tests/support/unit_results.py "$output"
}

mount_tests() { # PRESET [OPTION...]
    local preset=$1
    shift
    fixed_addresses tests/mount/run.py --glancefs "build/$preset/src/cli/glancefs" --jobs "$jobs" \
        --durations 10 "$@"
}

interop_tests() { # PRESET [NAME...]
    local preset=$1
    shift
    fixed_addresses /usr/bin/python3 tests/interop/run.py \
        --glancefs "build/$preset/src/cli/glancefs" "$@"
}

openstack_tests() { # PRESET [OPTION...]
    local preset=$1
    shift
    # More than these would wait for the services, which have one process each, beyond small limits.
    fixed_addresses tests/openstack/run.py --glancefs "build/$preset/src/cli/glancefs" --jobs 7 \
        --durations 10 "$@"
}

differential_tests() { # PRESET
    /usr/bin/python3 tests/differential/run.py --glancefs "build/$1/src/cli/glancefs"
}

# Proves that the benchmark works; its times mean nothing at this size.
bench_small() { # PRESET
    /usr/bin/python3 tests/bench/run.py --glancefs "build/$1/src/cli/glancefs" --size 16M --memory-size 64M --rounds 1
}

crash_tests() { # PRESET
    /usr/bin/python3 tests/crash/run.py --glancefs "build/$1/src/cli/glancefs"
}

crash_mount_tests() { # PRESET
    /usr/bin/python3 tests/crash/run_mounted.py --glancefs "build/$1/src/cli/glancefs"
}

crash_cache_tests() { # PRESET
    /usr/bin/python3 tests/crash/run_cache.py --glancefs "build/$1/src/cli/glancefs"
}

# A mount and commands on one cache, side by side.
stress_tests() { # PRESET SECONDS [OPTION...]
    local preset=$1 seconds=$2
    shift 2
    fixed_addresses tests/stress/run.py --glancefs "build/$preset/src/cli/glancefs" \
        --seconds "$seconds" "$@"
}

soak_tests() { # PRESET SECONDS
    /usr/bin/python3 tests/soak/run.py --glancefs "build/$1/src/cli/glancefs" --seconds "$2"
}

# Two loads that run for a given time each take a processor and leave one: they run side by side.
begin_soak() { # PRESET SECONDS
    soak_tests "$@" >"$logs/soak-beside.log" 2>&1 &
    soak=$!
}

end_soak() {
    local code
    wait "$soak"
    code=$?
    cat "$logs/soak-beside.log"
    return "$code"
}

leak_tests() { # PRESET
    /usr/bin/python3 tests/leaks/run.py --glancefs "build/$1/src/cli/glancefs"
}

systemd_tests() { # PRESET
    /usr/bin/python3 tests/systemd/run.py --glancefs "build/$1/src/cli/glancefs"
}

packaging_tests() { # PRESET
    /usr/bin/python3 tests/packaging/run.py --build "build/$1"
}

fuzz_tests() { # seconds a target: longer runs are made by hand
    /usr/bin/python3 tests/fuzz/run.py --build build/fuzz --seconds 1
}

tidy_file() { # FILE
    local output model=(--extra-arg=-include "--extra-arg=$PWD/tests/lint/failure_model.h")
    [ "$1" != src/base/error.c ] || model=()
    if output=$(clang-tidy -p build/dev-clang --quiet "${model[@]}" "$1" 2>&1); then
        printf 'ok   %s\n' "$1"
    else
        printf 'FAIL %s\n%s\n' "$1" "$output"
    fi
}

clang_tidy() {
    export -f tidy_file
    local output=$logs/clang-tidy-files.log
    # shellcheck disable=SC2016 # the inner shell expands it
    find src -name '*.c' -print0 | sort -z |
        xargs -0 -n 1 -P "$(nproc)" bash -c 'tidy_file "$1"' tidy >"$output"
    cat "$output"
    printf '%d passed, %d failed\n' "$(grep -c '^ok ' "$output")" "$(grep -c '^FAIL ' "$output")"
    ! grep -q '^FAIL ' "$output"
}

# after BUILD-RESULT NAME COMMAND...: a suite whose program could not be built has failed, too.
after() {
    local built=$1
    shift
    if [ "$built" -eq 0 ]; then
        suite "$@"
    else
        suite "$1" sh -c 'printf "not run: its build failed\n"; exit 1'
    fi
}

suite "lint" tests/lint/run.sh
suite "build dev" build dev
dev=$?
after $dev "unit dev" unit_tests dev
if [ $quick = yes ]; then
    after $dev "mount dev" mount_tests dev
else
    suite "build clang" build dev-clang
    suite "clang-tidy" clang_tidy # needs the commands of that build only
    suite "build fuzz" build fuzz
    after $? "fuzz" fuzz_tests
    suite "build asan" build asan
    asan=$?
    after $asan "unit asan" unit_tests asan
    after $asan "interop asan" interop_tests asan
    after $asan "mount asan" mount_tests asan
    after $asan "openstack asan" openstack_tests asan --quick
    suite "build tsan" build tsan
    tsan=$?
    after $tsan "unit tsan" unit_tests tsan
    # Only messages of over 1 MiB and the commands themselves have threads.
    after $tsan "interop tsan" interop_tests tsan 1048 5255 command
    after $tsan "mount tsan" mount_tests tsan
    after $tsan "openstack tsan" openstack_tests tsan --quick
    after $tsan "stress tsan" stress_tests tsan 15 --verify stream
    suite "build release" build release -DGLANCEFS_TESTS=OFF -DGLANCEFS_WERROR=ON
    release=$?
    after $release "interop release" interop_tests release
    after $release "differential" differential_tests release
    after $release "crash release" crash_tests release
    after $release "crash mount release" crash_mount_tests release
    after $release "crash cache release" crash_cache_tests release
    [ $release -ne 0 ] || begin_soak release 60
    after $release "stress release" stress_tests release 60
    after $release "soak release" end_soak # what is left of it
    after $release "leaks release" leak_tests release
    after $release "systemd" systemd_tests release
    after $release "packaging" packaging_tests release
    after $release "mount release" mount_tests release --measure
    after $release "openstack release" openstack_tests release
    after $release "bench small" bench_small release
    suite "quickstart" contrib/quickstart.sh
    suite "left-over mounts" tests/lint/leftover_mounts.py
fi

printf '\n%s\n' '-- suite ------------------- time --- result'
printf '%s\n' "${rows[@]}"
printf 'all of it took %d s\n' $((SECONDS - started))
printf '%d passed, %d failed\n' "$total_passed" "$total_failed"
[ "$total_failed" -eq 0 ]
