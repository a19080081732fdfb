## `make bench` prints every speed as a ratio to hand-written C in the same run (bench/bench.c).
EXTRA_PROGRAMS += %D%/bench
## list %C%_bench_SOURCES *.c *.h limits/*.c limits/*.h !limits/filter_lanes.c
%C%_bench_SOURCES = \
  %D%/ask.c \
  %D%/bench.c \
  %D%/crew.c \
  %D%/dist.c \
  %D%/glm.c \
  %D%/gradient.c \
  %D%/infer.c \
  %D%/la.c \
  %D%/lang.c \
  %D%/llm.c \
  %D%/mask.c \
  %D%/net.c \
  %D%/nn.c \
  %D%/nuts.c \
  %D%/posteriordb.c \
  %D%/smc.c \
  %D%/stream.c \
  %D%/bench.h \
  %D%/limits/densities.c \
  %D%/limits/discrete.c \
  %D%/limits/filter.c \
  %D%/limits/gradient.c \
  %D%/limits/logistic.c \
  %D%/limits/loops.c \
  %D%/limits/matrix.c \
  %D%/limits/philox.c \
  %D%/limits/limits.h
%C%_bench_CFLAGS  = $(AM_CFLAGS) -O2
%C%_bench_LDADD   = libnorncore.la $(%C%_bench_LANES)
%C%_bench_LANES   =
if X86_LEVELS
%C%_bench_LANES       += %D%/libfilter2.la %D%/libfilter5.la
EXTRA_LTLIBRARIES      = %D%/libfilter2.la %D%/libfilter5.la
FILTER_CFLAGS          = $(AM_CFLAGS) -O3 -ffp-contract=fast
%C%_libfilter2_la_SOURCES = %D%/limits/filter_lanes.c
%C%_libfilter2_la_CFLAGS  = $(FILTER_CFLAGS) -DLEVEL=avx2 -DLANES=4 -mavx2 -mfma
%C%_libfilter5_la_SOURCES = %D%/limits/filter_lanes.c
%C%_libfilter5_la_CFLAGS  = $(FILTER_CFLAGS) -DLEVEL=avx512 -DLANES=8 -mavx512f -mavx512dq -mavx512vl
endif
CLEANFILES += %D%/bench$(EXEEXT)

EXTRA_DIST += \
  %D%/peers/llama.sh \
  %D%/peers/nn.sh \
  %D%/peers/nn_peer.py \
  %D%/peers/numpyro_peer.py \
  %D%/peers/rstan.R \
  %D%/peers/run.sh \
  %D%/peers/stan/arK.stan \
  %D%/peers/stan/blr.stan \
  %D%/peers/stan/eight_schools.stan \
  %D%/peers/stan/gp_regr.stan \
  %D%/peers/stan/hmm_example.stan \
  %D%/peers/stan/kidscore_interaction.stan \
  %D%/peers/stan/logearn_height.stan \
  %D%/peers/stan/lotka_volterra.stan \
  %D%/lang/bench.lua \
  %D%/lang/closures.norn \
  %D%/lang/fib.norn \
  %D%/lang/lpdf.norn \
  %D%/lang/mandel.norn \
  %D%/lang/trees.norn \
  %D%/infer/ask.norn \
  %D%/infer/crbd.norn \
  %D%/infer/enumerate.norn \
  %D%/infer/events.norn \
  %D%/infer/gibbs.norn \
  %D%/infer/lgss.norn \
  %D%/infer/mh.norn \
  %D%/la/la.norn

## Timings that want a GPU (tests/gpu/run.sh): one program each.
## list GPU_BENCH gpu/*.c -.c
GPU_BENCH = \
  %D%/gpu/chains \
  %D%/gpu/chees \
  %D%/gpu/device \
  %D%/gpu/dialect \
  %D%/gpu/glm \
  %D%/gpu/llm \
  %D%/gpu/matmul \
  %D%/gpu/particles \
  %D%/gpu/train
## list GPU_BENCH_FILES gpu/*.h gpu/*.md gpu/*.py
GPU_BENCH_FILES = \
  %D%/gpu/gpu_time.h \
  %D%/gpu/RESULTS.md \
  %D%/gpu/peer.py \
  %D%/gpu/peer_torch.py
EXTRA_PROGRAMS += $(GPU_BENCH)
EXTRA_DIST     += $(GPU_BENCH_FILES)
CLEANFILES     += $(GPU_BENCH)

bench: norn$(EXEEXT) %D%/bench$(EXEEXT)
	NORN=./norn$(EXEEXT) NORN_BENCH='$(srcdir)/%D%' %D%/bench$(EXEEXT) $(BENCH)
.PHONY: bench
