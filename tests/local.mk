## Three sorts of test: unit/test_*.c, programs in Norn with their answers in comments (expect.sh),
## and scripts.
TEST_EXTENSIONS   = .norn .sh
SH_LOG_COMPILER   = $(SHELL)
NORN_LOG_COMPILER = $(SHELL) $(srcdir)/%D%/expect.sh
AM_TESTS_ENVIRONMENT = \
  NORN='$(abs_top_builddir)/norn'; export NORN; \
  srcdir='$(srcdir)'; export srcdir; \
  builddir='$(builddir)'; export builddir; \
  CC='$(CC)'; export CC;

## list check_PROGRAMS unit/test_*.c -.c
check_PROGRAMS += \
  %D%/unit/test_base

## list NORN_TESTS lang/*.norn engine/*.norn lib/*.norn errors/*.norn
NORN_TESTS =

## list SH_TESTS *.sh !expect.sh !installed.sh !seeds.sh
SH_TESTS = \
  %D%/complete.sh \
  %D%/layers.sh

## list TEST_FILES unit/*.h errors/*.err data/*
TEST_FILES = \
  %D%/unit/unit.h

## Programs that scripts run; they are no tests themselves.
## list TEST_TOOLS tools/*.c -.c
TEST_TOOLS = \
  %D%/tools/ptydrive

LDADD = libnorncore.la libnornvm.la
TESTS += $(SH_TESTS) $(check_PROGRAMS) $(NORN_TESTS) $(EXAMPLES)
EXTRA_DIST += $(SH_TESTS) $(NORN_TESTS) $(TEST_FILES) %D%/expect.sh %D%/installed.sh
