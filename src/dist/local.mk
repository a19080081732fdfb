## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/block_level.c %D%/draws_level.c

## list libnorncore_la_SOURCES *.c *.h !block_level.c !draws_level.c
libnorncore_la_SOURCES += \
  %D%/block.c \
  %D%/bounded.c \
  %D%/category.c \
  %D%/chi.c \
  %D%/count.c \
  %D%/dispatch.c \
  %D%/dist.c \
  %D%/draws.c \
  %D%/empirical.c \
  %D%/exact.c \
  %D%/exact_logp.c \
  %D%/exact_matrix.c \
  %D%/extreme.c \
  %D%/finite.c \
  %D%/gamma.c \
  %D%/glm.c \
  %D%/glm_category.c \
  %D%/gp.c \
  %D%/gp_kernel.c \
  %D%/heavy.c \
  %D%/improper.c \
  %D%/inflate.c \
  %D%/line.c \
  %D%/lines.c \
  %D%/link.c \
  %D%/lkj.c \
  %D%/map.c \
  %D%/matrix.c \
  %D%/mixture.c \
  %D%/multi_normal.c \
  %D%/multinomial.c \
  %D%/noncentered.c \
  %D%/normal.c \
  %D%/ordered.c \
  %D%/pareto.c \
  %D%/partials.c \
  %D%/product.c \
  %D%/rows.c \
  %D%/sample.c \
  %D%/simplex.c \
  %D%/skew.c \
  %D%/tailsum.c \
  %D%/transform.c \
  %D%/truncate.c \
  %D%/urn.c \
  %D%/wishart.c \
  %D%/block.h \
  %D%/dist.h \
  %D%/domains.h \
  %D%/draws.h \
  %D%/exact.h \
  %D%/families.h \
  %D%/glm.h \
  %D%/gp.h \
  %D%/gp_kernel.h \
  %D%/kernel.h \
  %D%/kernel_count.h \
  %D%/kernel_draw.h \
  %D%/kernel_real.h \
  %D%/kernel_sample.h \
  %D%/line.h \
  %D%/matrix.h \
  %D%/terms.h
