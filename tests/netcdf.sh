#!/bin/sh
# Draws in NetCDF: what comes back is what went in; what is wrong is said.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
cd "$work" || exit 99
bad=0

fail() {
  echo "netcdf.sh: $*"
  bad=1
}

complains() {
  grep -F -q -e "$1" err || { fail "standard error lacks: $1"; cat err; }
}

cat >model.norn <<'NORN'
model slope(y) {
  let mu ~ normal(0, 1)
  let theta ~ iid(normal(0, 1), 3)
  let z = for j in 0..2 { let u ~ normal(0, 1); mu + u }
  for v in y { observe v ~ normal(mu + theta[0], 1) }
  { mu: mu, theta: theta, z: z, m: [[mu, 2], [3, 4], [5, 6]], rows: [{ a: mu, b: 3 }, { a: 2 * mu, b: 2 }],
    none: [], sign: if mu > 0 { "+" } else { "-" }, some: if mu > 0 { [1.5] } else { [1, 2] }, yes: mu > 0 }
}
model slope_prior() = slope([])
NORN
cat >there.norn <<'NORN'
import "model.norn" as m
let post = infer(m.slope([0.5, 1]), nuts(draws = 20, warmup = 50, chains = 3))
save(post, "a.nc", more = { prior: infer(m.slope_prior(), forward(10)), observed_data: { y: [0.5, 1] },
                            log_likelihood: { y: for i in 0..60 { [0.1 * i, 1] } } })
let back = load("a.nc")
print(values(back) == values(post), info(back).stats == info(post).stats)
print(values(back["z.u[1]"]) == values(post["z.u[1]"]), rhat(back.mu) == rhat(post.mu))
print(info(back).chains, info(back).step_size == info(post).step_size, info(back).inverse_metric == info(post).inverse_metric)
let weighted = infer(m.slope([0.5, 1]), importance(30))
save(weighted, "b.nc")
print(values(load("b.nc")) == values(weighted), max(abs(weights(load("b.nc")) - weights(weighted))) < 1e-15, evidence(load("b.nc")) == evidence(weighted))
NORN
if ! "$NORN" -q there.norn >out 2>err; then
  if grep -q 'libnetcdf, which is not here' err; then
    echo 'netcdf.sh: skipped: libnetcdf is not here'
    exit 77
  fi
  cat err
  exit 1
fi
printf 'true true\ntrue true\n3 true true\ntrue true true\n' >want
cmp -s out want || { fail 'what comes back is not what went in'; cat out; }
cp a.nc first.nc
"$NORN" -q there.norn >out 2>err
[ -f a.nc.part ] && fail 'a part of a file is left'

# wrong files
printf 'this is no NetCDF\n' >text.nc
"$NORN" -e 'load("text.nc")' >out 2>err && fail 'text was read as NetCDF'
complains "can't read text.nc: "
"$NORN" -e 'load("nowhere.nc")' >out 2>err && fail 'a file that is not there was read'
complains nowhere.nc
"$NORN" -e 'load("http://nowhere.nc")' >out 2>err && fail 'an address was read'
complains nowhere.nc
head -c 3000 a.nc >cut.nc
"$NORN" -e 'load("cut.nc")' >out 2>err && fail 'half a file was read'
complains cut.nc
"$NORN" -e 'model c() { let x ~ normal(0, 1); x }' -e 'save(infer(c(), forward(3)), "/nowhere/x.nc")' >out 2>err && fail 'a folder that is not there'
complains "can't write /nowhere/x.nc"
"$NORN" -e 'model c() { let x ~ normal(0, 1); x }' -e 'save(infer(c(), forward(3)), "x.nc", more = { post: 1 })' >out 2>err && fail 'an unknown group'
complains 'there is no group post'
NORN_NETCDF=none "$NORN" -e 'load("a.nc")' >out 2>err && fail 'NORN_NETCDF=none'
complains 'apt-get install libnetcdf19'
exit $bad
