#!/bin/sh
# Runs the public posteriors by the peers that are installed, and then Norn beside them.
#
#     bench/peers/run.sh BUILD [MODEL ...]     BUILD: a build folder with norn and bench/bench
#
# rstan: Debian's r-cran-rstan with r-cran-jsonlite and libboost-dev.  NumPyro: a Python with numpyro
# and arviz in BUILD/peers/venv, or $PYTHON.  What is missing is left out.  Results are lines PEER,MODEL,us a
# gradient,min bulk ESS a second,seconds to the first draw in BUILD/peers/results.csv, which
# `make bench BENCH=nuts` shows beside Norn's.  It takes some minutes: Stan compiles each model.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
data=$here/../../examples/posteriordb/data
out=$build/peers/results.csv
mkdir -p "$build/peers"
: >"$out"
export OPENBLAS_NUM_THREADS=1
if Rscript -e 'library(rstan); library(jsonlite)' >/dev/null 2>&1; then
  Rscript "$here/rstan.R" "$data" "$out" "$@"
else
  echo 'rstan is not installed'
fi
python=${PYTHON:-$build/peers/venv/bin/python}
if "$python" -c 'import numpyro, arviz' >/dev/null 2>&1; then
  "$python" "$here/numpyro_peer.py" "$data" "$out" "$@"
else
  echo 'NumPyro is not installed'
fi
cd "$build"
NORN=./norn NORN_BENCH=$here/.. NORN_PEERS=$out bench/bench nuts
