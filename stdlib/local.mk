## The standard library in Norn, embedded as bytes: NAME.norn gives NAME.inc.
## list STDLIB *.norn
STDLIB = \
  %D%/inference.norn \
  %D%/its.norn \
  %D%/language_context.norn \
  %D%/lists.norn \
  %D%/maps.norn \
  %D%/online.norn \
  %D%/prelude.norn \
  %D%/sets.norn \
  %D%/stats.norn \
  %D%/strings.norn \
  %D%/tables.norn \
  %D%/worked_sums.norn

STDLIB_INC  = $(STDLIB:.norn=.inc)
EXTRA_DIST += $(STDLIB)
CLEANFILES += $(STDLIB_INC)

.norn.inc:
	$(AM_V_GEN)$(MKDIR_P) $(@D) && od -v -An -to1 $< | $(SED) 's/ \([0-7][0-7]*\)/0\1,/g' > $@.tmp \
	  && mv $@.tmp $@
