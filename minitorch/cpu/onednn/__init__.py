"""Kernels of the library oneDNN for the host, where it is installed (the extra `fast`). Knows arrays, no Variable."""
