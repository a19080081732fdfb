#!/bin/sh
# Do the statistical tests of tests/engine hold for other seeds than the one of `make check`?  And the
# samplers, where SAMPLERS is test_samplers?
#
#     NORN=build/norn SAMPLERS=build/tests/unit/test_samplers tests/seeds.sh [SEEDS]
#
# 50 seeds by default; a seed takes about 100 seconds of one core.
# Given an argument each test prints its t, scaled to variance 1 (z.norn).  The root mean square of all must be in [.8, 1.25]: larger means a bias, or an error that is
# told too small; smaller that replicates are not independent.  A single test has a band of 3.5 standard
# errors of its own, and no t may be beyond 6.
: "${NORN:=./norn}"
case $NORN in /*) ;; *) NORN=$PWD/$NORN ;; esac
seeds=${1:-50}
if [ -n "${SAMPLERS-}" ]; then "$SAMPLERS" 1 "$seeds" || exit 1; fi
cd "$(dirname "$0")/engine" || exit 99
out=$(mktemp) || exit 99
trap 'rm -f "$out"' 0
for file in $(grep -l 'z\.report' ./*.norn); do
  seed=1
  while [ "$seed" -le "$seeds" ]; do
    "$NORN" --seed "$seed" "$file" z 2>/dev/null | sed -n "s|^z |$file |p" >>"$out"
    seed=$((seed + 1))
  done
done
awk -v seeds="$seeds" '
  { t = $NF; name = $0; sub(/ [^ ]*$/, "", name)
    v = t * t
    n[name]++; s[name] += v; all++; sum += v
    if (t > 6 || t < -6) far[name]++ }
  END {
    for (k in n) {
      rms = sqrt(s[k] / n[k]); wide = 3.5 / sqrt(2 * n[k])
      wrong = rms < 1 - wide || rms > 1 + 1.3 * wide || far[k] || n[k] != seeds
      printf "%-50s %3d seeds, rms %.3f%s\n", k, n[k], rms, wrong ? "  WRONG" : ""
      bad += wrong
    }
    rms = all ? sqrt(sum / all) : 0
    printf "all %d: rms %.3f\n", all, rms
    exit bad > 0 || rms < .8 || rms > 1.25
  }' "$out"
