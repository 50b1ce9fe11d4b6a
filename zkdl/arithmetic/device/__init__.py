"""What compiled kernels are made of: element types, curve formulas, and the `kernel` decorator.

Nothing here is called from plain Python. A kernel may call functions of its own file and of this folder only:
its on-disk cache entry is keyed by exactly those sources (see `compile`).
"""
