"""What the workspace keeps: where it is, its runs, its snapshots, the index over them."""
