"""How sure a number is: intervals around noise-corrected scores, tests, rankings, support of trees.

The estimand of every score is the score of the **population mean map**: the map that a network's heatmaps would average
to with infinitely many faces. A mean over finitely many faces is that map plus noise; noise lowers correlations and
overlaps, and resampling the faces adds the same noise a second time, so a percentile bootstrap of such a score is
centred on the wrong value. The functions here correct for the first and never do the second.

Everything works on arrays: **units** are what is resampled (blocks of subjects; folds or seeds where those are the
level that varies), and come as maps (unit, y, x) whose plain mean is the mean map; see `sampling.unit_maps`.
"""
