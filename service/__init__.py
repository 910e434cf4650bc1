"""The service: HTTP and the command line → the pipeline → the kernels."""
