"""peer_torch.py: the step of training of bench/gpu/train (a transformer of width 512 with 6 blocks and 300 bars, 64
sequences of 256 tokens of which half is context and half is asked) in PyTorch on the same card, for rows beside
Norn's.  Prints the lines that run.sh makes rows of; status 77: there is no PyTorch, or no GPU for it.  "small" as an
argument is for trying it out anywhere."""
import sys
import time

small = "small" in sys.argv
try:
    import torch
    from torch import nn
    from torch.nn import functional as f
    if not small and not torch.cuda.is_available():
        raise ImportError("no GPU")
except Exception as e:
    print("skipped:", e)
    sys.exit(77)
device = "cuda" if torch.cuda.is_available() else "cpu"
B, T, D, HEADS, FF, LAYERS, BARS = (2, 8, 16, 2, 16, 1, 300) if small else (64, 256, 512, 8, 2048, 6, 300)


class Block(nn.Module):
    """Pre-LN; tokens see the context, those that are asked also themselves, as pfn's do."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, FF), nn.Linear(FF, D)

    def forward(self, x, mask):
        q, k, v = self.qkv(self.a(x)).view(B, T, 3, HEADS, D // HEADS).permute(2, 0, 3, 1, 4)
        y = f.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, D))
        return x + self.down(f.gelu(self.up(self.b(x))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, D)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(D)
        self.hidden, self.bars = nn.Linear(D, FF), nn.Linear(FF, BARS)

    def forward(self, x, mask):
        x = self.embed(x)
        for b in self.blocks:
            x = b(x, mask)
        return self.bars(f.gelu(self.hidden(self.norm(x)[:, T // 2:])))


def measure(half, compiled):
    torch.manual_seed(1)
    net = Net().to(device)
    adam = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=device == "cuda")
    x = torch.randn(B, T, 4, device=device)
    y = torch.randint(0, BARS, (B, T // 2), device=device)
    mask = torch.zeros(T, T, dtype=torch.bool, device=device)
    mask[:, : T // 2] = True
    mask |= torch.eye(T, dtype=torch.bool, device=device)
    forward = torch.compile(net) if compiled else net

    def step():
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = f.cross_entropy(forward(x, mask).float().view(-1, BARS), y.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        adam.zero_grad()

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(5):
        step()
    times = []
    for _ in range(11):
        wait()
        t = time.perf_counter()
        step()
        wait()
        times.append(time.perf_counter() - t)
    print(f"figure: PyTorch: train d {D}, {LAYERS} blocks, {B} x {T} tokens, {'bf16' if half else 'f32'}"
          f"{', compiled' if compiled else ''} | {1e3 * sorted(times)[5]:.2f} ms a step |", flush=True)


for half, compiled in [(True, False), (True, True), (False, False)]:
    if compiled and "compiled" not in sys.argv:
        continue
    try:
        measure(half, compiled)
    except Exception as e:
        print(f"train: {e}")
