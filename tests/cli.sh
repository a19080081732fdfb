#!/bin/sh
# The command: scripts, one-liners, limits, norn infer, exit status.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
here=$(cd "$srcdir" && pwd) || exit 99
cd "$work" || exit 99
bad=0
limit=
command -v timeout >/dev/null 2>&1 && limit='timeout 600'

fail() {
  echo "cli.sh: $*"
  bad=1
}

# run STATUS ARGS...: runs norn, keeps its output in out and err, checks its status.
run() {
  want=$1
  shift
  $limit "$NORN" "$@" >out 2>err </dev/null
  got=$?
  [ $got -eq "$want" ] && return
  fail "norn $*: status $got, not $want"
  cat out err
}

says() {   # a text on standard output
  grep -F -q -e "$1" out || { fail "standard output lacks: $1"; cat out; }
}

complains() {   # a text on standard error
  grep -F -q -e "$1" err || { fail "standard error lacks: $1"; cat err; }
}

is() {   # all of standard output
  [ "$(cat out)" = "$1" ] || { fail "standard output is not: $1"; cat out; }
}

# ---- the same warning a hundred times

cat >often.norn <<'N'
model m(k) {
  let x ~ normal(0, 1)
  for i in 0..5 { observe 4 + k / 100 ~ normal(x, 0.05) }
  x
}
print(len([infer(m(k), smc(particles = 2, delayed = false)) for k in 0..30]))
N
run 0 often.norn
is 30
[ "$(grep -c 'effective sample size' err)" -eq 3 ] || { fail 'warnings that differ by numbers are many'; cat err; }
complains 'warning: 27 more warnings like these'

# ---- one-liners and scripts
run 0 -e '6 * 7'; is 42
run 0 -e '"text"'; is text
run 0 -e '()'; is ''
run 0 -e 'let x = 20' -e 'x + 22'; is 42
run 0 -e 'args' a 'b c'; is '["a", "b c"]'
run 1 -e '1 +* 2'; complains ':1:4: error: '
run 1 -e 'f('; complains 'error: '
run 1 -e '[1, 2][7]'; complains 'error: '
printf '#!/usr/bin/env norn\nprint("{len(args)} {args[1]}")\n' >script.norn
run 0 script.norn one --seed; is '2 --seed'
chmod +x script.norn
run 1 nowhere.norn; complains "can't read nowhere.norn"
run 1 .; complains "can't read ."
echo 'print(1 + 1)' | "$NORN" - >out 2>err || fail 'standard input'
is 2
echo 'print(2' | "$NORN" - >out 2>err && fail 'standard input with a mistake'
complains '<stdin>:'

# ---- wrong use
run 2 --no-such-option; complains 'no option --no-such-option'
run 2 -x; complains 'no option -x'
run 2 --seed; complains '--seed needs a value'
run 2 --seed many; complains '--seed takes'
run 2 --max-memory lots; complains '--max-memory takes'
run 2 --model m -e 1; complains 'is an option of norn infer'
run 2 check; complains 'check needs a file'
run 1 --load nowhere.so -e 1; complains 'nowhere.so'

# ---- what it says of itself
run 0 --version; says 'norn 0.1.0'; says smc; says 'linear algebra: '
NORN_BLAS=own run 0 --version; says 'linear algebra: own'
NORN_NETCDF=none run 0 --version; says 'draws in files: CSV, JSON, but no NetCDF: there is no libnetcdf'
NORN_CAIRO=none run 0 --version; says 'pictures: SVG, but no PNG and PDF: there is no cairo'
NORN_CAIRO=none run 1 -e 'plot([1.0, 2.0], "a.png")'; complains 'PNG and PDF need cairo'
NORN_CAIRO=none run 0 -e 'plot([1.0, 2.0], "a.svg")'
run 0 --help; says '--max-memory SIZE'; says 'norn infer FILE'
run 0 doc normal; says 'normal(mu, sigma)'
run 0 doc smc; says particles
run 1 doc nomral; complains 'did you mean normal?'
printf 'fn inc(x) = x + 1\ninc(1)\n' >inc.norn
run 0 dis inc.norn; says inc; says RET

# ---- check
printf 'fn f(x) = x + zz\nlet a = f(1, 2)\nlet b = f(1)\n' >bad.norn
run 1 check bad.norn; complains 'bad.norn:1:15: error: '; complains 'bad.norn:2:'
printf 'let a = 1\nprint(a)\n' >good.norn
run 0 check good.norn; is ''
run 1 check good.norn bad.norn
printf 'print(a)\n' >leak.norn
run 1 check good.norn leak.norn; complains 'leak.norn:1:7: error: '

# ---- limits and interrupts
echo 'fn runaway(n) = 1 + runaway(n + 1)
print(runaway(0))' >runaway.norn
run 1 --max-memory 64M runaway.norn
complains memory; complains 'runaway.norn:1:'
# a filter does not remember what it was fed: 600 times 2,000 weighted values are 19 MB
echo 'import online
model first() { 0.0 }
model step(x, y) { let x2 ~ normal(0.9 * x, 1); observe y ~ normal(x2, 1); x2 }
let f = for t in 0..600 with f = online.start(first(), step, particles = 2000) { next online.feed(f, sin(t / 5)) }
print(f.n)' >online.norn
run 0 --max-memory 14M online.norn; is 600
echo 'fn forever(n) = forever(n + 1)
forever(0)' >forever.norn
begun() {   # waits until a program has saved the file: only then does it compute, and Ctrl-C is heard
  n=0
  while [ ! -s "$1" ] && [ $n -lt 3000 ] && kill -0 $pid 2>/dev/null; do
    n=$((n + 1))
    sleep 0.02
  done
}
run 1 --max-steps 1e6 forever.norn; complains step; complains 'forever.norn:1:'
run 1 --max-time .2 forever.norn; complains 'forever.norn:1:'
echo 'model m() { let x ~ normal(0, 1)
x }
save(infer(m(), importance(n = 10)), "begun.csv")' | cat - forever.norn >begins.norn
"$NORN" begins.norn >out 2>err & pid=$!
begun begun.csv
kill -INT $pid 2>/dev/null
wait $pid
[ $? -eq 130 ] || fail 'an interrupt does not end with status 130'
echo 'model m() { let x ~ normal(0, 1)
let y ~ normal(x, 1)
y }
print(draws(infer(m(), nuts(draws = 10, warmup = 10))))
save(infer(m(), importance(n = 10)), args[0])
infer(m(), nuts(draws = 1000000, chains = 2))' >chains.norn
"$NORN" --threads 2 chains.norn chains.csv >out 2>err & pid=$!
begun chains.csv
kill -INT $pid 2>/dev/null
wait $pid
[ $? -eq 130 ] || fail 'an interrupt of chains does not end with status 130'
complains 'chains.norn:6:1: error: interrupted'
limited() {   # THREADS FILE: by a time that is over in line 6, which a slow machine comes to later
  for time in 1.5 6 30; do
    run 1 --max-time $time --threads "$1" chains.norn "$2"
    [ ! -s "$2" ] || break
  done
  complains 'chains.norn:6:1: error: the time limit'
}
limited 1 one.csv
cp out first
limited 3 three.csv
cmp -s first out || fail 'other draws with other threads'
run 2 --threads 0 -e 1; complains '--threads takes a number'
"$NORN" -e '"x"' >/dev/full 2>err && fail 'a full disk goes unnoticed'
"$NORN" -e 'print(1)' >/dev/full 2>err && fail 'a full disk goes unnoticed where a program prints'

# ---- seeds
run 0 --seed 5 -e 'sample(normal(0, 1))'; cp out first
run 0 --seed 5 -e 'sample(normal(0, 1))'; cmp -s first out || fail 'one seed, two results'
run 0 --seed 6 -e 'sample(normal(0, 1))'; cmp -s first out && fail 'two seeds, one result'

# ---- norn infer
cat >coin.norn <<'NORN'
model coin(flips, a = 1, b = 1) {
  let p ~ beta(a, b)
  for f in flips { observe f ~ bernoulli(p) }
  { p: p, odds: p / (1 - p), first: [p, 1 - p] }
}
NORN
echo '{"flips": [true, true, false, true]}' >flips.json
run 0 infer coin.norn --data flips.json --engine importance --n 5000 --delayed false --seed 1 --out results
says p; says odds
cmp -s out results/summary.txt || fail 'summary.txt is not what was printed'
rows() { grep -v '^#' "$1"; }     # of a file of draws
rows results/draws.csv | head -1 | grep -q '^log_weight__,p,odds,first.1,first.2$' || fail 'columns of draws.csv'
[ "$(rows results/draws.csv | wc -l)" -eq 5001 ] || fail 'rows of draws.csv'
# beta(1, 1) and 3 of 4 give beta(4, 2): mean 2/3
rows results/draws.csv | awk -F, 'NR > 1 { m += exp($1) * $2; w += exp($1) }
  END { exit !(w > .999 && w < 1.001 && m > .65 && m < .68) }' || fail 'mean of draws.csv'
rows results/draws.csv >first
grep -q '"engine": "importance"' results/info.json || fail 'info.json'
grep -q 'no warnings' results/diagnostics.txt || fail 'diagnostics.txt'
grep -q '>odds<' results/posterior.svg && grep -q '>p<' results/forest.svg || fail 'pictures'
[ -e results/pairs.svg ] && fail 'pairs.svg without divergences'
mkdir full
ln -s /dev/full full/summary.txt
run 1 infer coin.norn --data flips.json --engine importance --n 50 --seed 1 --out full; complains "can't write to full"
# the last draws are written when the file is closed, which may not grow beyond 1 or 2 KiB
cat >kept.norn <<'NORN'
keep_draws("kept.csv")
model m() { let x ~ normal(0, 1); let y ~ normal(0, 1); { x: x, y: y } }
let p = infer(m(), importance(90))
keep_draws()
NORN
(trap '' XFSZ; ulimit -f 2; exec "$NORN" kept.norn) >out 2>err
complains "draws are no longer kept as they come: can't write"
run 0 infer coin.norn --data flips.json --engine 'importance(n = 5000, delayed = false)' --seed 1 --out results
rows results/draws.csv | cmp -s first - || fail 'the same engine written otherwise gives other draws'
run 0 infer coin.norn --data flips.json --engine importance --n 2000 --chains 2 --out results
says 'chain 2 of 2'; says R-hat
[ -e results/draws.csv ] && fail 'draws of an earlier run are left'
run 0 -e 'len(values(load("results/draws.csv")))'; is 4000
run 0 infer coin.norn --data flips.json --engine mh --draws 50 --chains 3 --out results --format csv,json
[ "$(rows results/draws_3.csv | wc -l)" -eq 51 ] || fail 'chains of mh in draws_3.csv'
[ -e results/draws.nc ] && fail 'a format that was not asked for'
run 0 -e 'values(load("results/draws.csv")) == values(load("results/draws.json"))'; is true
run 0 infer coin.norn --data flips.json --engine mh --draws 50 --out results --format json
ls results | tr '\n' ' ' | grep -q '^diagnostics.txt draws.json forest.svg info.json posterior.svg summary.txt $' || { fail 'files of --format json'; ls results; }
run 2 infer coin.norn --data flips.json --engine mh --out results --format xls; complains '--format takes csv, nc, json'
if NORN_NETCDF=none run 0 infer coin.norn --data flips.json --engine mh --draws 50 --out results; then
  complains 'no draws.nc: NetCDF files need libnetcdf'
fi
NORN_NETCDF=none run 1 infer coin.norn --data flips.json --engine mh --draws 50 --out results --format nc
complains 'apt-get install libnetcdf19'

run 0 infer coin.norn --data flips.json --engine importance --n 100 --out results --predictive

# what was drawn is kept, whatever ends the run
cat >slow.norn <<'NORN'
model slow(y) {
  let mu ~ normal(0, 5)
  for v in y { observe v ~ normal(mu, 1) }
  { mu: mu }
}
NORN
echo '{"y": [1, 2, 3]}' >y.json
# long: runs norn in the background until some hundred draws are in a file, with its id in $pid.
long() {
  rm -rf "$1"
  "$NORN" infer slow.norn --data y.json --engine nuts --draws 1000000 --chains 1 --out "$1" >out 2>err & pid=$!
  n=0
  drawn=0
  while [ $n -lt 2000 ] && [ "$drawn" -lt 300 ]; do
    n=$((n + 1))
    sleep 0.1
    drawn=$(grep -c '^-[0-9]' "$1/draws.csv" 2>/dev/null)
    drawn=${drawn:-0}
  done
}
long killed
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
run 0 -e 'let p = load("killed/draws.csv")' -e 'len(values(p)) >= 300 and abs(mean(p.mu) - 2) < 1 and info(p).stopped and len(info(p).stats.lp) == len(values(p))'; is true
long stopped
kill -INT $pid 2>/dev/null
wait $pid
[ $? -eq 130 ] || fail 'an interrupted inference does not end with status 130'
complains 'here is what was drawn so far'; says mu
cmp -s out stopped/summary.txt || fail 'summary.txt of an interrupted run is not what was printed'
grep -q 'the run was stopped' stopped/diagnostics.txt || fail 'diagnostics of an interrupted run'
run 0 -e 'let p = load("stopped/draws.csv")' -e 'info(p).draws == len(values(p)) and info(p).stopped'; is true

# data that do not fit
cat >pairs.norn <<'NORN'
# a line before
model pairs(x, y) {
  let b ~ normal(0, 1)
  for i in 0..len(y) { observe y[i] ~ normal(b * x[i], 1) }
  b
}
NORN
echo '{"x": [1, 2], "y": [1, 2, 3]}' >short.json
run 1 infer pairs.norn --data short.json --engine importance --out short
complains 'pairs.norn:4:52: error: index 2'; complains 'pairs.norn:2:16: note: in the data x has length 2, and y 3'
[ -z "$(ls short)" ] || fail 'a run that came to nothing left files'
echo '{"x": [1, 2], "z": [1, 2]}' >names.json
run 1 infer pairs.norn --data names.json --engine importance
complains 'names.json has z, which is no parameter of pairs(x, y): is it y'; complains 'pairs.norn:2:16: error: pairs(x, y) needs y'
run 0 infer coin.norn --model coin --data flips.json --engine 'smc(particles = 100)'
printf 'flips\n1\n1\n0\n1\n' >flips.csv
run 0 infer coin.norn --data flips.csv --engine importance
echo '{"a": 3}' >more.json
run 0 infer coin.norn --data flips.json --data more.json --engine importance
run 1 infer coin.norn --engine importance; complains 'needs flips'
echo '{"flips": [true], "flop": 1}' >extra.json
run 0 infer coin.norn --data extra.json --engine importance; complains 'coin does not use flop of extra.json'
echo '{"flip": [true], "brand": 1}' >near.json
run 1 infer coin.norn --data near.json --engine importance; complains 'has flip, which is no parameter of coin(flips'
run 2 infer coin.norn --data flips.json --engine importanse; complains 'did you mean importance'
run 1 infer coin.norn --data flips.json --data flips.json --engine importance; complains 'again'
echo '[1, 2]' >array.json
run 1 infer coin.norn --data array.json --engine importance; complains 'should hold an object'
echo '{"flips": [true}' >broken.json
run 1 infer coin.norn --data broken.json --engine importance; complains 'broken.json:1:'
run 1 infer coin.norn --data none.csv --engine importance; complains 'none.csv'
run 2 infer coin.norn --data flips.json --engine importance --particles 9; complains 'no option --particles'
run 2 infer coin.norn --data flips.json --chain 2; complains 'no option --chain; did you mean --chains'
run 2 infer coin.norn --data flips.json --engine nuts --draw 9; complains 'nuts has no option --draw; did you mean --draws'
run 2 infer coin.norn --data flips.json --engine nosuch; complains 'no engine nosuch'
run 0 infer coin.norn --data flips.json; complains 'engine: '; says odds
run 2 infer coin.norn --data flips.json --particles 9; complains 'say which by --engine'
run 2 infer coin.norn --data flips.json --engine importance --model cion; complains 'has no model cion'
run 2 infer good.norn --engine importance; complains 'defines no model'
run 1 infer coin.norn --data flips.json --engine importance --out /proc/nowhere; complains "can't make"
run 1 infer coin.norn --data flips.json --engine importance --out coin.norn; complains "can't write to coin.norn"
printf 'model one() { let x ~ normal(0, 1); x }\nmodel two() = one()\n' >two.norn
run 2 infer two.norn --engine importance; complains 'several models'
run 0 infer two.norn --model one --engine importance

# ---- programs that are not trusted
run 0 --safe -e '1 + 1'; is 2
run 0 --no-jit -e '1 + 1'; is 2
run 1 --safe -e 'read_text("flips.csv")'; complains 'reading and writing files is turned off here'
run 1 --safe -e 'write_text("a", "made")'; [ -e made ] && fail '--safe wrote a file'
run 1 --safe -e 'foreign "libc.so.6" { fn abort() }'; complains 'foreign functions are turned off here'
run 1 --safe --load ./none.so -e 1; complains 'plug-ins are turned off here'
run 1 --load ./none.so --safe -e 1; complains 'plug-ins are turned off here'
echo 'fn half(x) = x / 2' >half.norn
echo 'import "half.norn" as h; print(h.half(3))' >imports.norn
run 0 --safe imports.norn; is 1.5
# what --data names is read, but not by a function of the program's
run 0 infer --safe coin.norn --data flips.json --engine importance
run 0 infer --safe coin.norn --data flips.csv --engine importance --out safe
[ -e safe/draws.csv ] || fail '--safe forbids what --out asks for'
cat coin.norn >sly_save.norn; echo 'fn save(post, path) = write_text("sly", "made")' >>sly_save.norn
run 0 infer --safe sly_save.norn --data flips.csv --engine importance --out safe
[ -e made ] && fail 'a program took the place of save'
cat coin.norn >sly.norn; echo 'fn read_json(path) = print("sly: {read_text("flips.csv")}")' >>sly.norn
run 0 infer --safe sly.norn --data flips.json --engine importance
grep -q sly: out && fail 'a program took the place of read_json'
printf 'flips\tn\n1\t2\n0\t3\n' >flips.tsv
echo 'model tabs(flips, n) { let p ~ beta(1, 1); for i in 0..len(n) { observe flips[i] ~ binomial(n[i], p) }; p }' >tabs.norn
run 0 infer tabs.norn --data flips.tsv --engine importance
echo 'read_text("flips.csv")' | "$NORN" --safe >out 2>err; complains 'turned off here'

exit $bad
