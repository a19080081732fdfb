#!/bin/sh
# The long proof of amortized inference: nets are trained at full size, and each figure is printed beside its goal.
# Some forty minutes of one core; `make check` has the small sizes.  What it printed last, beside the goals; seconds are
# those of a core beside other work, (*): idle.
#
#     coin: KL .0018 nats (mixture), .0118 (100 bars) of .012; efficiency .989, .976 of .96; 28 s for both nets and all
#       that is measured, of 40 a training
#     tree: mean, share and evidence within 1.3 standard errors (4) of enumerate, efficiency .99, .97, .88; 25 s
#     gp1d: KL .025 nats of .04 (10,000 steps .014 of .02), coverage .911, an answer .42 ms of 2; 71 s
#     gp_hyper: log score .038 +- .017 nats below that of nuts with an effective 564 (goal .05); .48 ms a data set beside
#       455: 959 times (goal 200; on an idle machine 763); 277 s of training
#     inverse_gamma: KL .0012 +- .0001 nats (narrow priors) of .005, .0028 (wide); 46 s for both
#     curves (the Bayesian prism): KL from the exact mixture .091 nats after 6,000 steps, .041 after 20,000 (405 s (*)): the
#       most, .07, after 2 to 4 points
#     C2ST against all 10,000 reference draws, corrected: two_moons .497, gaussian_linear .498 of .55; bernoulli_glm .500 of
#       .58; slcp .505.  The net alone, beside sbi's published npe: .523 (.606), .593 (.552), .661 (.678), .767 (.901)
#
#     tests/amortized/proof.sh NORN [PART...]     parts: coin tree gp1d gp1d_long gp_hyper variance curves curves_long, tasks of sbibm
#
# SBIBM: a folder of the benchmark's files, TASK/1/reference_posterior_samples.csv.bz2 ...: with all 10,000 reference
# draws; without it every tenth of them, which tests/data has.  A table of Markdown goes to standard output.
set -u
norn=$(cd "$(dirname "$1")" && pwd)/$(basename "$1") || exit 99
shift
cd "$(dirname "$0")" || exit 99
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
bad=0
[ $# -gt 0 ] || set -- coin tree gp1d gp1d_long gp_hyper variance curves curves_long two_moons gaussian_linear bernoulli_glm slcp

# A program and its arguments: its figures as rows, what it took.
run() {
  folder=$1
  file=$2
  shift 2
  start=$(date +%s)
  (cd "$folder" && "$norn" --quiet "$file" "$@") >"$work/out" 2>"$work/err" ||
    { echo "| $file $* | | failed: $(tail -n 1 "$work/err") |"; bad=1; }
  sed -n 's/^figure: \(.*\)$/| \1 |/p' "$work/out"
  grep -v '^figure: ' "$work/out" | grep -v ': ok$' >&2
  echo "| $file $*: seconds in all | | $(($(date +%s) - start)) |"
}

# All reference draws of a task as files that Norn reads.
unpack() {
  for k in 1 2 3 4 5; do
    bzip2 -dc "$SBIBM/$1/$k/reference_posterior_samples.csv.bz2" >"$work/$1_$k.csv" || return 1
  done
}

echo "| what | goal | $(uname -m), $(nproc) cores |"
echo '|---|---|---|'
for part; do
  case $part in
  coin | tree) run . $part.norn long ;;
  gp1d_long) run long gp1d.norn 10000 ;;
  curves_long) run long curves.norn 20000 ;;
  gp1d | gp_hyper | variance | curves) run long $part.norn ;;
  *) if [ -n "${SBIBM-}" ]; then unpack "$part" && run long benchmark.norn "$part" 10000 "$work"
     else run long benchmark.norn "$part" 10000; fi ;;
  esac
done
exit $bad
