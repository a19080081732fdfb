#!/bin/sh
# The built-in decoder beside llama.cpp, on the same files and one thread.
#
#     bench/peers/llama.sh BUILD     BUILD: a build folder with norn and bench/bench
#
# llama.cpp: a Python with xllamacpp (or llama-cpp-python) and numpy in BUILD/peers/venv, or $PYTHON.  Without it Norn
# is measured alone.  FORMATS="F32 Q8_0": these alone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
out=$build/peers/llama.csv
mkdir -p "$build/peers"
: >"$out"
python=${PYTHON:-$build/peers/venv/bin/python}
export NORN_BENCH="$here/.." NORN_PEERS="$out" NORN_BENCH_KEEP=1
cd "$build"
for format in ${FORMATS:-F32 F16 Q8_0 Q4_0 Q4_K Q6_K}; do
  if "$python" -c 'import numpy' >/dev/null 2>&1; then
    [ -f "bench-llm-$format.gguf" ] || NORN_BENCH_FORMAT=$format bench/bench llm >/dev/null
    OMP_NUM_THREADS=1 "$python" "$here/../../tests/llm/llama_cpp.py" speed "bench-llm-$format.gguf" 512 64 8 1 |
      sed "s/^/$format,/" >>"$out"
  else
    echo 'llama.cpp is not installed'
  fi
  NORN_BENCH_FORMAT=$format bench/bench llm
  rm -f "bench-llm-$format.gguf"
done
