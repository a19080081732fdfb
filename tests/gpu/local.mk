## Checks of what runs on a GPU: here on a mock (mock.h), on a card by run.sh.
## list GPU_CHECKS check_*.c -.c
GPU_CHECKS = \
  %D%/check_bigdata \
  %D%/check_blas \
  %D%/check_blocks \
  %D%/check_chees \
  %D%/check_density \
  %D%/check_dialect \
  %D%/check_driver \
  %D%/check_filters \
  %D%/check_heads \
  %D%/check_llm \
  %D%/check_nn \
  %D%/check_races \
  %D%/check_resample \
  %D%/check_segment \
  %D%/check_side
## list GPU_NORN *.norn
GPU_NORN = \
  %D%/filters.norn \
  %D%/importance.norn \
  %D%/importance_choices.norn \
  %D%/llm.norn \
  %D%/smc.norn \
  %D%/smc_choices.norn \
  %D%/smc_counts.norn \
  %D%/smc_parts.norn \
  %D%/train.norn \
  %D%/train_adapt.norn
## list GPU_SH devices.sh table.sh
GPU_SH = \
  %D%/devices.sh \
  %D%/table.sh
## list GPU_FILES *.h *.sh !devices.sh !table.sh
GPU_FILES = \
  %D%/gpu_steps.h \
  %D%/gpu_test.h \
  %D%/gpu_weights.h \
  %D%/mock.h \
  %D%/mock_device.h \
  %D%/nvrtc.sh \
  %D%/pack.sh \
  %D%/prove.sh \
  %D%/run.sh

if !FUZZ
check_PROGRAMS    += $(GPU_CHECKS) %D%/prove
check_LTLIBRARIES += %D%/mock_cuda.la %D%/mock_old.la
endif
MOCK_SOURCES = %D%/mock_blas.c %D%/mock_cuda.c %D%/mock_nvrtc.c %D%/mock_race.c %D%/mock_run.c
MOCK_CFLAGS  = $(AM_CFLAGS) -DMOCK_FOLDER='"$(abs_srcdir)/%D%"'
MOCK_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere
%C%_mock_cuda_la_SOURCES = $(MOCK_SOURCES)
%C%_mock_cuda_la_CFLAGS  = $(MOCK_CFLAGS)
%C%_mock_cuda_la_LDFLAGS = $(MOCK_LDFLAGS)
%C%_mock_cuda_la_LIBADD  =
%C%_mock_old_la_SOURCES  = $(MOCK_SOURCES)
%C%_mock_old_la_CFLAGS   = $(MOCK_CFLAGS) -DMOCK_OLD
%C%_mock_old_la_LDFLAGS  = $(MOCK_LDFLAGS)
%C%_mock_old_la_LIBADD   =

EXTRA_DIST += $(GPU_NORN) $(GPU_FILES) $(GPU_SH)

## All that run.sh runs.
gpu-programs: norn$(EXEEXT) $(GPU_CHECKS) $(GPU_BENCH)
## What needs no GPU, but the real compiler for one.
gpu-proof: norn$(EXEEXT) $(GPU_CHECKS) %D%/prove$(EXEEXT) %D%/mock_cuda.la %D%/mock_old.la
	$(SHELL) $(srcdir)/%D%/prove.sh .
.PHONY: gpu-programs gpu-proof
