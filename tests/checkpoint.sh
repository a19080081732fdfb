#!/bin/sh
# norn infer --checkpoint and norn --checkpoint FILE: killed with -9 and gone on with, the output is that of a run that was never
# stopped; SIGTERM leaves a last checkpoint; a full disk leaves the last good one; what is refused.
mock=$(cd "${builddir:-.}/tests/gpu/.libs" 2>/dev/null && pwd)/mock_cuda.so
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
cd "$work" || exit 99
bad=0

fail() {
  echo "checkpoint.sh: $*"
  bad=1
}

cat >walk.norn <<'END'
model walk(ys) {
  for y in ys with x = 0.0 {
    let x2 ~ normal(0.9 * x, 1)
    observe y ~ normal(x2, 0.5)
    next x2
  }
}
END
cat >exact.norn <<'END'
model inner(a) { let k ~ poisson(3); observe 0.3 ~ normal(a + k, 1); k }
model outer(ys) {
  for y in ys with a = 0.0 {
    let post = infer(inner(a), enumerate())
    let x ~ normal(mean(post), 1)
    observe y ~ normal(x, 1)
    next 0.5 * x
  }
}
END
cat >mean.norn <<'END'
model mean_of(ys) {
  let mu ~ normal(0, 3)
  let s ~ gamma(2, 1)
  for y in ys { observe y ~ normal(mu, s) }
  { mu: mu, s: s }
}
END
cat >jump.norn <<'END'
fn hops() = if sample(bernoulli(0.7)) { 0 } else { 1 + hops() }
model jumps(ys) {
  for y in ys with x = 0.0, far = [] {
    let n = hops()
    let x2 ~ normal(0.9 * x + n, 1)
    observe y ~ normal(x2 - n, 0.5)
    next x2, if n > 1 { push(far, x2) } else { far }
  }
}
END
cat >inner.norn <<'END'
model inner(a) { let u ~ normal(a, 1); observe 0.3 ~ normal(u, 1); u }
model outer(ys) {
  for y in ys with a = 0.0 {
    let post = infer(inner(a), importance(400))
    let x ~ normal(mean(post), 1)
    observe y ~ normal(x, 1)
    next 0.5 * x
  }
}
END
# Tokens under a grammar whose rules nest: its states are numbered as texts come to them.
cat >text.norn <<'END'
let ctx = llm("ngram:", { table: { tokens: ["(", ")", "x"], rows: [{ after: [], probs: [0.3, 0.3, 0.3, 0.1] }] } }).context()
model text_of() {
  let s ~ ctx.text(max = 200, grammar = "root ::= (\"x\" | \"(\" root \")\")*")
  len(s)
}
END
values() {   # COUNT: data of so many values
  awk -v n="$1" 'BEGIN { printf "{\"ys\": ["; for (i = 0; i < n; i++) printf "%s%.3f", i ? ", " : "", sin(i * i); print "]}" }'
}
# as long as a run with them must last to be met while it goes on: .2 s of a free processor at least
values 300 >long.json
values 1500 >longer.json
values 8000 >longest.json
echo '{"ys": [1.2, 0.3, 2.2, 0.9, 1.1, -0.4]}' >short.json

# Kills it with -9 as soon as a checkpoint is there that was not there before, so many times; then lets it end.  One that
# ends first, since the machine had no time for this script, begins again, up to thirty times in all.
killed() {
  times=$1
  kills=0
  shift
  rm -f ck
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    [ $kills -lt "$times" ] || break
    rm -f mark
    [ -f ck ] && cp ck mark
    "$NORN" infer "$@" --checkpoint ck --every 1ms >out 2>err </dev/null &
    pid=$!
    newer_than_mark $pid
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    # one that is left was not finished
    if [ -f ck ]; then kills=$((kills + 1)); fi
  done
  [ $kills -eq "$times" ] || fail "$*: killed $kills times only"
  [ -f ck ] || return
  "$NORN" infer "$@" --checkpoint ck >out 2>err </dev/null || fail "$*: status $?: $(cat err)"
  grep -q '^resuming from ck' err || fail "$*: does not say that it resumes: $(cat err)"
  [ ! -f ck ] || fail "$*: the checkpoint is left"
}

newer_than_mark() {   # PID: waits until it has ended or there is a checkpoint other than mark
  while kill -0 "$1" 2>/dev/null; do
    if [ -f ck ] && { [ ! -f mark ] || ! cmp -s ck mark; }; then break; fi
    sleep 0.005
  done
}

same() {
  "$NORN" infer "$@" -q >want 2>err </dev/null || fail "$*: $(cat err)"
  killed 4 "$@"
  cmp -s want out || { fail "$*: not the same after kill -9"; diff want out; }
}

same walk.norn --data long.json --engine 'smc(particles = 3000)' --seed 5
same walk.norn --data longer.json --engine 'smc(particles = 9000, executor = "lanes")' --seed 5
same jump.norn --data long.json --engine 'smc(particles = 3000, executor = "lanes")' --seed 5
same mean.norn --data short.json --engine 'mh(draws = 120000, chains = 2)' --seed 5
same mean.norn --data short.json --engine 'nuts(draws = 20000, chains = 2)' --seed 5
same mean.norn --data short.json --engine 'pgibbs(20, draws = 2000, chains = 1)' --seed 5
same walk.norn --data short.json --engine 'smc(1000, threshold = 1) |> move(mh(steps = 30))' --seed 5
same mean.norn --data short.json --engine 'anneal(300, runs = 30, kernel = mh(steps = 5))' --seed 5
same inner.norn --model outer --data short.json --engine 'smc(particles = 300)' --seed 5
same inner.norn --model outer --data short.json --engine 'smc(particles = 300, executor = "lanes")' --seed 5

same text.norn --engine 'smc(particles = 3000)' --seed 5
same exact.norn --model outer --data long.json --engine 'smc(particles = 20)' --seed 5

cat >hidden.norn <<'END'
model hmm(ys) {
  for y in ys with s = 0 {
    let s2 ~ categorical(if s == 0 { [0.7, 0.2, 0.1] } else if s == 1 { [0.1, 0.8, 0.1] } else { [0.3, 0.3, 0.4] })
    observe y ~ normal(s2, 0.7)
    next s2
  }
}
END
cat >wide.norn <<'END'
model wide() {
  for i in 0..8 with a = 0 {
    let x ~ bernoulli(0.3)
    let k ~ categorical([0.5, 0.3, 0.2])
    factor(-0.001 * a)
    next if i % 3 == 2 { a % 7 } else { 6 * a + 3 * (if x { 1 } else { 0 }) + k }
  }
}
END
same hidden.norn --data longest.json --engine enumerate --seed 5
same hidden.norn --data longer.json --engine 'enumerate(exact = true)' --seed 5
same wide.norn --engine enumerate --seed 5

# ---- particles on a GPU: a mock of one, if it is built (tests/gpu/mock.h)
if [ -f "$mock" ]; then
  NORN_CUDA=$mock NORN_NVRTC=$mock NORN_CUBLASLT=$mock
  export NORN_CUDA NORN_NVRTC NORN_CUBLASLT
  same walk.norn --data long.json --engine 'smc(particles = 100, device = "gpu")' --seed 5
  unset NORN_CUDA NORN_NVRTC NORN_CUBLASLT
fi

# ---- programs
cat >program.norn <<'END'
import inference
model coin(p) { let x ~ bernoulli(p); let y ~ normal(if x { 1 } else { 0 }, 1); observe 0.7 ~ normal(y, 1); y }
model walk(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 1); observe y ~ normal(x2, 0.5); next x2 } }
let f = mem(k -> sample(normal(k, 1)))
print("begin", f(1), args)
let means = for i in 0..4 {
  let post = infer(coin(0.1 + 0.2 * i), importance(8000))
  print("{i}: {mean(post)}")
  mean(post)
}
let pop = inference.advance(inference.spawn(walk([0.5, 1.1, 0.3, -0.4]), 400))
let p = infer(walk([0.5, 1.1, 0.3, -0.4]), mh(draws = 20000, chains = 2))
print(p)
let q = infer(walk([0.5, 1.1, 0.3, -0.4]), nuts(draws = 1500, chains = 2))
print(mean(q), mean(inference.posterior(inference.finish(pop, p -> inference.resample(p)))))
print("end", f(1), f(2), sample(normal(0, 1)), means)
END
"$NORN" --seed 5 -q program.norn a b >want 2>err || fail "a program: $(cat err)"
rm -f ck all
kills=0
for i in 1 2 3 4 5 6; do
  rm -f mark
  if [ -f ck ]; then cp ck mark; fi
  "$NORN" --seed 5 -q --checkpoint ck --every 1ms program.norn a b >out 2>err </dev/null &
  pid=$!
  newer_than_mark $pid
  sleep 0.0$i
  kill -9 $pid 2>/dev/null
  wait $pid 2>/dev/null
  cat out >>all
  [ -f ck ] || break
  kills=$((kills + 1))
done
[ $kills -gt 1 ] || fail "a program: killed $kills times only"
if [ -f ck ]; then
  "$NORN" --seed 5 --checkpoint ck program.norn a b >out 2>err </dev/null || fail "a program: $(cat err)"
  grep -q '^resuming from ck' err || fail "a program: does not say that it resumes: $(cat err)"
  cat out >>all
fi
[ ! -f ck ] || fail "a program: the checkpoint is left"
# what came after a checkpoint is printed again: each of these lines differs from all others
awk '!seen[$0]++' all >out
cmp -s want out || { fail "a program: not the same after kill -9"; diff want out; }

# draws that are kept as they come: the file of a run that was killed becomes that of one that was not
cat >kept.norn <<'END'
model m(ys) {
  let mu ~ normal(0, 3)
  let more ~ bernoulli(0.3)
  if more { let extra ~ normal(0, 1); observe 0.3 ~ normal(extra, 1) }
  for y in ys { observe y ~ normal(mu, 1) }
  { mu: mu, more: more }
}
keep_draws(args[0])
print(len(values(infer(m([0.5, 1.1, 0.3]), importance(500)))))
print(len(values(infer(m([0.5, 1.1, 0.3, 0.7]), mh(draws = 30000, burn = 100, chains = 2, incremental = false)))))
END
"$NORN" --seed 5 -q kept.norn kept.csv >whole 2>err || fail "kept: $(cat err)"
for k in 1 2; do mv kept_$k.csv whole_$k.csv || fail "kept: no file of chain $k"; done
for i in 1 2 3; do
  rm -f mark
  cp ck mark 2>/dev/null
  "$NORN" --seed 5 -q --checkpoint ck --every 5ms kept.norn kept.csv >out 2>err </dev/null &
  pid=$!
  newer_than_mark $pid
  sleep 0.0$i
  kill -9 $pid 2>/dev/null
  wait $pid 2>/dev/null
done
[ ! -f ck ] || "$NORN" --seed 5 -q --checkpoint ck kept.norn kept.csv >out 2>err </dev/null || fail "kept: $(cat err)"
for k in 1 2; do cmp -s kept_$k.csv whole_$k.csv || fail "kept: chain $k has another file after kill -9"; done
[ ! -s err ] || fail "kept: $(cat err)"

# Sends SIGTERM as soon as there is a checkpoint (it stays as "first"); one that ends first begins again.
terminated() {
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    rm -f ck mark err first
    "$NORN" "$@" >out 2>err </dev/null &
    pid=$!
    newer_than_mark $pid
    cp ck first 2>/dev/null
    kill -TERM $pid 2>/dev/null
    wait $pid
    status=$?
    [ $status -eq 0 ] || break
  done
  [ $status -eq 130 ] || fail "$*, SIGTERM: status $status: $(cat err)"
  grep -q 'the work so far is in ck' err || fail "$*, SIGTERM: $(cat err)"
  [ -f ck ] || fail "$*, SIGTERM: no checkpoint"
}

# stopped in good order it prints nothing twice
terminated --seed 5 --checkpoint ck --every 1h program.norn a b
cp out all
cp ck good
program() {   # TEXT ARGS...: status 1, says so, and the file is as it was
  text=$1
  shift
  "$NORN" --checkpoint ck "$@" >out 2>err </dev/null
  status=$?
  [ $status -eq 1 ] || fail "$*: status $status, not 1"
  grep -q -e "$text" err || fail "$*: not refused by '$text': $(cat err)"
  cmp -s ck good || fail "$*: the file was changed"
}
program 'checkpoint of another seed' --seed 6 program.norn a b
program 'checkpoint of other arguments' --seed 5 program.norn a
program 'checkpoint of another program' --seed 5 hidden.norn
"$NORN" infer walk.norn --data short.json --engine mh --checkpoint ck >out 2>err </dev/null && fail "a program's checkpoint: taken"
grep -q 'checkpoint of a whole program' err || fail "a program's checkpoint: $(cat err)"
"$NORN" --seed 5 --checkpoint ck program.norn a b >>all 2>err </dev/null || fail "a program: $(cat err)"
cmp -s want all || { fail "a program: not the same after SIGTERM"; diff want all; }
for option in '--every 5s' '--fresh'; do
  "$NORN" $option program.norn >out 2>err </dev/null
  [ $? -eq 2 ] || fail "a program, $option: not refused"
  grep -q 'needs --checkpoint' err || fail "a program, $option: $(cat err)"
done
"$NORN" --checkpoint ck -e 1 >out 2>err </dev/null
[ $? -eq 2 ] || fail "--checkpoint with -e: not refused"

# ---- SIGTERM
set -- walk.norn --data long.json --engine 'smc(particles = 3000)' --seed 5
"$NORN" infer "$@" -q >want 2>err </dev/null
terminated infer "$@" --checkpoint ck --every 1h
"$NORN" infer "$@" --checkpoint ck >out 2>err </dev/null || fail "after SIGTERM: $(cat err)"
cmp -s want out || { fail "not the same after SIGTERM"; diff want out; }

# ---- what is refused, by name, and stays
refused() {   # TEXT ARGS...: status 1, says so, and the file is as it was
  text=$1
  shift
  cp ck before
  "$NORN" infer "$@" --checkpoint ck >out 2>err </dev/null
  status=$?
  [ $status -eq 1 ] || fail "$*: status $status, not 1"
  grep -q -e "$text" err || fail "$*: not refused by '$text': $(cat err)"
  cmp -s ck before || fail "$*: the file was changed"
}
mv first ck
refused 'checkpoint of another program' mean.norn --data long.json --engine 'smc(particles = 3000)' --seed 5
refused 'checkpoint of other data' walk.norn --data short.json --engine 'smc(particles = 3000)' --seed 5
refused 'another engine or other options of it (smc)' walk.norn --data long.json --engine smc --seed 5
refused 'checkpoint of another seed' walk.norn --data long.json --engine 'smc(particles = 3000)' --seed 6
cp ck good
dd if=good of=ck bs=1000 count=20 2>/dev/null
refused 'ck is damaged' "$@"
echo 'something else' >ck
refused 'ck is no checkpoint of Norn' "$@"
"$NORN" infer "$@" --checkpoint ck --fresh >out 2>err </dev/null || fail "--fresh: $(cat err)"
cmp -s want out || fail "--fresh: not the same"

usage() {   # TEXT ARGS...: status 2
  text=$1
  shift
  "$NORN" infer "$@" >out 2>err </dev/null
  status=$?
  [ $status -eq 2 ] || fail "$*: status $status, not 2"
  grep -q -e "$text" err || fail "$*: no '$text': $(cat err)"
}
usage '--every takes a time such as' "$@" --checkpoint ck --every 5x
usage '--every takes a time such as' "$@" --checkpoint ck --every 0
usage '--every takes a time such as' "$@" --checkpoint ck --every -3s
usage 'needs --checkpoint' "$@" --every 5s
usage 'needs --checkpoint' "$@" --fresh
usage 'of one inference' "$@" --checkpoint ck --chains 2

# what the printed rule chooses
"$NORN" infer mean.norn --data short.json --seed 5 -q >want 2>err </dev/null
"$NORN" infer mean.norn --data short.json --seed 5 -q --checkpoint ck --fresh --every 1ms >out 2>err </dev/null ||
  fail "without --engine: $(cat err)"
cmp -s want out || fail "without --engine it is not the same"
rm -f ck

# ---- no room
for path in none/ck /dev/full; do
  "$NORN" infer "$@" --checkpoint $path --fresh >out 2>err </dev/null
  status=$?
  [ $status -eq 1 ] || fail "$path: status $status, not 1"
  grep -q "can't write the checkpoint $path" err || fail "$path: $(cat err)"
done
set -- mean.norn --data short.json --engine 'mh(draws = 120000, chains = 2)' --seed 5
"$NORN" infer "$@" -q >want 2>err </dev/null
(
  ulimit -f 300
  "$NORN" infer "$@" --checkpoint ck --every 1ms >out 2>err </dev/null
  exit $?
)
status=$?
[ $status -eq 0 ] || fail "a full disk: status $status"
grep -q "warning: can't write the checkpoint ck" err || fail "a full disk: no warning: $(head -5 err)"
cmp -s want out || fail "a full disk changes the result"
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -f ck err
  (
    ulimit -f 300
    "$NORN" infer "$@" --checkpoint ck --every 1ms >out 2>err </dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q "can't write" err 2>/dev/null; do sleep 0.005; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
  )
  [ ! -f ck ] || break
done
[ -f ck ] || fail "a full disk: the last good one is gone"
"$NORN" infer "$@" --checkpoint ck >out 2>err </dev/null || fail "after a full disk: $(cat err)"
cmp -s want out || { fail "after a full disk it is not the same"; diff want out; }

exit $bad
