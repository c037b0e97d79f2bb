#!/bin/sh
# fuzz.sh - each fuzz target for FUZZ_SECONDS, from the seeds in the tree; new inputs stay in build-fuzz/.
# SPDX-License-Identifier: Apache-2.0
set -eu
seconds=${FUZZ_SECONDS:-60}

tools/setup.sh lint >/dev/null
# At optimization 3 clang takes minutes for each of the engine's kernels, with checks in their unrolled loops.
[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Doptimization=1 >/dev/null
ninja -C build-fuzz --quiet
status=0
for target in build-fuzz/tests/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=$(basename "$target" | sed 's/^fuzz_//')
    mkdir -p "build-fuzz/corpus/$name"
    # The same seeds that the tests replay: tests/fuzz/meson.build writes them down.
    seeds=$(cat "build-fuzz/tests/fuzz/$name.seeds")
    echo "fuzzing $name for $seconds s from $(echo "$seeds" | tr '\n' ' ')"
    # shellcheck disable=SC2086  # folders of this tree, without blanks
    "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/$name-" "build-fuzz/corpus/$name" $seeds >"build-fuzz/$name.log" 2>&1 || {
        status=1
        echo "$name: a finding; the input is named in build-fuzz/$name.log"
    }
    tail -n 8 "build-fuzz/$name.log"
done
exit $status
