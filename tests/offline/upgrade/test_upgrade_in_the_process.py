"""`python -m offline` with real models: a tier comes from the hub meanwhile, and takes over between sessions."""

from __future__ import annotations

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from offline.models.store import LLM_NAME, MANIFEST_PATH, llm_file, models_dir, read_manifest
from tests.support.models.fake_hub import REVISION, running_hub
from tests.support.offline.model_folders import link_models
from tests.support.offline.offline_process import OfflineProcess, http_get, offline_process

TIER_NAME = "upgraded-model"


def write_manifest(path: Path, content: mmap.mmap) -> None:
    """Write a manifest whose only further tier is a small language model with `content`, on the hub."""
    listed = json.loads(MANIFEST_PATH.read_text(encoding="utf-8"))["models"]
    carried = [model for model in listed if "llm_tier" not in model and model.get("stt_tier", "base") == "base"]
    source = {"kind": "hub", "repo": "owner/small", "revision": REVISION, "path": f"{TIER_NAME}.gguf"}
    file = {
        "name": f"{TIER_NAME}.gguf",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "sources": [source],
    }
    tier = {"name": TIER_NAME, "does": "writes the replies", "languages": ["en"], "licence": "Apache-2.0"}
    path.write_text(json.dumps({"models": [*carried, {**tier, "llm_tier": "small", "files": [file]}]}), "utf-8")


async def wait_for_stage(server: OfflineProcess, stage: str) -> None:
    """Return at the status line of an upgrade with this stage."""
    while stage not in [news["stage"] for news in (await server.wait_for_line("upgrade"))["news"]]:
        pass


async def receive(connection: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next event of a type."""
    while True:
        event: dict[str, Any] = json.loads(await connection.recv())
        assert event["type"] != "error", event
        if event["type"] == kind:
            return event


async def reply_to(connection: ClientConnection, text: str) -> str:
    """Send a typed message and return the whole reply to it."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await connection.send(json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}}))
    response = (await receive(connection, "response.done"))["response"]
    assert response["status"] == "completed"
    return "".join(part["text"] for item in response["output"] for part in item["content"])


@pytest.mark.models
@pytest.mark.timeout(600)
async def test_tier_from_the_hub_takes_over_after_the_session_that_its_loading_met(tmp_path: Path) -> None:
    carried = next(model for model in read_manifest() if model.name == LLM_NAME)
    root, manifest = tmp_path / "models", tmp_path / "manifest.json"
    link_models(root)
    with (
        llm_file(models_dir(), carried).open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        write_manifest(manifest, content)
        with running_hub(data={"small": content}) as hub:
            async with offline_process(
                launcher=("tests.support.models.upgrading_server", str(manifest)),
                OFFLINE_MODELS=str(root),
                OFFLINE_SESSIONS="1",
                OFFLINE_LLM="auto",
                OFFLINE_STT="base",
                OFFLINE_UPGRADE="1",
                HF_ENDPOINT=hub.url,
            ) as server:
                url = (await server.wait_for_line("listening"))["listening"]
                ready = await server.wait_for_line("ready")
                await wait_for_stage(server, "fetching")
                await wait_for_stage(server, "loading")
                async with connect(url, open_timeout=60) as connection:
                    session = (await receive(connection, "session.created"))["session"]
                    assert session["model"] == ready["model"] != TIER_NAME
                    await wait_for_stage(server, "after_call")
                    assert await reply_to(connection, "Say hello.")
                    assert json.loads((await http_get(url, "/health"))[2])["model"] == ready["model"]
                news = await server.wait_for_line("upgrade")
                while news["model"] == ready["model"]:
                    news = await server.wait_for_line("upgrade")
                assert news["model"] == TIER_NAME
                assert {each["stage"] for each in news["news"]} <= {"few_processors"}
                async with connect(url, open_timeout=60) as connection:
                    assert (await receive(connection, "session.created"))["session"]["model"] == TIER_NAME
                    assert await reply_to(connection, "Say hello.")
            assert hub.requested_tiers == ["small"]
