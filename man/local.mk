## list dist_man_MANS *.1 *.3 *.7 !norn-distributions.7
dist_man_MANS = \
  %D%/norn.1 \
  %D%/libnorn.3 \
  %D%/norn-diagnostics.7 \
  %D%/norn.7

## The page of distributions is written from the table of distributions.
noinst_PROGRAMS += %D%/distman
%C%_distman_SOURCES = %D%/distman.c
%C%_distman_LDADD   = libnorncore.la
nodist_man_MANS  = %D%/norn-distributions.7
CLEANFILES      += %D%/norn-distributions.7
%D%/norn-distributions.7: %D%/distman$(EXEEXT)
	$(AM_V_GEN)%D%/distman$(EXEEXT) >$@.tmp && mv $@.tmp $@
