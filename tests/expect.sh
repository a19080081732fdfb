#!/bin/sh
# Runs a program in Norn, which says in comments what it does:
#
#     print(1 + 1)              # expect: 2     a line of the output: all lines, in order
#     # expect-error: TEXT      it must fail, and say TEXT
#     # expect-warning: TEXT    it must say TEXT on its standard error
#     # args: A B               its arguments; $TMP is an empty folder of its own
#     # stdin: TEXT             a line of its standard input
#     # build: DIR/NAME.c       makes DIR/NAME.so for it first, in a copy of both elsewhere; without a
#                               compiler that makes shared objects the test is skipped
#
# A neighbour NAME.err holds all that a failing program must write to its standard error.  The program
# runs in its own folder, so that messages name the bare file.  A test without any of these fails; a
# program in examples/ need only end well.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
TMP=$work/tmp
mkdir "$TMP" || exit 99
export TMP
file=$(basename "$1")
golden=${file%.norn}.err
cd "$(dirname "$1")" || exit 99
bad=0
# What is for a GPU runs on the mock, where it is not said that there is a card.
if [ "$(basename "$PWD")" = gpu ] && [ "${NORN_GPU_TEST-}" != 1 ]; then
  NORN_CUDA=$(dirname "$NORN")/tests/gpu/.libs/mock_cuda.so
  NORN_NVRTC=$NORN_CUDA NORN_CUBLASLT=$NORN_CUDA
  export NORN_CUDA NORN_NVRTC NORN_CUBLASLT
fi

wants() {
  sed -n "s/^.*# $1:\( \|\$\)//p" "$file" | sed 's/[[:space:]]*$//'
}

fail() {
  echo "$file: $*"
  bad=1
}

same() {   # what, the wanted file, the given file
  cmp -s "$2" "$3" && return
  fail "$1 differs (- wanted, + given)"
  diff -u "$2" "$3" | sed 1,2d
}

contains() {   # a file of wanted texts, a name for where, the file to look in
  while IFS= read -r line; do
    grep -F -q -e "$line" "$3" || fail "$2 lacks: $line"
  done <"$1"
}

for what in expect expect-error expect-warning stdin; do wants $what >"$work/$what"; done
if grep -q '^# build: ' "$file"; then
  mkdir "$work/run"
  cp "$file" "$work/run"
  for object in $(wants build); do
    mkdir -p "$work/run/$(dirname "$object")"
    ${CC:-cc} -O1 -shared -fPIC -o "$work/run/${object%.c}.so" "$object" -lm >"$work/log" 2>&1 && continue
    echo "$file: skipped: no shared object could be made of $object"
    exit 77
  done
  here=$PWD
  cd "$work/run" || exit 99
fi
limit=
command -v timeout >/dev/null 2>&1 && limit="timeout --foreground ${NORN_TEST_SECONDS:-600}"
eval "set -- $(wants args)"
$limit "$NORN" "$file" "$@" <"$work/stdin" >"$work/stdout" 2>"$work/stderr"
status=$?
cd "${here:-.}" || exit 99
cat "$work/stdout" "$work/stderr" >"$work/both"
sed 's/[[:space:]]*$//' "$work/stdout" >"$work/lines"

if [ -f "$golden" ]; then
  # on a slow machine a run that takes long says how far it is
  grep -v '^[a-z][a-z_ 0-9]* \[[#-]\{20\}\] ' "$work/stderr" >"$work/said"
  same 'standard error' "$golden" "$work/said"
elif [ "$(basename "$PWD")" != examples ] && [ ! -s "$work/expect" ] && [ ! -s "$work/expect-error" ] &&
  [ ! -s "$work/expect-warning" ]; then
  fail 'says nowhere what it should do'
fi
[ -s "$work/expect" ] && same 'output' "$work/expect" "$work/lines"
contains "$work/expect-error" output "$work/both"
contains "$work/expect-warning" 'standard error' "$work/stderr"

if [ $status -gt 123 ]; then
  fail "ended with status $status"
elif [ -s "$work/expect-error" ] || { [ -f "$golden" ] && grep -q ': error: \|^error: ' "$golden"; }; then
  [ $status -ne 0 ] || fail 'should have failed, but ended with status 0'
else
  [ $status -eq 0 ] || fail "ended with status $status"
fi
if [ $bad -ne 0 ]; then
  echo '--- output'
  head -n 60 "$work/stdout"
  echo '--- standard error'
  head -n 60 "$work/stderr"
fi
exit $bad
