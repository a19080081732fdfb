#!/bin/sh
# What run.sh makes of programs that pass, fail, are left out and print figures: on the mock, with programs that are none.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
mock=$(cd "$builddir/tests/gpu/.libs" && pwd)/mock_cuda.so
run=$(cd "$srcdir/tests/gpu" && pwd)/run.sh
bad=0
NORN_CUDA=$mock NORN_NVRTC=$mock NORN_CUBLASLT=$mock
export NORN_CUDA NORN_NVRTC NORN_CUBLASLT
mkdir -p "$work/pack/bin/check" "$work/pack/bin/time" "$work/pack/tests" || exit 99
ln -s "$NORN" "$work/pack/bin/norn"
cp "$srcdir/tests/expect.sh" "$work/pack"

program() {   # a file, what it does
  printf '#!/bin/sh\n%s\n' "$2" >"$work/pack/bin/$1"
  chmod +x "$work/pack/bin/$1"
}

runs() {   # the status that is wanted
  PATH=$work:$PATH sh "$run" "$work/pack" --out "$work/out" >"$work/said" 2>&1
  got=$?
  [ $got -eq "$1" ] || { echo "run.sh: status $got, not $1"; cat "$work/said"; bad=1; }
}

says() {
  grep -q -e "$1" "$work/out/results.md" || { echo "the table lacks: $1"; cat "$work/out/results.md"; bad=1; }
}

program check/check_fine '[ "$NORN_GPU_TEST" = 1 ] && echo "figure: speed | 3 m/s | 2 m/s"'
program time/walk 'echo "figure: walk | 5 km/h | 4 km/h"'
echo 'print(1 + 1)  # expect: 2' >"$work/pack/tests/sum.norn"
program ../compute-sanitizer 'shift 6; "$@"'
mv "$work/pack/compute-sanitizer" "$work"
runs 0
says '^Mock GPU, CUDA 13.0, NVRTC 13.0, 20'
says '^| check_fine | pass | [0-9.]* s | *|$'
says '^| speed | pass | 3 m/s | 2 m/s |$'
says '^| sum | pass |'
says '^| walk | pass | 5 km/h | 4 km/h |$'
says '^| sanitizer-fine | pass |'
[ "$(grep -c '^| speed ' "$work/out/results.md")" = 1 ] || { echo 'figures of the sanitizer are slow ones'; bad=1; }
program check/check_bad 'echo "not true: x"; exit 1'
program check/check_other 'exit 77'
runs 1
says '^| check_bad | FAIL |'
says '^| check_other | skipped |'
grep -q 'not true: x' "$work/said" || { echo 'what a failed check says is lost'; bad=1; }
rm "$work/pack/bin/check/check_bad"
echo 'print(1 + 1)  # expect: 3' >"$work/pack/tests/sum.norn"
runs 1
says '^| sum | FAIL |'
echo 'print(1 + 1)  # expect: 2' >"$work/pack/tests/sum.norn"
NORN_GPU_SECONDS=0
export NORN_GPU_SECONDS
runs 1
says '^| check_fine | left out |'
NORN_CUDA=none
runs 1
grep -q 'no GPU can be used' "$work/said" || { echo 'no GPU, and no word of it'; bad=1; }
exit $bad
