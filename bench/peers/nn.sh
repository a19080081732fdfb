#!/bin/sh
# A step of training by PyTorch, and then Norn beside it.
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
if "$python" -c 'import torch' >/dev/null 2>&1; then
  "$python" "$here/nn_peer.py" "$out"
else
  echo 'PyTorch is not installed'
fi
cd "$build"
NORN=./norn NORN_BENCH=$here/.. NORN_PEERS=$out bench/bench nn
