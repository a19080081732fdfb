#!/bin/sh
# Files of nets against the package safetensors of Python: it reads what Norn writes, to the bit, and Norn refuses
# nothing that it writes.  The package is installed by pip in a folder of the build, so this is no part of
# `make check`:
#
#     cd build; srcdir=.. sh ../tests/safetensors.sh
work=${builddir:-.}/tests/safetensors
mkdir -p "$work" || exit 99
if [ ! -d "$work/venv" ]; then
  python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install safetensors numpy || exit 77
fi
"$work/venv/bin/python" - "$work" "$srcdir" <<'PY' || exit 1
import sys, numpy as np
from safetensors.numpy import save_file
save_file({"b": np.array([1.5, -2], dtype=np.float64), "a": np.arange(6, dtype=np.float32).reshape(2, 3),
           "u": np.array([3], dtype=np.uint8), "h": np.array([0.5], dtype=np.float16)},
          sys.argv[1] + "/python.safetensors", metadata={"key": "a \"value\"\n\u00e9"})
PY
NORN_TENSORS="$work" "${builddir:-.}/tests/unit/test_safetensors" || exit 1
"$work/venv/bin/python" - "$work" <<'PY' || exit 1
import sys, numpy as np
from safetensors import safe_open
with safe_open(sys.argv[1] + "/norn.safetensors", "np") as f:
    assert f.metadata() == {"z": "1\n2", "norn": "net"}, f.metadata()
    assert sorted(f.keys()) == ["b", "empty", "odd", 'w "x"'], f.keys()
    w = f.get_tensor('w "x"')
    assert w.dtype == np.float32 and w.shape == (5, 1)
    want = np.array([1.25, -0.0, 3e-45, 1e38, -7], dtype=np.float32)
    assert w.tobytes() == want.tobytes()
    assert f.get_tensor("b").tobytes() == np.array([0.1, 1e-310]).tobytes()
    assert list(f.get_tensor("odd")) == [1, 2, 3] and f.get_tensor("empty").shape == (0,)
print("safetensors of Python and Norn read one another's files")
PY
