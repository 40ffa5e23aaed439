"""Figures and the offline page: data in, pictures and HTML out. The only room that imports Matplotlib."""
