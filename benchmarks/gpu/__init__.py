"""Checks and measurements on a GPU, by one command: `scripts/gpu`; see README.md in the folder above."""
