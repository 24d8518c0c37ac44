#!/usr/bin/env bash
# The decode kernel's tests on a GPU, then a part of them under compute-sanitizer where that is there. By hand, and after each
# change of the kernel: cuda.sh [PYTHON]. Python needs what requirements.txt names; with pytest-xdist it takes a minute.
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${1:-python3}
"$python" -c 'import torch; assert torch.cuda.is_available(), "there is no GPU"'
workers=()
"$python" -c 'import xdist' 2>/dev/null && workers=(-n 12)
run=(-m pytest -q -p no:cacheprovider "$tests/test_decode_kernel.py")
"$python" "${run[@]}" "${workers[@]}"
command -v compute-sanitizer >/dev/null || { echo "skipped: there is no compute-sanitizer"; exit 0; }
# Every tensor in memory of its own, so that a step outside one is seen; graphs cannot be recorded so.
PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool memcheck --error-exitcode 9 --target-processes all \
  "$python" "${run[@]}" -k "not models and not graph"
