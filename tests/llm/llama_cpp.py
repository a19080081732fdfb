#!/usr/bin/env python3
"""llama.cpp, as a package of Python brings it (xllamacpp, or llama-cpp-python), by its C interface.

    llama_cpp.py logits FILE.gguf T ...            log-probabilities behind each prefix of the tokens T, a line each
    llama_cpp.py speed FILE.gguf PREFIX PARTICLES STEPS THREADS
                                                   tokens/s of CPU time: the prefix, one context, all at once

Keys and values are floats and flash attention is off, as in Norn.  The structures of parameters change from version to
version; only fields are set that are found by their defaults.
"""
import ctypes as C
import glob
import os
import sys
import time
from importlib import util

import numpy as np


def library():
    for package in ("llama_cpp", "xllamacpp"):
        spec = util.find_spec(package)
        if spec and spec.submodule_search_locations:
            folder = spec.submodule_search_locations[0]
            for path in glob.glob(folder + "/xllamacpp*.so") + glob.glob(folder + "/lib/libllama.so"):
                return C.CDLL(path)
    sys.exit("neither xllamacpp nor llama_cpp is installed")


class Params(C.Structure):          # more than any version has; passed in memory, so the rest is not looked at
    _fields_ = [("w", C.c_uint32 * 256)]


class Batch(C.Structure):
    _fields_ = [
        ("n", C.c_int32), ("token", C.POINTER(C.c_int32)), ("embd", C.c_void_p), ("pos", C.POINTER(C.c_int32)),
        ("n_seq", C.POINTER(C.c_int32)), ("seq", C.POINTER(C.POINTER(C.c_int32))), ("logits", C.POINTER(C.c_int8)),
    ]


L = library()
P = C.c_void_p
LOG = C.CFUNCTYPE(None, C.c_int, C.c_char_p, P)
quiet = LOG(lambda level, text, user: sys.stderr.buffer.write(text) if level >= 4 and level != 5 else None)
for name, result, args in (
    ("llama_log_set", None, [LOG, P]), ("llama_backend_init", None, []),
    ("llama_model_default_params", Params, []), ("llama_context_default_params", Params, []),
    ("llama_model_load_from_file", P, [C.c_char_p, Params]), ("llama_init_from_model", P, [P, Params]),
    ("llama_batch_init", Batch, [C.c_int32] * 3), ("llama_decode", C.c_int32, [P, Batch]),
    ("llama_get_logits_ith", C.POINTER(C.c_float), [P, C.c_int32]), ("llama_get_memory", P, [P]),
    ("llama_memory_seq_cp", None, [P, C.c_int32, C.c_int32, C.c_int32, C.c_int32]),
    ("llama_memory_seq_rm", C.c_bool, [P, C.c_int32, C.c_int32, C.c_int32]),
    ("llama_memory_clear", None, [P, C.c_bool]),
    ("llama_model_get_vocab", P, [P]), ("llama_vocab_n_tokens", C.c_int32, [P]),
):
    f = getattr(L, name)
    f.restype, f.argtypes = result, args


class Model:
    def __init__(self, path, ctx, batch, seqs, threads):
        L.llama_log_set(quiet, None)
        L.llama_backend_init()
        self.model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
        p = L.llama_context_default_params()
        w = list(p.w[:40])
        p.w[0], p.w[1], p.w[2], p.w[3] = ctx, batch, batch, seqs
        at = next(i for i in range(4, 12) if w[i] == w[i + 1] == 4)          # n_threads, n_threads_batch
        p.w[at] = p.w[at + 1] = threads
        flash = next(i for i in range(at, 20) if w[i : i + 4] == [2**32 - 1] * 4) + 3
        p.w[flash] = 0
        kinds = next(i for i in range(flash + 8, 38) if w[i : i + 2] == [1, 1])       # F16
        p.w[kinds] = p.w[kinds + 1] = 0
        # embeddings no, offload_kqv, no_perf, op_offload, swa_full yes, kv_unified no: yes, or what is shared is copied
        flags = bytes(p).find(bytes([0, 1, 1, 1, 1, 0]), 4 * kinds)
        C.memset(C.addressof(p) + flags + 5, 1, 1)
        self.ctx = L.llama_init_from_model(self.model, p)
        self.memory = L.llama_get_memory(self.ctx)
        self.vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(self.model))
        self.batch = L.llama_batch_init(batch, 0, seqs)

    def decode(self, rows):
        """rows: (token, position, sequence, wants logits)"""
        b = self.batch
        b.n = len(rows)
        for i, (token, pos, seq, wants) in enumerate(rows):
            b.token[i], b.pos[i], b.n_seq[i], b.logits[i] = token, pos, 1, wants
            b.seq[i][0] = seq
        if L.llama_decode(self.ctx, b):
            sys.exit("llama_decode failed")

    def logits(self, i):
        return np.ctypeslib.as_array(L.llama_get_logits_ith(self.ctx, i), (self.vocab,)).astype(float)


def logits(path, tokens):
    m = Model(path, max(256, len(tokens)), 512, 1, 2)
    for at, t in enumerate(tokens):
        m.decode([(t, at, 0, True)])
        y = m.logits(0)
        top = y.max()
        yield y - top - np.log(np.exp(y - top).sum())


def speed(path, prefix, particles, steps, threads):
    m = Model(path, prefix + (particles + 1) * (steps + 1), 512, particles + 1, threads)
    token = lambda i: i * 7919 % m.vocab

    def read():
        L.llama_memory_clear(m.memory, True)
        for at in range(0, prefix, 256):
            m.decode([(token(i), i, 0, i == prefix - 1) for i in range(at, min(prefix, at + 256))])
        m.logits(-1)

    read()
    start = time.process_time()
    read()
    first = prefix / (time.process_time() - start)
    start = time.process_time()
    for i in range(steps):
        m.decode([(token(i), prefix + i, 0, True)])
        m.logits(-1)
    one = steps / (time.process_time() - start)
    L.llama_memory_seq_rm(m.memory, 0, prefix, -1)
    for k in range(1, particles):
        L.llama_memory_seq_cp(m.memory, 0, k, 0, prefix)
    start = time.process_time()
    for i in range(steps):
        m.decode([(token(i * particles + k), prefix + i, k, True) for k in range(particles)])
        m.logits(-1)
    print(f"llama.cpp,{first:.2f},{one:.2f},{steps * particles / (time.process_time() - start):.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "logits":
        for y in logits(sys.argv[2], [int(t) for t in sys.argv[3:]]):
            print(*(f"{x:.7f}" for x in y))
    else:
        speed(sys.argv[2], *(int(x) for x in sys.argv[3:7]))
