## list dist_man_MANS *.1 *.3 *.7
dist_man_MANS = \
  %D%/norn.1 \
  %D%/libnorn.3 \
  %D%/norn.7
