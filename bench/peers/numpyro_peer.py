"""numpyro_peer.py DATA OUT [MODEL ...]: the public posteriors by NumPyro's NUTS, one chain of 1000 + 1000
at three seeds, in doubles on one core.  Lines for OUT: peer,model,us a gradient,min bulk ESS a second,seconds
to the first draw.  The first draw is that of a run of one (tracing and compiling); a gradient is the time of
a second run, which is compiled, over its leapfrogs."""
import json
import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
import arviz
import jax
import jax.numpy as np
import numpy
import numpyro
from numpyro import distributions as dist, sample
from numpyro.infer import MCMC, NUTS

numpyro.enable_x64()


def normal_prior(name, n, scale):
    return sample(name, dist.Normal(0, scale).expand([n]))


def ark(d):
    y, k = np.array(d["y"]), d["K"]
    lags = np.stack([y[k - 1 - i:len(d["y"]) - 1 - i] for i in range(k)], 1)

    def model():
        alpha = sample("alpha", dist.Normal(0, 10))
        beta = normal_prior("beta", k, 10)
        sigma = sample("sigma", dist.HalfCauchy(2.5))
        sample("y", dist.Normal(alpha + lags @ beta, sigma), obs=y[k:])
    return model


def logearn(d):
    x, y = np.array(d["height"]), np.log(np.array(d["earn"]))

    def model():
        beta = sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (2,)))
        sigma = sample("sigma", dist.ImproperUniform(dist.constraints.positive, (), ()))
        sample("y", dist.Normal(beta[0] + beta[1] * x, sigma), obs=y)
    return model


def schools(d):
    y, s = np.array(d["y"], float), np.array(d["sigma"], float)

    def model():
        mu = sample("mu", dist.Normal(0, 5))
        tau = sample("tau", dist.HalfCauchy(5))
        z = normal_prior("z", len(y), 1)
        sample("y", dist.Normal(mu + tau * z, s), obs=y)
    return model


def gp(d):
    x, y = np.array(d["x"]), np.array(d["y"])
    square = (x[:, None] - x[None, :]) ** 2

    def model():
        rho = sample("rho", dist.Gamma(25, 4))
        alpha = sample("alpha", dist.HalfNormal(2))
        sigma = sample("sigma", dist.HalfNormal(1))
        c = alpha ** 2 * np.exp(-square / (2 * rho ** 2)) + sigma * np.eye(len(x))
        sample("y", dist.MultivariateNormal(np.zeros(len(x)), covariance_matrix=c), obs=y)
    return model


def hmm(d):
    y = np.array(d["y"])

    def model():
        rows = [sample(f"theta{k + 1}", dist.Dirichlet(np.ones(2))) for k in range(2)]
        first = sample("mu0", dist.ImproperUniform(dist.constraints.positive, (), ()))
        gap = sample("gap", dist.ImproperUniform(dist.constraints.positive, (), ()))
        mu = np.stack([first, first + gap])
        numpyro.factor("prior", dist.Normal(np.array([3., 10.]), 1.).log_prob(mu).sum())
        emission = dist.Normal(mu, 1).log_prob(y[:, None])
        step = np.log(np.stack(rows))

        def turn(a, e):
            return jax.nn.logsumexp(a[:, None] + step, 0) + e, None
        last, _ = jax.lax.scan(turn, emission[0], emission[1:])
        numpyro.factor("y", jax.nn.logsumexp(last))
    return model


def kid(d):
    hs, iq, y = (np.array(d[k], float) for k in ("mom_hs", "mom_iq", "kid_score"))

    def model():
        b = sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (4,)))
        sigma = sample("sigma", dist.HalfCauchy(2.5))
        sample("y", dist.Normal(b[0] + b[1] * hs + b[2] * iq + b[3] * hs * iq, sigma), obs=y)
    return model


def blr(d):
    x, y = np.array(d["X"]), np.array(d["y"])

    def model():
        beta = normal_prior("beta", d["D"], 10)
        sigma = sample("sigma", dist.HalfNormal(10))
        sample("y", dist.Normal(x @ beta, sigma), obs=y)
    return model


MODELS = {"arK": (ark, "arK-arK"), "logearn_height": (logearn, "earnings-logearn_height"),
          "eight_schools": (schools, "eight_schools-eight_schools_noncentered"),
          "gp_regr": (gp, "gp_pois_regr-gp_regr"), "hmm_example": (hmm, "hmm_example-hmm_example"),
          "kidscore_interaction": (kid, "kidiq-kidscore_interaction"), "blr": (blr, "sblrc-blr")}


def run(mcmc, seed, fields=("num_steps",)):
    start = time.process_time()
    mcmc.run(jax.random.PRNGKey(seed), extra_fields=fields)
    jax.block_until_ready(mcmc.get_samples())
    return time.process_time() - start


def figures(model, seed):
    first = run(MCMC(NUTS(model), num_warmup=1, num_samples=1, progress_bar=False), seed)
    mcmc = MCMC(NUTS(model), num_warmup=1000, num_samples=1000, progress_bar=False)
    mcmc.warmup(jax.random.PRNGKey(seed))
    run(mcmc, seed)                                    # compiles the sampling
    mcmc.post_warmup_state = mcmc.last_state
    took = run(mcmc, seed + 100)
    leaps = float(mcmc.get_extra_fields()["num_steps"].sum())
    ess = min(float(arviz.ess(numpy.asarray(v).reshape(1, 1000, -1)[:, :, i], method="bulk"))
              for v in mcmc.get_samples().values() for i in range(numpy.asarray(v).reshape(1000, -1).shape[1]))
    return 1e6 * took / leaps, ess / took, first


def main():
    wanted = sys.argv[3:] or list(MODELS)
    for name in wanted:
        if name not in MODELS:
            continue
        make, file = MODELS[name]
        with open(os.path.join(sys.argv[1], file + ".json")) as f:
            model = make(json.load(f)["data"])
        us, ess, first = (float(numpy.median(c)) for c in zip(*(figures(model, s) for s in (1, 2, 3))))
        with open(sys.argv[2], "a") as f:
            f.write(f"NumPyro,{name},{us:.4g},{ess:.4g},{first:.4g}\n")


main()
