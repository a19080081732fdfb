#!/bin/sh
# The numbers that the examples print against exact values: by quadrature (eight_schools, birth_death, amortized),
# conjugacy (coal_disasters, model_checking), the forward-backward algorithm (hmm), arithmetic (rsa),
# Simpson's rule for the elliptic integral (foreign_function), rational arithmetic (rare_event_big),
# elimination and quadrature (gp_regression), Bayes' rule (mixture), sums over a finer grid and Newton's
# iteration (bioassay), sums over all texts by dynamic programming (llm_*, on n-grams).  Tolerances are five standard errors of the draws that the examples take.
cd "$srcdir/examples" || exit 99
bad=0
out=

run() {
  out=$("$NORN" --quiet ${2+--seed "$2"} "$1.norn" ${3-} 2>/dev/null) || { echo "$1.norn failed"; bad=1; }
  file=$1
}

# near NAME FIELD EXACT TOLERANCE: the FIELD-th word of the line that starts with NAME
near() {
  echo "$out" | awk -v name="$1" -v field="$2" -v exact="$3" -v tol="$4" '
    { line = $0; sub(/^ */, "", line) }
    index(line, name) == 1 { found = 1; x = $field; sub(/[,;:]$/, "", x); d = x - exact
                             if (d < 0) d = -d
                             if (!(d <= tol)) { print name ": " x ", not " exact " +- " tol; exit 1 } exit 0 }
    END { if (!found) { print "no line " name; exit 1 } }' >"$log" && return
  echo "$file.norn: $(cat "$log")"
  bad=1
}

work=$(mktemp -d) || exit 99
log=$work/log
trap 'rm -rf "$work"' 0
# For sanitizers, whose runs take several times as long, one seed goes all the ways.
case ${EMBED_CFLAGS-} in *-fsanitize*) seeds=1 ;; *) seeds='1 2' ;; esac
for seed in $seeds; do
  run eight_schools $seed
  near 'posterior by' 10 -31.3113 .021
  near mu 2 4.3968 .080; near mu 3 3.3177 .060
  near tau 2 3.5977 .080; near 'P(tau > 5)' 5 .2493 .011
  for theta in 0:6.2119 1:4.9402 2:3.9270 3:4.7571 4:3.6155 5:4.0426 6:6.2967 7:4.8543; do
    near "theta[${theta%:*}]" 2 "${theta#*:}" .13
  done
  run coal_disasters $seed
  near 'posterior by' 10 -176.7556 .085
  near year 2 1891 1; near early 2 3.0928 .026; near late 2 .9377 .011
  run birth_death $seed
  near births 2 .1449 .02; near births 4 .0270 .025; near 'log evidence' 3 -307.274 1
  run gp_regression $seed
  near 'f(2.0)' 3 .8832 .0006; near 'f(2.0)' 5 .1869 .0006
  near 'f(2.0)' 7 .8832 .02; near 'f(2.0)' 9 .1869 .016
  near 'f(3.8)' 3 -.5718 .0006; near 'f(3.8)' 7 -.5718 .02
  near 'f(6.5)' 3 -.3489 .0006; near 'f(6.5)' 5 .5833 .0006
  near 'f(6.5)' 7 -.3489 .052; near 'f(6.5)' 9 .5833 .038
  near 'log evidence' 3 -5.96586 .0001; near 'log evidence' 5 -5.966 .085
  near 'rho =' 3 1.3471 .0006; near 'rho =' 6 1.347 .025
  near 'rho unknown' 5 .8238 .0006; near 'rho unknown' 8 .8238 .005
  run llm_constrained $seed ngram:data/sentences.txt
  near '"t"' 2 .310 .0006; near 'P(a sentence' 7 .1455 .025; near 'P(it is about' 11 .332 .11
  near 'P(nothing' 10 .697 .09
  run llm_json $seed                        # against 200,000 draws
  near 'P(a text' 10 .0101 .005; near 'P(it says x' 7 .36 .06; near 'at x' 5 19.2 1.8
  run llm_two_models $seed ngram:data/sentences.txt
  near 'token by token' 5 .480 .15; near 'token by token' 7 .460 .15; near 'token by token' 13 -5.2225 .4
  run llm_as_prior $seed ngram:data/sums.txt
  near 'the total' 4 45.483 .4; near 'the total' 6 1.407 .3; near 'P(two' 4 .9887 .03; near 'P(the first' 6 .6505 .15
  run mixture $seed
  echo "$out" | grep -q 'below 0.03: true' || { echo "mixture.norn: labels are not Bayes' rule"; bad=1; }
  run reward_hacking $seed                  # against 3,000 tasks a line
  near '2 ' 2 .26 .16; near '2 ' 4 .20 .15; near '32 ' 2 .93 .1; near '32 ' 4 .02 .06; near '500 draws' 7 .99 .05
  run llm_particles_math $seed              # against 200 sums; 20 here
  near 'answer' 2 272 0; near 'particle filter' 4 .92 .3; near 'one sample' 3 .5 .45
  run amortized $seed                       # quadrature over both unknowns
  near anna: 3 2.5682 .04; near anna: 5 .2606 .03; near boris: 3 5.2196 .11; near boris: 5 .7261 .085
  near clara: 3 1.0811 .035; near clara: 5 .1557 .03; near '80 %' 5 80 21
  echo "$out" | grep -q 'unlike all: nuts answers' || { echo "amortized.norn: the net answers for a patient unlike all"; bad=1; }
  run bioassay $seed
  near grid 3 .9502 .0006; near grid 5 .8635 .0006; near grid 7 9.983 .006; near grid 9 4.287 .006
  near grid 12 -4.0400 .0001
  near mode 3 .7392 .0001; near mode 5 7.6602 .0001
  near laplace: 3 .7392 .069; near laplace: 5 .8612 .049; near laplace: 7 7.6602 .33
  near laplace: 9 4.1916 .24; near laplace: 12 -4.0444 .0001
  near 'laplace, weighted' 4 .9502 .09; near 'laplace, weighted' 13 -4.0400 .05
  near pathfinder 3 .9502 .09; near pathfinder 7 9.983 .45; near pathfinder 12 -4.0400 .05
  near 'advi, weighted' 4 .9502 .09; near 'advi, weighted' 13 -4.0400 .05
done
run hmm
near 'log evidence' 3 -100.8838 .0001; near 'log evidence' 6 -100.88 .4
near 'the last roll' 8 .0684 .0001
run rsa
near '"some"' 3 .4444 .0001; near 'alpha 4' 7 .00606 .00001
# Leaving out in closed form: a gamma prior of a rate, alone and summed over the year of change.
run model_checking
near none 4 -205.147 0.2; near none 5 8.664 0.1; near one 4 -172.258 0.2
# Digits, from rational arithmetic elsewhere and the tables of Q(40).
run rare_event_big
for line in 'all 120 fail, exactly:    1.32922799578492479103987557042308544e-88' \
            'all 120 fail, by hand:    1.32922799578492479103987557042308544e-88' \
            '... on a usual day:       7.5231638452626588439e-397' \
            'it was a usual day, exactly: 5.6592334443242447277e-309' \
            '1 - P(one works), exactly: 1.329227995784924791e-88' \
            'P(Z > 40), by erfc:       3.65589354091502970374898580269e-350' \
            'P(Z > 40), by a fraction: 3.65589354091502970374898580269e-350'; do
  printf '%s\n' "$out" | grep -qxF "$line" || { echo "rare_event_big.norn: no line $line"; bad=1; }
done
cp foreign_function.norn "$work" && mkdir "$work/embed" && cp embed/pendulum.c "$work/embed" || exit 99
if (cd "$work/embed" && ${CC:-cc} -O1 -shared -fPIC -o pendulum.so pendulum.c -lm) >"$log" 2>&1; then
  cd "$work" || exit 99
  for seed in $seeds; do
    run foreign_function $seed
    near slowness 2 .319104 .00008; near slowness 4 .319104 .00001
    near 'P(gravity' 5 .7249 .09; near 'P(gravity' 7 .7249 .0001
    near 'a swing of' 8 80.2 .05; near gravity 2 9.8205 .01
  done
else
  echo 'foreign_function.norn is not run: no shared object could be made'
fi
exit $bad
