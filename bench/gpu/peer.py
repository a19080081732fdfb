"""peer.py: the same work in JAX on the same card, for rows beside Norn's: a particle filter of stochastic
volatility, gradients of a radon-shaped hierarchy at 10,000 chains in leapfrog steps, and a logistic regression of
ten million rows.  Prints the lines that run.sh makes rows of; status 77: there is no JAX, or no GPU for it.
"small" as an argument is for trying it out anywhere."""
import os
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
small = "small" in sys.argv
try:
    import jax
    import jax.numpy as np
    if not small and jax.devices()[0].platform != "gpu":
        raise ImportError("no GPU")
except Exception as e:
    print("skipped:", e)
    sys.exit(77)
jax.config.update("jax_enable_x64", True)


def figure(name, text):
    print(f"figure: JAX: {name} | {text} |", flush=True)


def seconds(f, *args):
    """The median of five, after two: compiled, and warm."""
    for _ in range(2):
        jax.block_until_ready(f(*args))
    all = []
    for _ in range(5):
        t = time.perf_counter()
        jax.block_until_ready(f(*args))
        all.append(time.perf_counter() - t)
    return sorted(all)[2]


def filter(n, steps):
    """h' ~ normal(-1 + .97 (h + 1), .2), y ~ normal(0, exp(h / 2)); systematic resampling after every step."""
    y = 0.7 * jax.random.normal(jax.random.PRNGKey(1), (steps,), np.float32)

    def step(carry, yt):
        h, key, z = carry
        key, a, b = jax.random.split(key, 3)
        h = -1 + 0.97 * (h + 1) + 0.2 * jax.random.normal(a, (n,), np.float32)
        w = -0.5 * (yt * yt * np.exp(-h) + h) - np.float32(0.9189385)
        top = np.max(w)
        e = np.exp(w - top)
        z += top + np.log(np.mean(e))
        sums = np.cumsum(e.astype(np.float64))
        at = (np.arange(n) + jax.random.uniform(b, (), np.float64)) * (sums[-1] / n)
        return (h[np.clip(np.searchsorted(sums, at), 0, n - 1)], key, z), None

    @jax.jit
    def run(key):
        h = -1 + 0.8 * jax.random.normal(key, (n,), np.float32)
        return jax.lax.scan(step, (h, key, np.float32(0)), y)[0][2]

    s = seconds(run, jax.random.PRNGKey(2))
    figure(f"stochastic volatility, f32, {n:.0e} particles", f"{n * steps / s:.3g} particle-steps/s")


def hierarchy(chains, steps, type):
    """919 houses in 85 counties, non-centred: 89 coordinates."""
    key = jax.random.PRNGKey(3)
    county = jax.random.randint(key, (919,), 0, 85)
    floor = jax.random.bernoulli(key, 0.2, (919,)).astype(type)
    y = jax.random.normal(key, (919,), type)

    def density(u):
        mu, b, log_tau, log_s, z = u[0], u[1], u[2], u[3], u[4:]
        tau, s = np.exp(log_tau), np.exp(log_s)
        e = (y - (mu + tau * z)[county] - b * floor) / s
        return (-0.5 * np.sum(e * e) - 919 * log_s - 0.5 * np.sum(z * z) - 0.005 * (mu * mu + b * b)
                - 0.5 * (tau * tau + s * s) + log_tau + log_s)

    gradient = jax.vmap(jax.grad(density))

    @jax.jit
    def run(u, p):
        def leap(c, _):
            u, p = c
            u = u + 0.01 * p
            return (u, p + 0.01 * gradient(u)), None
        return jax.lax.scan(leap, (u, p), None, steps)[0]

    u = 0.1 * jax.random.normal(key, (chains, 89), type)
    s = seconds(run, u, jax.random.normal(jax.random.PRNGKey(4), u.shape, type))
    figure(f"radon-shaped hierarchy, {np.dtype(type).name}, {chains} chains", f"{chains * steps / s:.3g} gradients/s")


def regression(n, type):
    x = jax.random.uniform(jax.random.PRNGKey(5), (n, 20), type, -1, 1)
    y = jax.random.bernoulli(jax.random.PRNGKey(6), 0.5, (n,)).astype(type)

    @jax.jit
    def run(b):
        def density(b):
            f = x @ b
            return np.sum(y * f - np.logaddexp(0, f)) - 0.5 * b @ b
        return jax.value_and_grad(density)(b)

    s = seconds(run, np.zeros(20, type))
    figure(f"logistic regression, {np.dtype(type).name}, {n:.0e} rows of 20", f"{1e3 * s:.3g} ms a gradient")


jobs = [(filter, 10**7, 50), (hierarchy, 10000, 100, np.float32), (hierarchy, 10000, 100, np.float64),
        (regression, 10**7, np.float32), (regression, 10**7, np.float64)]
tiny = [(filter, 1000, 5), (hierarchy, 10, 5, np.float32), (hierarchy, 10, 5, np.float64),
        (regression, 1000, np.float32), (regression, 1000, np.float64)]
for f, *args in tiny if small else jobs:
    try:
        f(*args)
    except Exception as e:
        print(f"{f.__name__}: {e}")
