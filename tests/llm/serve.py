#!/usr/bin/env python3
"""serve.py FILE.gguf PORT: llama-server, as the package xllamacpp brings it, on this machine.  It ends with its parent, or
after ten minutes."""
import os
import sys
import time

import xllamacpp

p = xllamacpp.CommonParams()
p.model.path = sys.argv[1]
p.hostnames = ["127.0.0.1"]
p.port = int(sys.argv[2])
p.n_parallel = 4
p.n_ctx = 4 * 192
p.n_gpu_layers = 0
p.cpuparams.n_threads = 1
p.warmup = False
p.fit_params = False
p.endpoint_props = True
server = xllamacpp.Server(p)
parent = os.getppid()
for _ in range(600):
    time.sleep(1)
    if os.getppid() != parent:
        break
