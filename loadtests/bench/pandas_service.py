"""The service as it is usually written: FastAPI, pandas and scikit-learn; the numbers of the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from fastapi import FastAPI, Request, Response
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from proto.model import Model, load_model

__all__ = ["create_app"]

ARROW = "application/vnd.apache.arrow.stream"
DAY = pd.Timedelta(days=1)


class Scorer:
    """A scaler and a KMeans with the coordinates of a fitted model."""

    def __init__(self, model: Model) -> None:
        features = model.features
        self.names = [f.name for f in features]
        self.codes = np.array([s.code for s in model.segments])
        self._logs = [(f.name, 100.0 / f.log_unit) for f in features if f.log]
        self._scaler = StandardScaler().fit(np.array([[0.0] * len(features), [1.0] * len(features)]))
        self._scaler.mean_ = np.array([f.centre for f in features])
        self._scaler.scale_ = np.array([f.spread / (f.sign * f.weight) for f in features])
        centroids = np.array([s.centroid for s in model.segments])
        self._kmeans = KMeans(len(centroids), n_init=1).fit(centroids)
        self._kmeans.cluster_centers_ = centroids

    def score(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with value_score, segment_id and segment."""
        features = frame[self.names].copy()
        for name, factor in self._logs:
            features[name] = np.log1p(features[name].clip(lower=0) * factor)
        points = self._scaler.transform(features.to_numpy())
        segments = self._kmeans.predict(points)
        return frame.assign(value_score=points.sum(axis=1), segment_id=segments, segment=self.codes[segments])


def aggregate(frame: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    groups = frame.groupby("customer_id", sort=False)
    customers = groups.agg(last=("timestamp", "max"), frequency=("amount", "size"), monetary=("amount", "sum"))
    customers["recency_days"] = (as_of - customers.pop("last")) / DAY
    return customers.reset_index()


def create_app(models: str) -> FastAPI:
    """POST /v1/score?model=name, of customers or (with as_of) transactions, as Arrow or as JSON columns."""
    scorers = {path.stem: Scorer(load_model(path.read_bytes())) for path in Path(models).glob("*.json")}
    app = FastAPI()

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/score")
    async def score(request: Request, model: str, as_of: str | None = None) -> Response:
        body = await request.body()
        is_arrow = request.headers["content-type"] == ARROW
        frame = pa.ipc.open_stream(body).read_pandas() if is_arrow else pd.DataFrame(orjson.loads(body)["columns"])
        if as_of is not None:
            frame = aggregate(frame, pd.Timestamp(as_of))
        scored = scorers[model].score(frame)
        return Response(_arrow(scored), media_type=ARROW) if is_arrow else _json(scored)

    return app


def _arrow(frame: pd.DataFrame) -> bytes:
    batch = pa.RecordBatch.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _json(frame: pd.DataFrame) -> Any:
    columns = {name: frame[name].tolist() for name in frame.columns}
    return Response(orjson.dumps({"columns": columns}), media_type="application/json")
