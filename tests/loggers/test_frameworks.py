"""The loggers of scikit-learn, Keras, PyTorch Lightning and Hugging Face land on the job's run, without a setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.mlflow_lab import RUN_ID, run_job

pytestmark = [pytest.mark.loggers, pytest.mark.timeout(900)]

# What every script shows at its end: the job's run as MLflow reads it in the job, and the runs beside it.
SHOW = """
import mlflow
client = mlflow.MlflowClient()
own = client.get_run("{run_id}")
runs = mlflow.search_runs(output_format="list")
show(
    status=own.info.status, metrics=own.data.metrics, params=own.data.params, tags=own.data.tags,
    children=[run.data.tags["mlflow.parentRunId"] for run in runs if run.info.run_id != own.info.run_id],
    files=sorted(file.path for file in client.list_artifacts("{run_id}")),
    **more,
)
""".replace("{run_id}", RUN_ID)

SKLEARN = """
import mlflow, numpy
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
mlflow.autolog()
x, y = numpy.arange(40.0).reshape(20, 2), numpy.arange(20) % 2
GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(x, y)
LogisticRegression(C=0.5).fit(x, y)
more = {}
"""

KERAS = """
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras, mlflow, numpy
mlflow.keras.autolog(log_models=False)
model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
model.compile(optimizer="sgd", loss="mse")
model.fit(numpy.zeros((8, 2)), numpy.zeros(8), epochs=2, verbose=0)
more = {}
"""

LIGHTNING = """
import torch, lightning
from lightning.pytorch.loggers import MLFlowLogger
class Model(lightning.LightningModule):
    def __init__(self, width=2):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(width, 1)
    def training_step(self, batch, index):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("train_loss", loss)
        return loss
    def configure_optimizers(self): return torch.optim.SGD(self.parameters(), lr=0.1)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=2)
logger = MLFlowLogger(experiment_name="somebody's", log_model=True)
trainer = lightning.Trainer(
    max_epochs=2, logger=logger, log_every_n_steps=1, accelerator="cpu", enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Model(), data)
more = {"id": logger.run_id}
"""

TRAINER = """
import torch, transformers
from transformers import Trainer, TrainingArguments
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, x, labels=None):
        found = self.layer(x)
        return {"loss": (found - labels).pow(2).mean(), "logits": found}
data = [{"x": torch.ones(2), "labels": torch.zeros(1)} for _ in range(8)]
arguments = TrainingArguments(
    output_dir="outputs", num_train_epochs=2, per_device_train_batch_size=4, logging_steps=1, report_to=REPORT,
    use_cpu=True, save_strategy="no", disable_tqdm=True,
)
Trainer(model=Model(), args=arguments, train_dataset=data).train()
more = {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the script runs."""
    return tmp_path


def test_sklearn_autolog(python: Path, folder: Path) -> None:
    """A search's best parameters are the job's, its candidates and the next fit child runs."""
    job = run_job(python, folder, SKLEARN + SHOW, limit_s=300)
    assert job.output["status"] == "RUNNING"
    assert job.output["params"]["best_C"]
    assert "best_cv_score" in job.output["metrics"]
    assert job.output["children"] == [RUN_ID] * 3


def test_keras_autolog(newest: Path, folder: Path) -> None:
    """Each epoch's loss, and the parameters of `fit`, are the job's."""
    job = run_job(newest, folder, KERAS + SHOW, limit_s=300)
    assert job.output["status"] == "RUNNING"
    assert {record["step"] for record in job.of_kind("scalar") if record["name"] == "loss"} == {0, 1}
    assert job.output["params"]["epochs"] == "2"
    assert job.output["children"] == []


def test_lightning_logger(newest: Path, folder: Path) -> None:
    """MLFlowLogger, which makes a run of its own on other servers, is given the job's."""
    job = run_job(newest, folder, LIGHTNING + SHOW, limit_s=300)
    assert (job.output["id"], job.output["status"]) == (RUN_ID, "RUNNING")
    assert len([record for record in job.of_kind("scalar") if record["name"] == "train_loss"]) == 8
    assert job.output["params"]["width"] == "2"
    assert job.output["children"] == []
    assert job.output["files"] == ["epoch=1-step=8"]
    assert list((job.run.root / "artifacts" / "epoch=1-step=8").glob("*.ckpt"))


@pytest.mark.parametrize("report", ["['mlflow']", "'all'"])
def test_hugging_face_trainer(newest: Path, folder: Path, report: str) -> None:
    """The Trainer's callback starts and ends a run; it is the job's, and goes on."""
    job = run_job(newest, folder, TRAINER.replace("REPORT", report) + SHOW, limit_s=300)
    assert job.output["status"] == "RUNNING"
    assert {record["step"] for record in job.of_kind("scalar") if record["name"] == "loss"} == {1, 2, 3, 4}
    assert job.output["params"]["num_train_epochs"] == "2"
    assert job.output["children"] == []
