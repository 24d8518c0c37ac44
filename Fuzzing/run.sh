#!/usr/bin/env bash
# Builds the targets and runs one: run.sh TARGET SECONDS [libFuzzer options]
# The corpus grows in .corpus/TARGET, findings land in .findings/TARGET, the log in .run-TARGET.log.
# FUZZ_BUILD is the folder of the build, FUZZ_SKIP_BUILD=1 takes what is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=${1:?target} seconds=${2:?seconds}
shift 2

# The backtracer would keep pipes open after a trap, and the step would hang.
export SWIFT_BACKTRACE=enable=no FUZZ_TARGET=$target
build=${FUZZ_BUILD:-.build}
if [ -z "${FUZZ_SKIP_BUILD:-}" ]; then
  swift build --scratch-path "$build" -c release --product Fuzz -Xswiftc -sanitize=fuzzer,address \
    -Xswiftc -use-ld=lld -Xswiftc -parse-as-library >.build.log 2>&1 </dev/null \
    || { tail -20 .build.log >&2; exit 1; }
fi
[ "$target" != build ] || exit 0

case $target in
  leank_*) dictionary=leank ;;
  npy | tsv | pickle) dictionary=$target ;;
  zip_reader) dictionary=zip ;;
  tokenizer_json) dictionary=tokenizer ;;
  chat_template) dictionary=chat ;;
  pth_whole) dictionary=pickle ;;
  *) dictionary=json ;;
esac
case $target in
  pickle | leank_roundtrip) length=2048 ;;
  leank_read | leank_structured | pth_whole) length=65536 ;;
  *) length=8192 ;;
esac
corpora=".corpus/$target"
mkdir -p ".corpus/$target" ".findings/$target"
[ -n "$(ls ".corpus/$target")" ] || python3 seeds.py "$target" ".corpus/$target"
[ ! -d "Seeds/$target" ] || corpora+=" Seeds/$target"
status=0
# shellcheck disable=SC2086
timeout -s KILL $((seconds + 120)) "$build/release/Fuzz" -max_total_time="$seconds" \
  -timeout=5 -rss_limit_mb=512 -malloc_limit_mb=128 -max_len=$length -print_final_stats=1 \
  -dict="Dictionaries/$dictionary.dict" -artifact_prefix=".findings/$target/" "$@" \
  $corpora >".run-$target.log" 2>&1 </dev/null || status=$?
tail -12 ".run-$target.log"
exit "$status"
