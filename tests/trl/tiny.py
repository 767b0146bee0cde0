"""A tiny language model with random weights and a tokenizer of its own, made here: no weights need be had."""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl.chat_template_utils import qwen2_5_chat_template

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import Session

BEGIN, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
VOCABULARY = 2048


def make(folder: Path, task: str, seed: int = 0) -> Path:
    """Write model and tokenizer as Qwen2.5's are, with TRL's copy of its chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(task), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, padding_side="left")
    fast.chat_template = qwen2_5_chat_template
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=65536,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PAD),
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def corpus(task: str) -> list[str]:
    """What the tokenizer learns from: the tools, the brief and the answers of one episode."""
    session = Session(task)
    told = [json.dumps(session.schemas), session.begin(0)]

    def call(tool: str, arguments: dict[str, object]) -> str:
        told.append(session.call(tool, arguments).text)
        return told[-1]

    converse(investigate(session.config.generator), call)
    return told
