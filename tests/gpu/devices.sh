#!/bin/sh
# norn devices, and what norn --version says of GPUs: on the mock (mock.h), which can lack what there may be lacking.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
mock=$(cd "$builddir/tests/gpu/.libs" && pwd)/mock_cuda.so
bad=0

# is STATUS WANTED: what norn "$@" must print, with the mock's orders in $orders.
is() {
  want=$1
  shift
  NORN_MOCK=$orders "$NORN" "$@" >"$work/out" 2>"$work/err" || { echo "norn $* failed"; cat "$work/err"; bad=1; }
  printf '%s\n' "$want" | diff - "$work/out" || { echo "norn $*: differs (NORN_MOCK=$orders)"; bad=1; }
}

says() {   # a line of norn --version
  NORN_MOCK=$orders "$NORN" --version >"$work/out"
  grep -F -x -q -e "$1" "$work/out" || { echo "norn --version lacks: $1"; grep GPU "$work/out"; bad=1; }
}

libraries='driver: CUDA 13.0
compiler: NVRTC 13.0
matrix products: cuBLASLt 13.0.0'

NORN_CUDA=$mock NORN_NVRTC=$mock NORN_CUBLASLT=$mock
export NORN_CUDA NORN_NVRTC NORN_CUBLASLT
orders=
is "GPU 0: Mock GPU, 4.0 GiB, compute capability 9.0, 4 multiprocessors: usable
$libraries" devices
says 'GPU: Mock GPU, by CUDA 13.0'
orders='devices=2,memory=17179869184,cc=61'
is "GPU 0: Mock GPU, 16 GiB, compute capability 6.1, 4 multiprocessors: not usable: compute capability 6.1: 7.0 is wanted at least
GPU 1: Mock GPU, 16 GiB, compute capability 6.1, 4 multiprocessors: not usable: compute capability 6.1: 7.0 is wanted at least
no GPU: none of the devices is usable
$libraries" devices
orders='devices=0'
is "no GPU: the driver (CUDA 13.0) sees no device
$libraries" devices
says 'GPU: none (the driver (CUDA 13.0) sees no device)'
orders=
is "no GPU: it was asked to be left out
$libraries" --no-gpu devices
NORN_NVRTC=none NORN_CUBLASLT=none
is "GPU 0: Mock GPU, 4.0 GiB, compute capability 9.0, 4 multiprocessors: not usable: there is no NVRTC to compile with
no GPU: there is no NVRTC to compile with: NORN_NVRTC is none
driver: CUDA 13.0
compiler: not here
matrix products: not here" devices
NORN_CUDA=none
is 'no GPU: NORN_CUDA is none
driver: not here
compiler: not here
matrix products: not here' devices
says 'GPU: none (NORN_CUDA is none)'
"$NORN" devices now >"$work/out" 2>"$work/err"
[ $? -eq 2 ] && grep -q 'devices takes no words' "$work/err" || { echo 'norn devices now: is no mistake'; bad=1; }

# Nothing of CUDA is opened by who does not ask.
if command -v strace >/dev/null 2>&1; then
  unset NORN_CUDA NORN_NVRTC NORN_CUBLASLT
  strace -f -e trace=open,openat "$NORN" -e 1 2>&1 | grep -E 'libcuda|nvrtc|cublas' && { echo 'norn -e 1 looks for CUDA'; bad=1; }
fi
exit $bad
