#!/bin/sh
# All checks and timings that want a GPU, in one go of under nine minutes, and a table of them:
#
#     tests/gpu/run.sh [WHERE] [--out DIR]
#
# WHERE is a folder or an archive that pack.sh made, or a build tree (without: build/ beside this one, whose
# programs `make gpu-programs` builds).  DIR gets the table (results.md) and what each program wrote.
# Rows of JAX and PyTorch are made where Python has them (bench/gpu/peer*.py; NORN_GPU_PEER=no: not).
# Nothing new is started after NORN_GPU_SECONDS (480) seconds; one program may take 150.  The exit status is 1
# if a check failed, or if there is no GPU.
set -u
here=$(cd "$(dirname "$0")" && pwd)
where= out=
while [ $# -gt 0 ]; do
  case $1 in
  --out) out=$2; shift 2 ;;
  *) where=$1; shift ;;
  esac
done
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
begun=$(date +%s)
limit=${NORN_GPU_SECONDS:-480}
bad=0
[ -n "$out" ] || out=$work/out
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 99

# ---- where things are: $norn, $checks, $timings, $programs, $sources (of programs in Norn)
case $where in
*.tar*) mkdir "$work/pack" && tar xf "$where" -C "$work/pack" || exit 99; where=$work/pack/norn-gpu ;;
esac
[ -n "$where" ] || where=$here/../../build
where=$(cd "$where" && pwd) || exit 99
if [ -d "$where/bin" ]; then
  norn=$where/bin/norn checks=$where/bin/check timings=$where/bin/time sources=$where/tests expect=$where/expect.sh
  peers=$where
  LD_LIBRARY_PATH=$where/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
else
  norn=$where/norn checks=$where/tests/gpu timings=$where/bench/gpu sources=$here expect=$here/../expect.sh
  peers=$here/../../bench/gpu
fi
[ -x "$norn" ] || { echo "run.sh: there is no $norn"; exit 99; }

# ---- CUDA's libraries, where the linker may not look: Python's packages have them too
python_file() {   # a name of a library: its path in Python's packages
  for python in python3 python; do
    command -v $python >/dev/null 2>&1 || continue
    $python - "$1" <<'PYTHON' 2>/dev/null && return
import glob, os, sys
for d in sys.path:
  for pattern in ("nvidia/cu13/lib/", "nvidia/*/lib/"):
    for f in sorted(glob.glob(os.path.join(d, pattern, sys.argv[1] + ".so.1[0-9]"))):
      print(f)
      sys.exit(0)
sys.exit(1)
PYTHON
  done
}
[ "${NORN_CUDA-}" != none ] || unset NORN_CUDA
NORN_GPU_TEST=1 NORN_MOCK=
export NORN_GPU_TEST NORN_MOCK
has() { "$norn" devices 2>/dev/null | grep -q "^$1: [^n]"; }
if [ -z "${NORN_NVRTC-}" ] && ! has compiler; then
  NORN_NVRTC=$(python_file libnvrtc)
  [ -n "$NORN_NVRTC" ] && export NORN_NVRTC || unset NORN_NVRTC
fi
if [ -z "${NORN_CUBLASLT-}" ] && ! has 'matrix products'; then
  NORN_CUBLASLT=$(python_file libcublasLt)
  [ -n "$NORN_CUBLASLT" ] && export NORN_CUBLASLT || unset NORN_CUBLASLT
fi
# Code that is compiled here is kept here, so that the sanitizer need not compile it again.
XDG_CACHE_HOME=$work/cache
export XDG_CACHE_HOME
mkdir "$XDG_CACHE_HOME"
"$norn" devices | tee "$out/devices.txt"
"$norn" devices | grep -q ': usable$' || { echo 'run.sh: no GPU can be used'; exit 1; }

# ---- running
table=$out/table.txt
: >"$table"
late() { [ $(($(date +%s) - begun)) -ge "$limit" ]; }
seconds() { date +%s.%N; }
row() { printf '%s|%s|%s|%s\n' "$1" "$2" "$3" "$4" >>"$table"; }

# run NAME KIND COMMAND...: a row for it, and one for each figure that it prints.  KIND: check, time (a row only if
# it fails), sanitizer (no figures, which are slow there, and to be late is no failure).
run() {
  name=$1 kind=$2
  shift 2
  if late; then
    row "$name" 'left out' '' ''
    bad=1
    return
  fi
  t=$(seconds)
  timeout "${seconds_each:-150}" "$@" >"$out/$name.txt" 2>&1
  status=$?
  t=$(echo "$t $(seconds)" | awk '{ printf "%.1f s", $2 - $1 }')
  case $status in
  0) result=pass ;;
  77) result=skipped ;;
  124) result='no end'
       [ $kind = sanitizer ] || bad=1 ;;
  *) result=FAIL bad=1
     echo "== $name: status $status"
     tail -n 30 "$out/$name.txt" ;;
  esac
  [ $kind = time ] && [ $result = pass ] || row "$name" $result "$t" ''
  [ $kind != sanitizer ] && sed -n 's/^figure: *//p' "$out/$name.txt" | while IFS='|' read -r what value goal; do
    row "$what" "$result" "$value" "$goal"
  done
}

programs() {   # those of a folder that can be run
  for f in "$1"/$2; do [ -f "$f" ] && [ -x "$f" ] && echo "$f"; done
}

# Timings that have goals come first, then the checks, then what is only to compare with.
first='particles chains chees glm matmul train llm device'
for name in $first; do
  [ -x "$timings/$name" ] && run "$name" time "$timings/$name"
done
slow='check_dialect check_density'   # a minute together, of compilations
for f in $(programs "$checks" 'check_*'); do
  name=$(basename "$f")
  case $name in *.o | *.sh) continue ;; esac
  case " $slow " in *" $name "*) continue ;; esac
  run "$name" check "$f"
done
NORN=$norn
export NORN
for f in "$sources"/*.norn; do
  [ -f "$f" ] && run "$(basename "$f" .norn)" check sh "$expect" "$f"
done
for name in $slow; do
  [ -x "$checks/$name" ] && run "$name" check "$checks/$name"
done
for f in $(programs "$timings" '*'); do
  name=$(basename "$f")
  case " $first " in *" $name "*) continue ;; esac
  case $name in *.o) continue ;; esac
  run "$name" time "$f"
done
if [ "${NORN_GPU_PEER-}" != no ] && command -v python3 >/dev/null 2>&1; then
  for f in "$peers"/peer*.py; do [ -f "$f" ] && run "$(basename "$f" .py)" time python3 "$f"; done
fi

# The sanitizer makes programs slow: it gets 60 seconds, and those first that are quick.
sanitize() {
  command -v compute-sanitizer >/dev/null 2>&1 || { row compute-sanitizer 'not here' '' ''; return; }
  NORN_GPU_SMALL=1 seconds_each=40
  export NORN_GPU_SMALL
  stop=$(($(date +%s) + ${NORN_GPU_SANITIZER:-60}))
  for f in driver blas blocks resample segment $(programs "$checks" 'check_*'); do
    name=$(basename "$f" | sed 's/^check_//')
    f=$checks/check_$name
    case $name in *.o | *.sh) continue ;; esac
    case " ${done-} " in *" $name "*) continue ;; esac
    done="${done-} $name"
    [ -x "$f" ] || continue
    if [ "$(date +%s)" -ge $stop ]; then row "sanitizer-$name" 'no time' '' ''; continue; fi
    run "sanitizer-$name" sanitizer compute-sanitizer --error-exitcode 9 --leak-check no --report-api-errors no "$f"
  done
}
sanitize

# ---- the table
{
  echo "$(sed -n 's/^GPU 0: \([^,]*\),.*/\1/p' "$out/devices.txt"), $(sed -n 's/^driver: //p' "$out/devices.txt")," \
    "$(sed -n 's/^compiler: //p' "$out/devices.txt"), $(date -u +%Y-%m-%d), $(($(date +%s) - begun)) s in all"
  echo
  echo '| what | result | figure | goal |'
  echo '| --- | --- | --- | --- |'
  sed 's/ *| */ | /g; s/^/| /; s/$/ |/' "$table"
} >"$out/results.md"
cat "$out/results.md"
exit $bad
