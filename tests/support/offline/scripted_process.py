"""`python -m offline` with scripted models, which are ready at once. Its arguments and settings are the real ones."""

from __future__ import annotations

from offline import __main__ as entry_point
from offline.server import RealtimeServer

from .scripted_models import ModelScript, ScriptedModelRuntime


async def load_scripted_models(server: RealtimeServer, *, fetch: bool = False) -> None:
    """Let sessions in, as after the loading of models."""
    workers = ScriptedModelRuntime(ModelScript())
    server.mark_ready(workers, workers.languages)
    entry_point.write_status_line(ready=True, model=workers.model, capacity=server.capacity)


if __name__ == "__main__":
    entry_point.load_models = load_scripted_models  # type: ignore[assignment]
    raise SystemExit(entry_point.main())
