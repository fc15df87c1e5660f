"""Side-by-side measurements of minitorch and its peers: `scripts/bench`; see README.md in this folder."""
