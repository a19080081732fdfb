#!/bin/sh
# Draws that Norn writes, read by ArviZ: the same numbers from NetCDF and from CSV, and the same
# summary (mean, sd, R-hat, bulk and tail ESS) as Norn's own.
#
#     NORN=build/norn srcdir=. builddir=build sh tests/arviz.sh
#
# Needs Python 3.  ArviZ is taken from $PYTHON if it has it, else installed by pip into a virtual
# environment in the build folder, which stays there.  Where that can't be, the test is skipped.
NORN=$(cd "$(dirname "$NORN")" && pwd)/norn
here=$(cd "$srcdir" && pwd) || exit 99
venv=$(cd "${builddir:-.}" && pwd)/arviz-venv
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15

skip() {
  echo "arviz.sh: skipped: $*"
  exit 77
}

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || skip "there is no $python"
if ! "$python" -c 'import arviz' 2>/dev/null; then
  if ! "$venv/bin/python" -c 'import arviz' 2>/dev/null; then
    "$python" -m venv "$venv" >"$work/log" 2>&1 || skip 'no virtual environment can be made (python3-venv)'
    "$venv/bin/pip" install -q 'arviz<1' netCDF4 >"$work/log" 2>&1 || skip 'pip can not install ArviZ'
  fi
  python=$venv/bin/python
fi

cd "$work" || exit 99
cat >schools.norn <<'NORN'
model schools(y, sigma) {
  let mu ~ normal(0, 5)
  let tau ~ half_cauchy(5)
  let theta = for j in 0..len(y) { let z ~ normal(0, 1); mu + tau * z }
  let group = for j in 0..2 { let a ~ normal(0, 1); let b ~ normal(0, 1); { sum: a + b, both: [a, b] } }
  for j in 0..len(y) { observe y[j] ~ normal(theta[j], sigma[j]) }
  { mu: mu, tau: tau, theta: theta, group: group, table: [[mu, tau], [tau, mu], [1, 2]], big: mu > 5 }
}
NORN
"$NORN" -q infer schools.norn --data "$here/examples/data/eight_schools.json" --engine nuts --chains 4 \
  --seed 3 --out res >out 2>err || { cat err; exit 1; }
[ -f res/draws.nc ] || skip 'libnetcdf is not here'
cat >own.norn <<'NORN'
let post = load("res/draws.csv")
fn row(name, p) = print("{name} {mean(p)} {sd(p)} {rhat(p)} {ess_bulk(p)} {ess_tail(p)}")
row("mu", post.mu)
row("tau", post.tau)
for j in 0..8 { row("theta[{j}]", post["theta[{j}]"]) }
for j in 0..2 { row("group.sum[{j}]", post["group[{j}].sum"]) }
row("group.both[1, 0]", post["group[1].both[0]"])
row("table[1, 0]", post["table[1][0]"])
# further groups
import "schools.norn" as m
let file = read_json(args[0])
save(load("res/draws.nc"), "more.nc", more = { observed_data: file,
     prior: infer(m.schools([], []), forward(50)),
     log_likelihood: { y: for i in 0..4000 { for j in 0..8 { -0.5 * j - i / 4000 } } } })
NORN
"$NORN" -q own.norn "$here/examples/data/eight_schools.json" >own.txt 2>err || { cat err; exit 1; }
cat >compare.py <<'PYTHON'
import warnings
warnings.filterwarnings("ignore")
import arviz as az, numpy as np

nc = az.from_netcdf("res/draws.nc")
csv = az.from_cmdstan(["res/draws_%d.csv" % k for k in range(1, 5)])
bad = 0
for name in nc.posterior.data_vars:
    a, b = nc.posterior[name].values, csv.posterior[name.replace(".", ":")].values
    if a.shape != b.shape or not np.array_equal(a, b):
        print("posterior differs:", name, a.shape, b.shape); bad = 1
for name in ["lp", "acceptance_rate", "step_size", "tree_depth", "n_steps", "diverging", "energy"]:
    if not np.array_equal(nc.sample_stats[name].values, csv.sample_stats[name].values):
        print("sample_stats differ:", name); bad = 1
if nc.posterior.sizes["chain"] != 4 or nc.posterior.sizes["draw"] != 1000:
    print("sizes", nc.posterior.sizes); bad = 1
if list(nc.posterior["theta"].dims) != ["chain", "draw", "theta_dim_0"]:
    print("dims", nc.posterior["theta"].dims); bad = 1
if nc.posterior["group.sum"].dims[2] != nc.posterior["group.both"].dims[2]:
    print("fields of the records of an array have an index of their own each"); bad = 1
if str(nc.posterior["big"].dtype) != "bool" or nc.posterior.attrs["inference_library"] != "norn":
    print("kind or attributes"); bad = 1

table = az.summary(nc, round_to="none")
for line in open("own.txt"):
    name, *own = line.rsplit(" ", 5)
    theirs = table.loc[name, ["mean", "sd", "r_hat", "ess_bulk", "ess_tail"]].values
    for what, x, y in zip(["mean", "sd", "r_hat", "ess_bulk", "ess_tail"], map(float, own), theirs):
        if abs(x - y) > 1e-3 * abs(y):
            print(name, what, "Norn", x, "ArviZ", y); bad = 1

more = az.from_netcdf("more.nc")
for group in ["posterior", "sample_stats", "observed_data", "prior", "log_likelihood"]:
    if group not in more.groups():
        print("no group", group); bad = 1
if more.log_likelihood["y"].shape != (4, 1000, 8) or more.prior["mu"].shape != (1, 50):
    print("shapes of further groups"); bad = 1
az.loo(more)
az.to_netcdf(az.from_dict({"a": np.random.randn(2, 5), "b": np.random.randn(2, 5, 3, 2)}), "theirs.nc")
raise SystemExit(bad)
PYTHON
"$python" compare.py || exit 1
"$NORN" -q -e 'let p = load("theirs.nc")' -e 'len(values(p)) == 10 and info(p).chains == 2 and len(values(p)[0].b) == 3 and len(values(p)[0].b[0]) == 2' >out 2>err
[ "$(cat out)" = true ] || { echo 'a file of ArviZ is not read'; cat out err; exit 1; }
echo 'arviz.sh: ok'
