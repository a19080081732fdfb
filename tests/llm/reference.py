#!/usr/bin/env python3
"""Log-probabilities of GGUF models by a forward pass in NumPy, in doubles, one token at a time.

    reference.py FOLDER             what tests/llm/logits.txt is made of: of each model that test_decoder wrote into
                                    FOLDER, log-probabilities behind 7 and 40 tokens
    reference.py FILE.gguf T ...    behind each prefix of the tokens T

It shares nothing with the decoder: the package gguf (of llama.cpp's authors) reads the file and turns formats into
floats.  Formulas: the architectures llama, qwen2 and gpt2 as llama.cpp computes them (src/models of ggml-org/llama.cpp).
"""
import glob
import os
import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


class Model:
    def __init__(self, path):
        r = GGUFReader(path)
        self.meta = {k: f.contents() for k, f in r.fields.items()}
        self.arch = self.meta["general.architecture"]
        self.t = {t.name: dequantize(t.data, t.tensor_type).astype(np.float64) for t in r.tensors}
        self.layers = self.get("block_count")
        self.heads = self.get("attention.head_count")
        self.kv_heads = self.get("attention.head_count_kv", self.heads)
        self.d = self.get("attention.key_length", self.get("embedding_length") // self.heads)

    def get(self, key, default=None):
        return self.meta.get(self.arch + "." + key, default)

    def norm(self, x, name):
        w = self.t[name + ".weight"]
        if self.arch == "gpt2":
            c = x - x.mean()
            return c / np.sqrt((c * c).mean() + self.get("attention.layer_norm_epsilon")) * w + self.t[name + ".bias"]
        return x / np.sqrt((x * x).mean() + self.get("attention.layer_norm_rms_epsilon")) * w

    def linear(self, x, name):
        y = self.t[name + ".weight"] @ x
        return y + self.t[name + ".bias"] if name + ".bias" in self.t else y

    def turn(self, x, pos):
        """Positions: pairs (2 i, 2 i + 1) in llama, halves in qwen2."""
        n = self.get("rope.dimension_count", self.d)
        theta = pos / self.get("rope.freq_base", 10000.0) ** (np.arange(0, n, 2) / n)
        if self.get("rope.scaling.type") == "linear":
            theta = theta / self.get("rope.scaling.factor")
        if "rope_freqs.weight" in self.t:
            theta = theta / self.t["rope_freqs.weight"]
        c, s = np.cos(theta), np.sin(theta)
        y = x.copy()
        if self.arch == "llama":
            a, b = x[:, 0:n:2], x[:, 1:n:2]
            y[:, 0:n:2], y[:, 1:n:2] = a * c - b * s, a * s + b * c
        else:
            a, b = x[:, : n // 2], x[:, n // 2 : n]
            y[:, : n // 2], y[:, n // 2 : n] = a * c - b * s, a * s + b * c
        return y

    def attend(self, h, b, pos, memory):
        if self.arch == "gpt2":
            q, k, v = np.split(self.linear(h, b + "attn_qkv"), 3)
        else:
            q, k, v = (self.linear(h, b + "attn_" + n) for n in "qkv")
        q, k, v = q.reshape(self.heads, self.d), k.reshape(self.kv_heads, self.d), v.reshape(self.kv_heads, self.d)
        if self.arch != "gpt2":
            q, k = self.turn(q, pos), self.turn(k, pos)
        memory.append((k, v))
        keys, values = np.stack([m[0] for m in memory]), np.stack([m[1] for m in memory])
        out = []
        for i in range(self.heads):
            g = i * self.kv_heads // self.heads
            s = keys[:, g] @ q[i] / np.sqrt(self.d)
            p = np.exp(s - s.max())
            out.append(p @ values[:, g] / p.sum())
        return self.linear(np.concatenate(out), b + "attn_output")

    def feed(self, h, b):
        up = self.linear(h, b + "ffn_up")
        if self.arch == "gpt2":
            a = up / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        else:
            gate = self.linear(h, b + "ffn_gate")
            a = gate / (1 + np.exp(-gate)) * up
        return self.linear(a, b + "ffn_down")

    def run(self, tokens):
        """Log-probabilities behind each prefix."""
        memory = [[] for _ in range(self.layers)]
        for pos, t in enumerate(tokens):
            x = self.t["token_embd.weight"][t].copy()
            if self.arch == "gpt2":
                x += self.t["position_embd.weight"][pos]
            for i in range(self.layers):
                b = f"blk.{i}."
                x = x + self.attend(self.norm(x, b + "attn_norm"), b, pos, memory[i])
                x = x + self.feed(self.norm(x, b + "ffn_norm"), b)
            y = self.t.get("output.weight", self.t["token_embd.weight"]) @ self.norm(x, "output_norm")
            top = y.max()
            yield y - top - np.log(np.exp(y - top).sum())


def golden(folder):
    for path in sorted(glob.glob(folder + "/*.gguf")):
        m = Model(path)
        v = m.t["token_embd.weight"].shape[0]
        tokens = [(i * 37 + 11 * (i * i % 7)) % v for i in range(40)]
        for depth, y in enumerate(m.run(tokens), 1):
            if depth in (7, 40):
                print(os.path.basename(path)[:-5], depth, *(f"{x:.6f}" for x in y))


if os.path.isdir(sys.argv[1]):
    golden(sys.argv[1])
else:
    for y in Model(sys.argv[1]).run([int(t) for t in sys.argv[2:]]):
        print(*(f"{x:.7f}" for x in y))
