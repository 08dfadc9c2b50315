"""What TensorRT and TensorRT-RTX share: both have one API, but for a few names.

`build_engine.py` is a program of its own that imports nothing of ours: the compiler builds with it, and writes it into
bundles whose engine has to be built elsewhere. Polygraphy's loaders are not used, since which of the two libraries they
load is settled for the whole process, and since its runner is not meant for production, as its documentation says.
"""
