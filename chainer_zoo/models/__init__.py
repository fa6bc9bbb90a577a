"""One file per paper, its blocks in it."""
