#!/bin/sh
# lint.sh - clang-format, clang-tidy, cppcheck, and the rules of CONTRIBUTING.md that a script can check.
# SPDX-License-Identifier: Apache-2.0
set -u
build=${1:-build}
status=0

tools/setup.sh lint >/dev/null || exit 1
git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror || status=1
python3 tests/check_tree.py || status=1
cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability --inline-suppr \
    --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -I include -I src src examples || status=1
git ls-files 'src/*.c' 'examples/*.c' | grep -v '_test\.c$' |
    xargs -P 2 -n 1 clang-tidy -quiet --extra-arg=-Wno-unknown-warning-option -p "$build" 2>/dev/null || status=1
[ $status = 0 ] && echo "lint: clean"
exit $status
