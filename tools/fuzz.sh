#!/bin/sh
# fuzz.sh - each fuzz target for FUZZ_SECONDS, from its corpus in the tree; new inputs stay in build-fuzz/.
# SPDX-License-Identifier: Apache-2.0
set -eu
seconds=${FUZZ_SECONDS:-60}

tools/setup.sh lint >/dev/null
[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false >/dev/null
ninja -C build-fuzz --quiet
for target in build-fuzz/tests/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=$(basename "$target" | sed 's/^fuzz_//')
    mkdir -p "build-fuzz/corpus/$name"
    echo "fuzzing $name for $seconds s"
    "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/$name-" "build-fuzz/corpus/$name" "tests/fuzz/corpus/$name" 2>&1 | tail -n 8
done
