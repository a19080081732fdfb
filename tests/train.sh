#!/bin/sh
# norn train: for given steps the file of a net has the same bytes on any number of threads, and also if the
# training is killed and resumed; Ctrl-C keeps what was learned; mistakes are found before the work begins.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
cd "$work" || exit 99
bad=0

fail() {
  echo "train.sh: $1"
  [ ! -f err ] || cat err
  bad=1
}

cat >coin.norn <<'N'
model coin(flips) { let p ~ beta(2, 2); for f in flips { observe f ~ bernoulli(p) }; p }
model coins() { let n ~ discrete_uniform(0, 8); coin(repeat(false, n)) }
N

train() {   # options: what norn says in `out` and `err`, its status in $status
  "$NORN" train coin.norn --model coins --d 16 --layers 1 --batch 32 --seed 5 "$@" >out 2>err </dev/null
  status=$?
}

same() {   # two files, what they show
  cmp -s "$1" "$2" || fail "$3"
}

train --steps 2000 --out one.safetensors --threads 1
[ $status -eq 0 ] || fail "training ends with status $status"
[ ! -e one.safetensors.training ] || fail 'the checkpoint is still there'
train --steps 2000 --out four.safetensors --threads 4 --quiet
same one.safetensors four.safetensors 'one and four threads make different nets'
[ ! -s out ] && [ ! -s err ] || fail '--quiet is not quiet'

# Waits for the training $pid to write a checkpoint, if need be one other than "mark".
written() {
  while kill -0 $pid 2>/dev/null; do
    if [ -s "$1" ] && { [ ! -e mark ] || ! cmp -s "$1" mark; }; then break; fi
    sleep .005
  done
}

# Killed three times, each time a little later.
"$NORN" train coin.norn --model coins --d 16 --layers 1 --batch 32 --seed 5 --steps 2000 --out killed.safetensors \
  --every 10ms >out 2>err </dev/null &
pid=$!
for turn in 1 2 3; do
  written killed.safetensors.training
  sleep ".0$turn"
  kill -9 $pid 2>/dev/null
  wait $pid 2>/dev/null
  [ -e killed.safetensors ] && break
  cp killed.safetensors.training mark
  "$NORN" train coin.norn --model coins --d 16 --layers 1 --batch 32 --seed 5 --steps 2000 --out killed.safetensors \
    --every 10ms --resume >out 2>err </dev/null &
  pid=$!
done
wait $pid
grep -q 'resuming from killed.safetensors.training, step [0-9]' err || fail 'it does not say that it resumes'
same one.safetensors killed.safetensors 'killed and resumed makes another net'

# Ctrl-C: the net so far, its checkpoint, and the same bytes in the end.
"$NORN" train coin.norn --model coins --d 16 --layers 1 --batch 32 --seed 5 --steps 2000 --out stopped.safetensors \
  >out 2>err </dev/null &
pid=$!
rm -f mark
written stopped.safetensors.training
kill -TERM $pid
wait $pid
status=$?
[ $status -eq 130 ] || fail "interrupted with status $status"
grep -q 'stopped at step .* stopped.safetensors has what was learned; --resume goes on' err ||
  fail 'it does not say what it leaves'
"$NORN" -e 'info(load("stopped.safetensors")).steps > 0' >out 2>err
[ "$(cat out)" = true ] || fail 'what was learned until Ctrl-C is no net'
train --steps 2000 --out stopped.safetensors --resume
same one.safetensors stopped.safetensors 'interrupted and resumed makes another net'

refused() {   # a pattern of what is said, the status, options
  want=$1
  code=$2
  shift 2
  train "$@"
  [ $status -eq "$code" ] || fail "$*: status $status, not $code"
  grep -q "$want" err || fail "$*: it does not say $want"
}

refused "can't write no/where.safetensors" 1 --out no/where.safetensors
refused "can't write .*: Is a directory" 1 --out .
refused 'one of them says how long' 2 --out a --steps 5 --seconds 5
refused "device takes cpu, gpu or auto, got 'tpu'" 2 --out a --device tpu
refused "precision takes bf16 or f32, got 'f64'" 2 --out a --device gpu --precision f64
refused 'of train can.t be had: batch sizes that adapt' 1 --out a --device gpu --adapt true
refused "takes npe, pfn or" 2 --out a --kind fpn
refused 'has no option --particles' 2 --out a --particles 5
refused 'has no option --step; did you mean --steps' 2 --out a --step 5
refused 'has no option --layer; did you mean --layers' 2 --out a --layer 5
refused 'd of a net must be a multiple of its heads' 1 --out a --heads 3
refused 'train needs a file' 2 --steps 5
[ ! -e a ] && [ ! -e a.training ] || fail 'a refused training leaves files'

# Without a checkpoint there is nothing to resume: what a training that has ended left is not written over.
cp one.safetensors whole.safetensors
refused 'its training has ended; without --resume it is trained anew' 1 --out whole.safetensors --resume --steps 2
same one.safetensors whole.safetensors '--resume without a checkpoint takes the net away'
"$NORN" train coin.norn --model coins --d 16 --layers 1 --batch 32 --seed 5 --steps 2 --out never.safetensors --resume \
  >out 2>err </dev/null || fail 'a training that never began is not begun by --resume'
grep -q 'there is no never.safetensors.training to go on from: the training begins' err || fail 'it does not say that it begins'

# What is given beside --resume must be what the checkpoint has.
"$NORN" train coin.norn --model coins --d 16 --layers 1 --batch 32 --seed 5 --steps 2000 --out other.safetensors \
  --every 10ms >out 2>err </dev/null &
pid=$!
written other.safetensors.training
kill -9 $pid
wait $pid 2>/dev/null
refused 'is another training: activation is gelu there and swiglu here' 1 --out other.safetensors --resume \
  --activation '"swiglu"'
refused 'the seed is 5 there and 6 here' 1 --out other.safetensors --resume --seed 6
refused 'the length is 2000 steps there and 7 steps here' 1 --out other.safetensors --resume --steps 7
refused 'the kind is npe there and pfn here' 1 --out other.safetensors --resume --kind pfn
[ -s other.safetensors.training ] || fail 'a refused --resume takes the checkpoint away'
"$NORN" train coin.norn --model coins --out other.safetensors --resume --quiet >out 2>err </dev/null
same one.safetensors other.safetensors 'resumed without options makes another net'
cp one.safetensors half
dd if=one.safetensors of=half bs=1000 count=2 2>/dev/null
refused half 1 --out b --checkpoint half --resume
[ $bad -eq 0 ] && echo 'train.sh: all is well'
exit $bad
