#!/bin/sh
# test.sh - runs every test and ends with a line that counts them.
# SPDX-License-Identifier: Apache-2.0
set -u
build=${1:-build}
log=$build/meson-logs/testlog.json

# UndefinedBehaviorSanitizer only prints unless told to stop; the others stop by themselves.
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}"
export LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=$PWD/tests/lsan.supp:print_suppressions=0}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-suppressions=$PWD/tests/tsan.supp:halt_on_error=1:allocator_may_return_null=1}"
meson test -C "$build" --no-rebuild --print-errorlogs
status=$?
python3 - "$log" <<'PYTHON'
import collections, json, sys

results = collections.Counter()
skipped = []
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        test = json.loads(line)
        results[test["result"]] += 1
        if test["result"] == "SKIP":
            skipped.append(test["name"])
good = results.pop("OK", 0) + results.pop("EXPECTEDFAIL", 0)
skip = results.pop("SKIP", 0)
if skipped:
    print("skipped, for want of what they need:", ", ".join(skipped))
print(f"{good} passed, {sum(results.values())} failed, {skip} skipped")
PYTHON
exit $status
