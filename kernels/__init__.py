"""Numbers: numpy arrays in, numpy arrays out; knows no Arrow and no HTTP.

Rows become one record per customer (keys, pairs, rfm), records become features and segments (scaling, kmeans, scoring,
profiles). Every file has a public wrapper that checks and allocates, and jitted kernels that only loop. warmup compiles
every signature the service uses.
"""
