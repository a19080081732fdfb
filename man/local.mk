## list dist_man_MANS *.1 *.3 *.7
dist_man_MANS =
