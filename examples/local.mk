## Programs to learn from.  Those in Norn are also tests.
## list EXAMPLES *.norn
EXAMPLES = \
  %D%/birth_death.norn \
  %D%/coal_disasters.norn \
  %D%/eight_schools.norn \
  %D%/foreign_function.norn \
  %D%/gp_regression.norn \
  %D%/hmm.norn \
  %D%/rare_event_big.norn \
  %D%/rsa.norn

## list EXAMPLE_FILES *.json *.csv README */*
EXAMPLE_FILES = \
  %D%/data/README \
  %D%/data/alcedinidae.json \
  %D%/data/coal_disasters.csv \
  %D%/data/eight_schools.json \
  %D%/embed/Makefile \
  %D%/embed/distribution.c \
  %D%/embed/hello.c \
  %D%/embed/imh.c \
  %D%/embed/native.c \
  %D%/embed/pendulum.c \
  %D%/embed/stream.c

exampledir = $(docdir)
nobase_dist_example_DATA = $(EXAMPLES) $(EXAMPLE_FILES)
