# rstan.R DATA OUT MODEL...: each public posterior by rstan, one chain of 1000 + 1000 at three seeds.
# Lines for OUT: peer,model,us a gradient,min bulk ESS a second,seconds to the first draw.
# Stan's clock is of this process; a gradient is the time of warm-up and sampling over its leapfrogs.
suppressMessages({ library(rstan); library(jsonlite) })
if (system.file("include", package = "BH") == "" && dir.exists("/usr/include/boost"))
  rstan_options(boost_lib = "/usr/include")         # Debian has no headers in its BH
args <- commandArgs(TRUE)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
files <- c(arK = "arK-arK", logearn_height = "earnings-logearn_height",
           eight_schools = "eight_schools-eight_schools_noncentered", gp_regr = "gp_pois_regr-gp_regr",
           hmm_example = "hmm_example-hmm_example", kidscore_interaction = "kidiq-kidscore_interaction",
           blr = "sblrc-blr", lotka_volterra = "hudson_lynx_hare-lotka_volterra")
wanted <- if (length(args) > 2) args[-(1:2)] else names(files)
for (name in wanted) {
  path <- file.path(args[1], paste0(files[[name]], ".json"))
  if (!file.exists(path)) next
  data <- fromJSON(path)$data
  start <- proc.time()
  model <- stan_model(file.path(here, "stan", paste0(name, ".stan")), model_name = name)
  took <- proc.time() - start
  compile <- sum(took[c("user.self", "sys.self", "user.child", "sys.child")])
  rows <- sapply(1:3, function(seed) {
    fit <- sampling(model, data = data, chains = 1, iter = 2000, warmup = 1000, seed = seed, refresh = 0,
                    show_messages = FALSE)
    t <- get_elapsed_time(fit)
    leaps <- sum(get_sampler_params(fit, inc_warmup = TRUE)[[1]][, "n_leapfrog__"])
    x <- extract(fit, permuted = FALSE)
    keep <- setdiff(dimnames(x)$parameters, "lp__")
    ess <- min(sapply(keep, function(p) ess_bulk(x[, , p])), na.rm = TRUE)
    c(1e6 * sum(t) / leaps, ess / t[, "sample"], compile + t[, "warmup"] / 1000)
  })
  m <- apply(rows, 1, median)
  cat(sprintf("rstan,%s,%.4g,%.4g,%.4g\n", name, m[1], m[2], m[3]), file = args[2], append = TRUE)
}
