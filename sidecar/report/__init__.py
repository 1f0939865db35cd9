"""What a machine has and lacks for runs: one finding a question, measured by the same code here and on every node."""
