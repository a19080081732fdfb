"""numpyro_chees.py [CHAINS]: gradients a second of vectorised HMC by JAX on the radon shape of chees.c, one GPU,
in single precision.  NumPyro has no sampler of many chains with one length of trajectories (its HMC with
chain_method "vectorized" pays for each chain's own tree), so the transition is written out: vmap of the
gradient, leapfrogs in one loop, one program for all.  Prints a line for tests/gpu/run.sh; status 77: no JAX, or
no GPU for it."""
import sys
import time

try:
    import jax
    import jax.numpy as np
    import numpy
    if jax.default_backend() != "gpu":
        raise RuntimeError("JAX has no GPU")
except Exception as e:
    print("skipped:", e)
    sys.exit(77)

CHAINS = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
J, N, STEPS, TRANSITIONS, SECONDS = 85, 919, 16, 20, 30
i = numpy.arange(N)
county, basement = np.array(i * J // N), np.array(i % 2, np.float32)
y = np.array(0.5 * numpy.sin(12.9898 * i) + 0.3 * numpy.sin(2.9 * (i * J // N)), np.float32)


def logp(u):
    """mu, tau, s, b and 85 standardised intercepts; tau and s by their logarithms."""
    mu, tau, s, b, z = u[0], np.exp(u[1]), np.exp(u[2]), u[3], u[4:]
    lp = -0.5 * (mu / 10) ** 2 - 0.5 * (b / 10) ** 2 - 0.5 * tau ** 2 - 0.5 * s ** 2 + u[1] + u[2]
    lp -= 0.5 * np.sum(z ** 2)
    r = (y - (mu + tau * z)[county] - b * basement) / s
    return lp - 0.5 * np.sum(r ** 2) - N * u[2]


both = jax.vmap(jax.value_and_grad(logp))


def transition(state, key):
    q, lp, g = state
    k1, k2 = jax.random.split(key)
    p = jax.random.normal(k1, q.shape, np.float32)
    eps = np.float32(0.02)

    def leap(_, a):
        q1, p1, _, g1 = a
        p1 = p1 + 0.5 * eps * g1
        q1 = q1 + eps * p1
        l1, g1 = both(q1)
        return q1, p1 + 0.5 * eps * g1, l1, g1

    q1, p1, l1, g1 = jax.lax.fori_loop(0, STEPS, leap, (q, p, lp, g))
    d = l1 - lp - 0.5 * np.sum(p1 ** 2 - p ** 2, 1)
    yes = np.log(jax.random.uniform(k2, d.shape)) < d
    pick = yes[:, None]
    return (np.where(pick, q1, q), np.where(yes, l1, lp), np.where(pick, g1, g)), np.mean(yes)


run = jax.jit(lambda state, key: jax.lax.scan(transition, state, jax.random.split(key, TRANSITIONS)))
key = jax.random.PRNGKey(1)
q = 0.1 * jax.random.normal(key, (CHAINS, 4 + J), np.float32)
state = (q,) + both(q)
begun = time.time()
state, taken = run(state, key)
state[0].block_until_ready()
compiled = time.time() - begun
best = float("inf")
for r in range(5):
    if time.time() - begun > SECONDS:
        break
    t = time.time()
    state, taken = run(state, jax.random.PRNGKey(r))
    state[0].block_until_ready()
    best = min(best, time.time() - t)
rate = CHAINS * STEPS * TRANSITIONS / best
print(f"figure: JAX, HMC by vmap, radon, {CHAINS} chains, f32|{rate:.3g} gradients/s (compiled in {compiled:.1f} s)|")
