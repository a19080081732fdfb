#!/bin/sh
# The proof that needs no GPU: every text that the checks and the programs of this folder have compiled for a GPU
# (on the mock) goes through the real NVRTC, to PTX and to machine code of sm_80 and sm_90; hot kernels may not
# spill (prove.c).
#
#     tests/gpu/prove.sh BUILD       a line a kernel, "PASS: ..." or "FAIL: ..."
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 99
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
bad=0
nvrtc=$(sh "$here/nvrtc.sh" "$build") || { echo 'FAIL: there is no NVRTC'; exit 1; }
mkdir "$work/kernels" "$work/cache"
NORN_DUMP_KERNELS=$work/kernels NORN=$build/norn XDG_CACHE_HOME=$work/cache NORN_GPU_TEST=0
export NORN_DUMP_KERNELS NORN XDG_CACHE_HOME NORN_GPU_TEST
for f in "$build"/tests/gpu/check_*; do
  case $f in *.o | *.sh | *.log | *.trs) continue ;; esac
  [ -x "$f" ] && [ -f "$f" ] || continue
  "$f" >"$work/log" 2>&1 || { echo "FAIL: $(basename "$f")"; tail -n 20 "$work/log"; bad=1; }
done
for f in "$here"/*.norn; do
  [ -f "$f" ] || continue
  sh "$here/../expect.sh" "$f" >"$work/log" 2>&1 || { echo "FAIL: $(basename "$f")"; tail -n 20 "$work/log"; bad=1; }
done
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
NORN_NVRTC=$nvrtc "$build/tests/gpu/prove" "$work"/kernels/*.cu || bad=1
exit $bad
