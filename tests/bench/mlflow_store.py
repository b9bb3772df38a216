"""How fast MLflow's SQLite store takes the points of a trainer: `log_batch`, a thousand metrics each, which is its limit.

python mlflow_store.py FOLDER
"""

import pathlib
import sys
import time

import mlflow
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

POINTS, BATCH = 50_000, 1000
NAMES = ("loss", "ce", "lr", "grad_norm", "seconds")


def main(folder: pathlib.Path) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    run = client.create_run(client.create_experiment("bench"))
    points = [
        Metric(name, 2.0 + 8.0 / (step**0.5), 1_700_000_000_000 + step, step)
        for step in range(1, POINTS // len(NAMES) + 1)
        for name in NAMES
    ]
    began = time.perf_counter()
    for at in range(0, len(points), BATCH):
        client.log_batch(run.info.run_id, metrics=points[at : at + BATCH])
    seconds = time.perf_counter() - began
    print(f"{mlflow.__version__}, log_batch: {len(points) / seconds:.0f} points/s ({len(points)} in {seconds:.1f} s)")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
