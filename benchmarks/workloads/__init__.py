"""The workloads: each file is one, and defines `WORKLOAD`."""
