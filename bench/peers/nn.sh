#!/bin/sh
# A step of training by PyTorch, and then Norn beside it: on one thread, then on two, where both are
# idle or the figures say nothing.
#
#     bench/peers/nn.sh BUILD     BUILD: a build folder with norn and bench/bench
#
# PyTorch: a Python with torch in BUILD/peers/venv, or $PYTHON.  Without it Norn is measured alone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
out=$build/peers/nn.csv
mkdir -p "$build/peers"
: >"$out"
python=${PYTHON:-$build/peers/venv/bin/python}
cd "$build"
for threads in 1 2; do
  if "$python" -c 'import torch' >/dev/null 2>&1; then "$python" "$here/nn_peer.py" "$out" $threads
  else echo 'PyTorch is not installed'
  fi
  NORN_BENCH_THREADS=$threads NORN=./norn NORN_BENCH=$here/.. NORN_PEERS=$out bench/bench nn
done
