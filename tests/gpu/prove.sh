#!/bin/sh
# The proof that needs no GPU: every text that the checks and the programs of this folder have compiled for a GPU
# (on the mock) goes through the real NVRTC, to PTX and to machine code of sm_80 and sm_90; hot kernels may not
# spill (prove.c).
#
#     tests/gpu/prove.sh BUILD       a line a kernel, "PASS: ..." or "FAIL: ..."
#
# The checks run once more for their texts' sake, in haste: the mock's compiler does not optimise, and races are not
# looked for.  They need not where NORN_KERNELS names the folder of texts that they have left already
# (NORN_DUMP_KERNELS=FOLDER make check).
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 99
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
bad=0
nvrtc=$(sh "$here/nvrtc.sh" "$build") || { echo 'FAIL: there is no NVRTC'; exit 1; }
mkdir "$work/kernels" "$work/cache"
jobs=$(nproc 2>/dev/null || echo 2)

# As many at a time as there are cores; each is quiet unless it fails.
run_checks() {
  NORN_DUMP_KERNELS=$work/kernels NORN=$build/norn XDG_CACHE_HOME=$work/cache NORN_GPU_TEST=0
  NORN_MOCK=races=0 NORN_MOCK_CFLAGS=-O0
  export NORN_DUMP_KERNELS NORN XDG_CACHE_HOME NORN_GPU_TEST NORN_MOCK NORN_MOCK_CFLAGS
  for f in "$build"/tests/gpu/check_* "$here"/*.norn; do
    case $f in *.o | *.sh | *.log | *.trs) continue ;; esac
    [ -f "$f" ] && echo "$f"
  done | here=$here work=$work xargs -P "$jobs" -I '{}' sh -c '
    log=$work/${1##*/}.log
    case $1 in
    *.norn) sh "$here/../expect.sh" "$1" ;;
    *) "$1" ;;
    esac >"$log" 2>&1 || { echo "FAIL: ${1##*/}"; tail -n 20 "$log"; exit 1; }' sh '{}'
}

if [ -n "${NORN_KERNELS-}" ]; then
  cp "$NORN_KERNELS"/*.cu "$work/kernels" || { echo "FAIL: there are no texts in $NORN_KERNELS"; exit 1; }
else
  (run_checks) || bad=1
fi
unset NORN_DUMP_KERNELS
# what a check wrote to see it fail
rm -f "$work"/kernels/broken-*.cu
# The same text under several names has the same hash at the end of its file's name.
for f in "$work"/kernels/*.cu; do
  case " ${seen-} " in
  *" ${f##*-} "*) rm -f "$f" ;;
  *) seen="${seen-} ${f##*-}" ;;
  esac
done
# The largest first, so that the last to end is a small one.
NORN_NVRTC=$nvrtc
export NORN_NVRTC
"$build/tests/gpu/prove" --seen || bad=1
ls -S "$work"/kernels/*.cu | xargs -P "$jobs" -n 1 "$build/tests/gpu/prove" || bad=1
exit $bad
