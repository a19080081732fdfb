"""A step of training by PyTorch at the sizes of bench/nn.c: the same model, masks and optimiser.

    nn_peer.py OUT [THREADS = 1]     appends lines "pytorch,THREADS,SIZE,ms" to OUT: ms a step, best of many: of CPU
                                     time on one thread, by the clock on the wall on several
"""
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

SIZES = {  # d, layers, heads, ff, bars, batch, t, context
    "coin": (32, 3, 2, 64, 100, 128, 20, 19),
    "gp": (64, 4, 4, 128, 300, 64, 32, 12),
    "medium": (128, 4, 8, 256, 300, 64, 64, 32),
}
ROWS, WIDE = 16, 3
THREADS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
now = time.process_time if THREADS == 1 else time.perf_counter


class Block(nn.Module):
    def __init__(self, d, heads, ff):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, ff), nn.GELU(approximate="tanh"), nn.Linear(ff, d))

    def forward(self, x, mask):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(a.transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.norm2(x))


class Model(nn.Module):
    def __init__(self, d, layers, heads, ff, bars):
        super().__init__()
        self.table = nn.Parameter(torch.randn(ROWS, d))
        self.blocks = nn.ModuleList(Block(d, heads, ff) for _ in range(layers))
        self.norm = nn.LayerNorm(d)
        self.head = nn.Sequential(nn.Linear(d, ff), nn.GELU(approximate="tanh"), nn.Linear(ff, bars))

    def forward(self, row, coef, mask, context):
        x = (self.table[row] * coef[..., None]).sum(2)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x[:, context:]))


def measure(d, layers, heads, ff, bars, batch, t, context):
    torch.manual_seed(1)
    model = Model(d, layers, heads, ff, bars)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0, fused=True)
    row, coef = torch.randint(ROWS, (batch, t, WIDE)), torch.rand(batch, t, WIDE)
    mask = torch.zeros(t, t, dtype=torch.bool)
    mask[:, :context] = True
    mask |= torch.eye(t, dtype=torch.bool)
    target = torch.randint(bars, (batch, t - context))
    best = float("inf")
    for _ in range(25 if THREADS == 1 else 60):
        start = now()
        adam.zero_grad(set_to_none=True)
        z = model(row, coef, mask, context)
        F.cross_entropy(z.reshape(-1, bars), target.reshape(-1)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        best = min(best, now() - start)
    return 1e3 * best


torch.set_num_threads(THREADS)
with open(sys.argv[1], "a") as out:
    for name, size in SIZES.items():
        ms = measure(*size)
        print(f"PyTorch {torch.__version__}, {name}, {THREADS} threads: {ms:.2f} ms")
        out.write(f"pytorch,{THREADS},{name},{ms:.3f}\n")
