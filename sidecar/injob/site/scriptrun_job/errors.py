"""Errors that Azure ML v1 gives a script, under the names it gives them."""


class UserErrorException(Exception):
    """A call that the script should not have made as it did."""


class RunEnvironmentException(Exception):
    """The script asked for the run that it belongs to, and belongs to none."""


def not_provided(name: str) -> str:
    """The text for a name of Azure ML's that has no counterpart here so far."""
    provided = "inside a job there are azureml.core.Run with get_context, id, experiment and log"
    return f"{name} is not provided yet: {provided}"
