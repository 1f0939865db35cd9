"""`Model` as a job sees it: what it asked to register, and the names of the frameworks."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Dict, Optional


class Model:
    """A model that this job registers. Its version is given on the submitting side, so it is None here."""

    class Framework:
        """The frameworks that v1 names."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        PYTORCH = "PyTorch"
        TFKERAS = "TfKeras"
        MULTI = "Multi"

    def __init__(
        self,
        name: str,
        *,
        tags: Optional[Dict[str, str]] = None,
        properties: Optional[Dict[str, str]] = None,
        description: Optional[str] = None,
        run_id: Optional[str] = None,
        model_framework: Optional[str] = None,
        model_framework_version: Optional[str] = None,
    ) -> None:
        self.name = name
        self.version: Optional[int] = None
        self.tags = dict(tags or {})
        self.properties = dict(properties or {})
        self.description = description
        self.run_id = run_id
        self.model_framework = model_framework
        self.model_framework_version = model_framework_version

    @property
    def id(self) -> str:
        """The model's name: its version is not known yet."""
        return self.name

    def __repr__(self) -> str:
        return f"Model(name={self.name}, run_id={self.run_id})"
