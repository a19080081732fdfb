#!/bin/sh
# Servers of language models against one that misbehaves as it is told (tools/mock_llm): what is asked again, counted,
# kept, believed and said.
tools=$builddir/tests/tools
case $tools in /*) ;; *) tools=$PWD/$tools ;; esac
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
cd "$work" || exit 99
if "$NORN" --version | grep -q 'there is no libcurl'; then
  echo 'llm_http.sh: skipped: libcurl is not here'
  exit 77
fi
unset NORN_LLM_KEY OPENAI_API_KEY http_proxy https_proxy all_proxy ALL_PROXY
XDG_CACHE_HOME=$work/home
export XDG_CACHE_HOME
mkdir home
bad=0

fail() {
  echo "llm_http.sh: $*"
  cat out
  bad=1
}

"$tools/mock_llm" "$work/port" &
mock=$!
try=0
while [ ! -s port ] && [ $try -lt 3000 ]; do
  try=$((try + 1))
  sleep .02
done
port=$(cat port) || exit 99
base=http://127.0.0.1:$port

# ask KIND HOW OPTIONS ARGUMENTS: what it says is in out
ask() {
  url=$base/$1/v1#$2
  options=$3
  shift 3
  "$tools/ask_llm" "$url" "$options" "$@" >out 2>&1
}

says() {
  grep -F -q -e "$1" out || fail "lacks: $1"
}

not() {
  grep -F -q -e "$1" out && fail "should not have: $1"
}

# ---- normal: texts with scores, the same by the same seed; the ledger counts once; the cache ----
ask vllm normal '{end: "<end>"}' draw ab b 8 1 1 6 || fail 'normal'
says 'ledger: texts 6, prompt 42,'
not unscored
cp out first
ask vllm normal '{end: "<end>"}' draw ab b 8 1 1 6
says 'ledger: texts 6, prompt 0, answer 0, cached 6'
grep -v ledger first >want
grep -v ledger out | cmp -s want - || fail 'the cache gives something else'
ask vllm normal '{end: "<end>", cache: false, n: 4}' draw ab b 8 1 1 6 || fail 'n'
says 'ledger: texts 6, prompt 14,'
ask vllm once '{end: "<end>", cache: false, n: 4}' draw ab b 8 1 1 6 || fail 'a server that knows no n'
says 'ledger: texts 6, prompt 42,'
ask vllm normal '{cache: false}' draw ab b 8 .5 1 3 || fail 'temperature'
says unscored
ask vllm normal '{cache: false, end: "<end>"}' chat hello b 8 1 1 3 || fail chat
not unscored
# p(b) (p(a) + p(ab) + p(end)) = 1/4 (1/2 + 1/8 + 1/8)
ask vllm normal '{end: "<end>"}' score x a 8 1 b || fail 'score'
says 'b | stopped -1.67397'
ask vllm normal '{end: "<end>"}' score a b 8 1 b || fail 'a stop inside'
says 'b | cut -inf'
ask vllm normal '{end: "<end>"}' score xa a 8 1 b && fail 'a token across the end of the context was scored'
says 'lies across the end of the context'
for stop in '' b; do
  ask vllm normal '{}' score x "$stop" 8 1 a && fail 'an end without a name was scored'
  says 'lack a name for the end'
done
ask openai normal '{cache: false}' draw ab b 8 1 1 2 || fail 'openai'

# ---- what passes is asked again ----
for how in busy busy-plain busy-date broken cut short reset slow; do
  ask vllm $how '{end: "<end>", timeout: 5}' draw ab b 8 1 1 1 || fail "$how"
  grep -v ledger out >again
  head -n 1 want | cmp -s - again || fail "$how: another text"
  says 'ledger: texts 1, prompt 7,'
done

# ---- what does not, is said ----
refused() {   # name, options, what it says
  ask vllm "$1" "$2" draw ab b 8 1 1 1 && fail "$1 was believed"
  says "$3"
  says "$base/vllm/v1"
}
refused always-broken '{retries: 1}' 'status 500 (server error), 2 times: oh'
refused busy-long '{}' 'wants to be asked again in 4000 s'
refused poor '{}' 'no credit left'
refused html '{}' 'is text/html, not JSON: <html>Please log in</html>'
refused missing '{}' 'should be a model that the server has'
refused moved '{}' 'redirections are not followed'
refused utf8 '{retries: 0}' 'cut short'
refused nan '{retries: 0}' 'not JSON'
refused positive '{}' 'which is above 0'
refused counts '{}' 'it counts 9999'
refused key '{}' 'set the environment variable NORN_LLM_KEY'
ask vllm nologp '{cache: false}' draw ab b 8 1 1 1 || fail 'no log-probabilities'
says unscored
"$tools/ask_llm" http://127.0.0.1:9/v1#m '{retries: 0}' draw a b 8 1 1 1 >out && fail 'nobody answered'
says 'no answer'
says 'is the server running'

# ---- keys ----
NORN_LLM_KEY=sk-mock-1234 ask vllm key '{record: "rec"}' draw ab b 8 1 1 1 || fail 'with a key'
NORN_LLM_KEY=sk-wrong-77 ask vllm key '{cache: false}' draw ab b 8 1 1 1 && fail 'with a wrong key'
says 'the key in the environment variable NORN_LLM_KEY was not accepted'
ask vllm key '{key_env: "MY_KEY", cache: false}' draw ab b 8 1 1 1 && fail 'without key'
says 'MY_KEY, which key_env names, is not set'
MY_KEY=sk-mock-1234 ask vllm key '{key_env: "MY_KEY", cache: false}' draw ab b 8 1 1 1 || fail key_env
OPENAI_API_KEY=sk-mock-1234 ask vllm key '{cache: false}' draw ab b 8 1 1 1 || fail OPENAI_API_KEY
"$tools/ask_llm" http://me:sk-mock-1234@127.0.0.1:$port/v1#m '0' draw a b 8 1 1 1 >out && fail 'a password in a URI'
says 'a key belongs in the environment'
grep -r -q 'sk-mock\|sk-wrong' out rec home && fail 'a key was written'

# ---- what was paid for stays ----
ask vllm refuses-5 '{in_flight: 2, end: "<end>"}' draw ab b 8 1 1 20 && fail 'a bad request'
says 'not this one'
paid=$(find home -type f | wc -l)
ask vllm refuses-5 '{in_flight: 2, end: "<end>"}' draw ab b 8 1 1 20 || fail 'the rest'
cached=$(sed -n 's/.*cached //p' out)
[ "$cached" -ge 5 ] && [ "$cached" -le 8 ] || fail "$cached were kept"
[ $(($(find home -type f | wc -l) - paid)) = $((20 - cached)) ] || fail 'kept once each'
# two processes at once, one folder
for who in 1 2 3; do "$tools/ask_llm" "$base/vllm/v1#both" '{cache: "both"}' draw ab b 8 1 1 40 >who.$who & pids="$pids $!"; done
wait $pids
for who in 1 2 3; do grep -v ledger who.$who >texts.$who; done
cmp -s texts.1 texts.2 && cmp -s texts.2 texts.3 || fail 'processes at once'
[ "$(find both -type f | wc -l)" = 40 ] || fail 'one folder'
for f in both/*; do printf x >>"$f"; break; done
ask vllm both '{cache: "both"}' draw ab b 8 1 1 40 || fail 'a damaged entry'
says 'it is damaged'
says 'cached 39'

# ---- scores under another distribution than the model's own are none ----
ask vllm normal '{end: "<end>"}' score x a 8 .5 b && fail 'a score under a temperature'
says "can't score a text under temperature = 0.5"
"$NORN" -q -e "print(logpdf(llm(\"$base/vllm/v1#normal\", { end: \"<end>\" }).context(\"x\").text(stop = \"a\", top_p = 0.9), \"b\"))" >out 2>&1 &&
  fail 'a score under top_p'
says "can't score a text under top_p = 0.9"

# ---- llama-cpp-python, as the real one is ----
ask me normal '{cache: false, n: 4}' draw ab b 8 1 1 6 || fail 'python: draws'
sed 's/ |.*//; /^ledger/d' want >texts
sed 's/ |.*//; /^ledger/d' out | cmp -s - texts || fail 'python: other texts'
says 'ledger: texts 6, prompt 42,'
ask me normal '{}' score xa '' 1 1 ab || fail 'python: a text that max ends'
says 'ab | cut'
ask me normal '{}' score x b 8 1 a && fail 'python: an end without a name'
says 'has no name for the end of a text'
ask me nobos '{}' score x '' 1 1 a && fail 'python: a score of the wrong token'
says 'it has no begin token'
ask me normal '{cache: false}' draw '' '' 3 1 1 8 || fail 'python: no context'
[ "$(grep -c 'cut unscored' out)" -gt 0 ] || fail 'python: none was cut'
grep -q 'stopped -\|cut -' out && fail 'python: the score of a wrong place'
ask me normal '{cache: false}' draw x '' 3 1 1 8 || fail 'python: the same with a context'
sed 's/ |.*//; /^ledger/d' out >texts
ask me normal '{cache: false}' draw '' '' 3 1 1 8
sed 's/ |.*//; /^ledger/d' out | cmp -s - texts || fail 'python: texts of no context are shorter'
ask me window '{cache: false}' draw x '' 30 1 1 8 && fail 'python: cut where the window was full'
says 'was cut after 3 tokens, though 30 were asked for'
ask me normal '{cache: false}' chat hello b 8 1 1 6 || fail 'python: chat'
grep -q 'stopped -' out || fail 'python: a chat without scores'

# ---- llama-server: tokens ----
# p(a) (p(b) + p(end)); "ab" is one token; the end; p(b) (p(a) + p(ab) + p(end))
ask llama normal '{}' score x b 8 1 a || fail 'llama: score'
says 'a | stopped -1.67397'
ask llama normal '{}' score x '' 8 1 ab || fail 'llama: the end'
says 'ab | stopped -4.15888'
ask llama normal '{}' score xa a 8 1 b || fail 'llama: a token across the end of the context'
says 'b | stopped -1.67397'
# squares: .25, .0625, .015625 twice, of the sum .34375
ask llama normal '{}' score x b 8 .5 a || fail 'llama: temperature'
says 'a | stopped -1.80005'
ask llama normal '{}' draw ab b 8 1 1 6 || fail 'llama: draws'
not unscored
grep -v ledger out | cmp -s want - || fail 'llama: other texts'
ask llama normal '{}' draw ab b 8 1 1 6 || fail 'llama: draws from the cache'
says 'prompt 0, answer 0, cached 6'
ask llama normal '{}' chat hello b 8 1 1 6 || fail 'llama: chat'
ask llama normal '{tokens: true}' next ab || fail 'llama: tokens'
printf '"a" -0.69315\n"b" -1.38629\n' >top
sed -n 2,3p out | cmp -s top - || fail 'llama: the likeliest tokens'
ask vllm normal '{tokens: true}' next ab && fail 'tokens of a server that has none'
says 'no llama-server'

# ---- programs ----
cat >program.norn <<NORN
let lm = llm("$base/vllm/v1#normal", { end: "<end>", n: 4 })
let ctx = lm.context("x")
print(logpdf(ctx.text(stop = "a", max = 8), "b"))
model draws() {
  let s ~ ctx.text(stop = "b", max = 8)
  s
}
let post = infer(draws(), importance(40))
print(lm.ledger.texts >= 40)
let exact = llm("$base/llama/v1#normal", { tokens: true })
print("sixteenths", round(16 * prob(infer(exact.context("x").text(stop = "b", max = 2), enumerate()), s -> s == "a")))
NORN
"$NORN" -q --seed 5 program.norn >out 2>&1 || fail 'a program'
says -1.67397
says true
# a b, ab and a end: 1/8 + 1/8 + 1/16
says 'sixteenths 5'
"$NORN" -q -e "let ctx = llm(\"$base/openai/v1#normal\").context(\"x\")" -e 'logpdf(ctx.text(stop = "b"), "a")' >out 2>&1 && fail 'a score of a server that has none'
says scores
"$NORN" --safe -e "llm(\"$base/vllm/v1#normal\")" >out 2>&1 && fail '--safe'
says "nor reach servers"

# ---- record and replay ----
ask vllm normal '{record: "tape", end: "<end>"}' draw ab b 8 1 1 6 || fail record
grep -v ledger out | cmp -s want - || fail 'record: other texts'
rm port
wait $mock
ask vllm normal '{replay: "tape", end: "<end>"}' draw ab b 8 1 1 6 || fail replay
grep -v ledger out | cmp -s want - || fail 'replay: other texts'
ask vllm normal '{replay: "tape", end: "<end>"}' draw ab b 8 1 2 6 && fail 'what was not recorded'
says 'has no answer to'

# ---- how many requests there were: nothing was asked that need not be ----
cp port.counts out
for pair in 'busy 3' 'busy-plain 3' 'busy-date 2' 'broken 3' 'cut 3' 'short 3' 'reset 3' 'slow 2' 'always-broken 2' 'html 1' 'poor 1' \
            'busy-long 1' 'missing 1' 'moved 1' 'positive 1' 'refuses-5 21' 'once 6'; do
  grep -q "^$pair\$" port.counts || fail "counts: not $pair"
done
exit $bad
