"""A module beside the script, as v1's example has one."""


def get_alphas():
    """Regularisation strengths to try."""
    return [0.0, 0.5, 1.0]
