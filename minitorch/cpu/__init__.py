"""Array kernels for the host, written so that memory is passed over few times. Knows arrays, no Variable."""
