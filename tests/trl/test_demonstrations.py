"""Demonstrations as chats are what TRL's supervised trainer takes: its loading, its template, a step."""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from datasets import load_dataset
from transformers import AutoTokenizer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from agents.demonstrate.command import written
from metric_tracker_env.tasks import get_task

TASK = "easy_single_spike"
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*(gradient_checkpointing|is_gradient_checkpointing):FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*pin_memory:UserWarning"),
]


def plain(messages: object) -> object:
    """Messages with numbers of nine decimals: the reader of JSON that is used there may miss a last bit."""
    return json.loads(json.dumps(messages), parse_float=lambda text: round(float(text), 9))


def test_sft_takes_the_rows(tmp_path: Path) -> None:
    """The rows load as JSON, keep every argument as it was, and a trainer makes a step with them."""
    file = tmp_path / "shown.jsonl"
    rows = written("chat", "analyst", get_task(TASK), range(4))
    file.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    data = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    loaded: list[dict[str, Any]] = data.to_list()
    assert [plain(row["messages"]) for row in loaded] == [plain(json.loads(row)["messages"]) for row in rows]
    model = tiny.make(tmp_path / "tiny", TASK)
    tokenizer = AutoTokenizer.from_pretrained(model)
    first = loaded[0]
    text = tokenizer.apply_chat_template(first["messages"], tools=json.loads(first["tools"]), tokenize=False)
    assert '"name": "list_suspicious_dates"' in text
    assert first["messages"][-1]["content"] in text
    settings = SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=1,
        max_length=256,
        report_to=[],
        use_cpu=True,
        bf16=False,
    )
    trainer = SFTTrainer(model=str(model), args=settings, train_dataset=data, processing_class=tokenizer)
    assert trainer.train().global_step == 1
