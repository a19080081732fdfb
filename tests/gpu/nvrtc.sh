#!/bin/sh
# Prints the path of an NVRTC to compile kernels with: $NORN_NVRTC, CUDA's toolkit if it is installed, or Python's
# package nvidia-cuda-nvrtc, which is put into a folder of the build tree if it is not there yet.  Status 1: none
# can be had.
#
#     tests/gpu/nvrtc.sh BUILD
set -u
build=$(cd "$1" && pwd) || exit 99
folder=$build/nvrtc

found() {
  for f in "$folder"/nvidia/*/lib/libnvrtc.so.1[0-9]; do
    [ -f "$f" ] && echo "$f" && exit 0
  done
}

if [ -n "${NORN_NVRTC-}" ] && [ "$NORN_NVRTC" != none ]; then
  echo "$NORN_NVRTC"
  exit 0
fi
for d in /usr/local/cuda/lib64 /opt/cuda/lib64 /usr/lib/x86_64-linux-gnu ${CUDA_HOME:+"$CUDA_HOME/lib64"}; do
  for f in "$d"/libnvrtc.so.1[0-9]; do
    [ -f "$f" ] && echo "$f" && exit 0
  done
done
found
python=${PYTHON:-python3}
$python -m pip --version >/dev/null 2>&1 ||
  { [ "$(id -u)" = 0 ] && apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends python3-pip >&2; }
$python -m pip install -q --target "$folder" 'nvidia-cuda-nvrtc==13.*' >&2
found
echo 'nvrtc.sh: there is no NVRTC, and pip brings none' >&2
exit 1
