## Programs to learn from; each is also a test.
## list EXAMPLES *.norn
EXAMPLES =

## list EXAMPLE_FILES *.c *.json *.csv README
EXAMPLE_FILES =

exampledir = $(docdir)/examples
dist_example_DATA = $(EXAMPLES) $(EXAMPLE_FILES)
