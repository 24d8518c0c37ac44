#!/usr/bin/env bash
# Builds and runs one fuzz target: run.sh TARGET SECONDS [libFuzzer options]
# The corpus grows in .corpus/TARGET, findings land in .findings/TARGET; the last lines of the log are shown.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=${1:?target} seconds=${2:?seconds}
shift 2

# The backtracer would keep pipes open after a trap, and the step would hang.
export SWIFT_BACKTRACE=enable=no
swift build -c release --product "$target" -Xswiftc -sanitize=fuzzer,address \
  -Xswiftc -use-ld=lld -Xswiftc -parse-as-library >".build-$target.log" 2>&1 \
  || { tail -20 ".build-$target.log" >&2; exit 1; }

case $target in
  leank_*) dictionary=leank ;;
  npy | tsv | pickle) dictionary=$target ;;
  zip_reader) dictionary=zip ;;
  pth_whole) dictionary=pickle ;;
  *) dictionary=json ;;
esac
length=65536
[ "$target" != pickle ] || length=2048
mkdir -p ".corpus/$target" ".findings/$target"
[ -n "$(ls ".corpus/$target")" ] || python3 seeds.py "$target" ".corpus/$target"
status=0
timeout -s KILL $((seconds + 120)) ".build/release/$target" -max_total_time="$seconds" \
  -timeout=5 -rss_limit_mb=512 -malloc_limit_mb=128 -max_len=$length -print_final_stats=1 \
  -dict="Dictionaries/$dictionary.dict" -artifact_prefix=".findings/$target/" "$@" \
  ".corpus/$target" >".run-$target.log" 2>&1 || status=$?
tail -12 ".run-$target.log"
exit "$status"
