#!/bin/sh
# Replays the corpora of the fuzzers (tests/fuzz/corpus/NAME/*) and fixed mutations of them; the
# program fuzzer also takes all programs of the tests.
bad=0
for target in "$builddir"/tests/fuzz/fuzz_*; do
  name=$(basename "$target")
  case $name in *.*) continue ;; esac
  more=
  [ "$name" = fuzz_program ] && more=$(ls "$srcdir"/tests/lang/*.norn "$srcdir"/tests/errors/*.norn 2>/dev/null)
  set -- "$srcdir"/tests/fuzz/corpus/"${name#fuzz_}"/* $more
  [ -f "$1" ] || shift
  [ $# -gt 0 ] || { echo "$name has no corpus"; bad=1; continue; }
  "$target" "$@" || { echo "FAILED: $name (status $?)"; bad=1; }
done
exit $bad
