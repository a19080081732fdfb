#!/bin/sh
# norn train --text: the same bytes on any number of threads and if the training is killed and resumed; Ctrl-C keeps
# what was learned; mistakes are found before the work begins.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
cd "$work" || exit 99
bad=0

fail() {
  echo "train_text.sh: $1"
  [ ! -f err ] || cat err
  bad=1
}

i=0
while [ $i -lt 60 ]; do
  printf 'one two three\n\ntwo three four\n\nthree four five six\n\n'
  i=$((i + 1))
done >text

small='--layers 1 --width 32 --heads 2 --context 24 --batch 8 --documents empty-lines --seed 3 --rate 0.01'
train() {   # options: what norn says in `out` and `err`, its status in $status
  "$NORN" train --text text $small "$@" >out 2>err </dev/null
  status=$?
}

same() {   # two files, what they show
  cmp -s "$1" "$2" || fail "$3"
}

train --steps 400 --out one.gguf --threads 1
[ $status -eq 0 ] || fail "training ends with status $status"
[ ! -e one.gguf.training ] || fail 'the checkpoint is still there'
grep -q '^one.gguf: [0-9]* parameters, 400 steps, [0-9]* tokens, loss [0-9.]*, held out [0-9.]* a byte$' out ||
  fail "it says $(cat out)"
head -c 4 one.gguf | grep -q GGUF || fail 'the model is no GGUF file'
# What is not known in these texts is which of three it is: log(3) in 17 bytes, .065 a byte.
awk -F'held out ' '{ exit !($2 + 0 > .03 && $2 + 0 < .3) }' out || fail "it did not learn: $(cat out)"
train --steps 400 --out four.gguf --threads 4 --quiet
same one.gguf four.gguf 'one and four threads make different models'
[ ! -s out ] && [ ! -s err ] || fail '--quiet is not quiet'
train --steps 40 --out f32.gguf --type f32 --quiet
[ "$(wc -c <f32.gguf)" -gt "$(wc -c <one.gguf)" ] || fail '--type f32 is no larger than q8_0'

# Killed, then resumed.
long="--steps 4000 --every 10ms"
"$NORN" train --text text $small $long --out killed.gguf >out 2>err </dev/null &
pid=$!
while [ ! -s killed.gguf.training ] && kill -0 $pid 2>/dev/null; do sleep .005; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
if [ ! -e killed.gguf ]; then
  train $long --out killed.gguf --resume
  grep -q '^resuming: .*, step [0-9]* of 4000' err || fail 'it does not say that it resumes'
fi

# Ctrl-C: the model so far, its checkpoint, and the same bytes in the end.
"$NORN" train --text text $small --steps 4000 --out stopped.gguf >out 2>err </dev/null &
pid=$!
while [ ! -s stopped.gguf.training ] && kill -0 $pid 2>/dev/null; do sleep .005; done
kill -TERM $pid
wait $pid
status=$?
[ $status -eq 130 ] || fail "interrupted with status $status"
grep -q 'stopped at step .* of 4000: stopped.gguf has what was learned; --resume goes on' err ||
  fail 'it does not say what it leaves'
head -c 4 stopped.gguf | grep -q GGUF || fail 'what was learned until Ctrl-C is no model'
train --steps 4000 --out stopped.gguf --resume
same killed.gguf stopped.gguf 'killed or interrupted and resumed makes another model'

refused() {   # a pattern of what is said, the status, options
  want=$1
  code=$2
  shift 2
  train "$@"
  [ $status -eq "$code" ] || fail "$*: status $status, not $code"
  grep -q -e "$want" err || fail "$*: it does not say $want"
}

refused "can't write no/where.gguf" 1 --out no/where.gguf
refused "can't write .*: Is a directory" 1 --out .
refused 'needs where the model goes' 2 --steps 5
refused 'needs where the model goes' 2 --out a more
refused 'no option of norn train --text' 2 --out a --size 5
refused '--width takes a number such as 32, got' 2 --out a --width wide
refused '--documents takes whole or empty-lines' 2 --out a --documents lines
refused '--seconds is for nets of programs' 2 --out a --seconds 5
refused '--kind is for nets of programs' 2 --out a --kind npe
refused "width can't be 32 with 3 heads" 1 --out a --heads 3
refused "width can't be 40 with type q8_0" 1 --out a --width 40
refused "type can't be q3" 1 --out a --type q3
refused "rate can't be 7" 1 --out a --rate 7
refused "context can't be 100000" 1 --out a --context 100000
refused "can't read none" 1 --out a --text none
: >empty
refused 'the text has 0 bytes' 1 --out a --text empty
refused "can't go on from text: it is no checkpoint" 1 --out b --checkpoint text --resume
[ ! -e a ] && [ ! -e a.training ] && [ ! -e b ] || fail 'a refused training leaves files'
[ $bad -eq 0 ] && echo 'train_text.sh: all is well'
exit $bad
