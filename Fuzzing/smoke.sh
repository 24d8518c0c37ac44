#!/usr/bin/env bash
# Every target for SECONDS (30), or those that are named, two at a time: smoke.sh [SECONDS [TARGET ...]]. Fails on any
# finding. Prints one line a target: executions, and what libFuzzer last said of coverage (edges, features, inputs that
# reach them); the whole log is .run-TARGET.log.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:-30}
targets="leank_read leank_roundtrip leank_structured safetensors_header index_json json_strict
  npy zip_reader pickle pth_whole tsv mask_json tokenizer_json chat_template"
[ $# -lt 2 ] || targets=${*:2}

./run.sh build 0 || exit 1
export FUZZ_SKIP_BUILD=1 SWIFT_BACKTRACE=enable=no

# A machine that stands still for seconds looks like a timeout: whether an input is slow thrice more.
is_slow() {
  local input attempt
  for input in ".findings/$1"/timeout-*; do
    for attempt in 1 2 3; do
      FUZZ_TARGET=$1 timeout -s KILL 120 "${FUZZ_BUILD:-.build}/release/Fuzz" -timeout=5 "$input" \
        </dev/null >".smoke-$1.log" 2>&1 && continue 2
    done
    return 0
  done
  return 1
}

# Inputs that the last run executed; one that was killed has no statistics, only its progress.
executions() {
  grep -o -e '^#[0-9]*' -e '^stat::number_of_executed_units: [0-9]*' ".run-$1.log" \
    | grep -o '[0-9]*$' | sort -n | tail -1
}

# Whether the last run ended well: with 0, or because of inputs that are no slower than others (70 is libFuzzer's exit code
# for a timeout; 137 where it was killed while it reported one).
is_clean() {
  case $2 in
    0) return 0 ;;
    70 | 137) ls ".findings/$1"/timeout-* >/dev/null 2>&1 && ! is_slow "$1" ;;
    *) return 1 ;;
  esac
}

one() {
  local status count executed=0 left=$seconds end=$((SECONDS + seconds))
  rm -rf ".findings/$1"
  while [ "$left" -gt 0 ]; do
    status=0
    timeout -s KILL $((left + 150)) ./run.sh "$1" "$left" </dev/null >".smoke-$1.log" 2>&1 || status=$?
    count=$(executions "$1")
    executed=$((executed + ${count:-0}))
    if ! is_clean "$1" "$status"; then
      echo "$1: FINDING (exit $status), see Fuzzing/.run-$1.log and Fuzzing/.findings/$1"
      tail -40 ".run-$1.log"
      return 1
    fi
    rm -f ".findings/$1"/timeout-*
    # after a false timeout the run goes on
    left=$((status == 0 ? 0 : end - SECONDS))
  done
  echo "$1: $executed executions," \
    "$(grep -o 'cov: [0-9]* ft: [0-9]* corp: [^ ]*' ".run-$1.log" | tail -1)"
}

failed=0
running=()
for target in $targets; do
  one "$target" &
  running+=($!)
  if [ ${#running[@]} -eq 2 ]; then
    for job in "${running[@]}"; do wait "$job" || failed=1; done
    running=()
  fi
done
exit "$failed"
