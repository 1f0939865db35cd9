"""`Model` as a job sees it: what it asked to register, and the names of the frameworks."""

from __future__ import annotations

from scriptrun_job.errors import NotProvidedError, not_provided
from scriptrun_job.partial import Partial

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

_ELSEWHERE = "models are looked up on the submitting machine; give a job the model's files as an input"


class Model(metaclass=Partial):
    """A model that this job registers. Its version is given on the submitting side, so it is None here.

    `Model(workspace, name)` looks a registered one up in v1; that raises NotProvidedError in a job.
    """

    _why = _ELSEWHERE
    name: str
    version: Optional[int]
    tags: Dict[str, str]
    properties: Dict[str, str]
    description: Optional[str]
    run_id: Optional[str]
    model_framework: Optional[str]
    model_framework_version: Optional[str]

    class Framework:
        """The frameworks that v1 names."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        PYTORCH = "PyTorch"
        TFKERAS = "TfKeras"
        MULTI = "Multi"

    def __init__(self, workspace: Any, name: Optional[str] = None, *_arguments: Any, **_named: Any) -> None:
        raise NotProvidedError(not_provided(f"the model {name}", _ELSEWHERE))

    @classmethod
    def asked_for(
        cls,
        name: str,
        *,
        tags: Optional[Dict[str, str]] = None,
        properties: Optional[Dict[str, str]] = None,
        description: Optional[str] = None,
        run_id: Optional[str] = None,
        model_framework: Optional[str] = None,
        model_framework_version: Optional[str] = None,
    ) -> Model:
        """The model that `register_model` asked for."""
        model = cls.__new__(cls)
        model.name = name
        model.version = None
        model.tags = dict(tags or {})
        model.properties = dict(properties or {})
        model.description = description
        model.run_id = run_id
        model.model_framework = model_framework
        model.model_framework_version = model_framework_version
        return model

    @property
    def id(self) -> str:
        """The model's name: its version is not known yet."""
        return self.name

    def __repr__(self) -> str:
        return f"Model(name={self.name}, run_id={self.run_id})"
