## Programs to learn from.  Those in Norn are also tests.
## list EXAMPLES *.norn
EXAMPLES = \
  %D%/absorption.norn \
  %D%/amortized.norn \
  %D%/bioassay.norn \
  %D%/birth_death.norn \
  %D%/coal_disasters.norn \
  %D%/eight_schools.norn \
  %D%/foreign_function.norn \
  %D%/gallery.norn \
  %D%/gp_regression.norn \
  %D%/hmm.norn \
  %D%/llm_as_prior.norn \
  %D%/llm_constrained.norn \
  %D%/llm_json.norn \
  %D%/llm_particles_math.norn \
  %D%/llm_two_models.norn \
  %D%/many_chains.norn \
  %D%/mixture.norn \
  %D%/model_checking.norn \
  %D%/rare_event_big.norn \
  %D%/reward_hacking.norn \
  %D%/rsa.norn \
  %D%/sobol.norn \
  %D%/topics.norn

## list EXAMPLE_FILES *.json *.csv README */* */*/*
EXAMPLE_FILES = \
  %D%/data/README \
  %D%/data/alcedinidae.json \
  %D%/data/coal_disasters.csv \
  %D%/data/eight_schools.json \
  %D%/data/formula.gbnf \
  %D%/data/formulas.txt \
  %D%/data/sentences.txt \
  %D%/data/sums.txt \
  %D%/embed/Makefile \
  %D%/embed/distribution.c \
  %D%/embed/hello.c \
  %D%/embed/imh.c \
  %D%/embed/native.c \
  %D%/embed/online.c \
  %D%/embed/pendulum.c \
  %D%/embed/stream.c \
  %D%/embed/train.c \
  %D%/posteriordb/README \
  %D%/posteriordb/arK.norn \
  %D%/posteriordb/blr.norn \
  %D%/posteriordb/eight_schools.norn \
  %D%/posteriordb/gp_regr.norn \
  %D%/posteriordb/hmm_example.norn \
  %D%/posteriordb/kidscore_interaction.norn \
  %D%/posteriordb/logearn_height.norn \
  %D%/posteriordb/lotka_volterra.norn \
  %D%/posteriordb/reference.norn \
  %D%/posteriordb/data/arK-arK.json \
  %D%/posteriordb/data/earnings-logearn_height.json \
  %D%/posteriordb/data/eight_schools-eight_schools_noncentered.json \
  %D%/posteriordb/data/gp_pois_regr-gp_regr.json \
  %D%/posteriordb/data/hmm_example-hmm_example.json \
  %D%/posteriordb/data/hudson_lynx_hare-lotka_volterra.json \
  %D%/posteriordb/data/kidiq-kidscore_interaction.json \
  %D%/posteriordb/data/sblrc-blr.json

exampledir = $(docdir)
nobase_dist_example_DATA = $(EXAMPLES) $(EXAMPLE_FILES)
