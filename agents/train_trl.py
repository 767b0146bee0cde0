"""Train a language model with TRL's GRPO: ``python -m agents.train_trl --model NAME`` (extra ``trl``, own environment).

``environment_factory`` takes the class ``Investigation`` as it is: each rollout has one, whose ``reset`` is given a row
of the data set and answers with the brief, whose other public methods are the model's tools, and whose ``get_reward``
is the reward. The model's chat template must have tools and be one that TRL can parse, such as Qwen's.
"""

# Type checkers read this file also where TRL is not installed; .ci/run has it checked where it is.
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metric_tracker_env.investigation import Investigation, session_of
from metric_tracker_env.tasks import TASKS, register_task

from .command_line import check_whole, command, described, need, told_in_one_line
from .tasks import SEEDS_PER_RUN, held_out_seeds, task_of, training_seed

if TYPE_CHECKING:
    from datasets import Dataset
    from trl.trainer.grpo_trainer import GRPOTrainer

OPENING = "Investigate with the tools, then submit once.\n\n"  # TRL appends the brief, which ``reset`` returns


@dataclass(frozen=True)
class Options:
    """Options of a run."""

    model: str
    """Name on the Hub, or folder, of a causal language model that has learned to call tools."""
    task: str = "medium_mixed"
    """Named task, or a preset's path."""
    steps: int = 200
    """Updates."""
    seed: int = 0
    """Of sampling and of the episodes, which are the run's own."""
    output: Path | None = None
    """Folder for the model; by default runs/TASK-trl-seedSEED."""
    episodes: int = 64
    """Held-out episodes that the model plays at the end; 0 for none."""
    num_generations: int = 8
    """Rollouts of an episode; GRPO sets each against the mean of its group."""
    groups: int = 4
    """Episodes of an update, on each process."""
    max_completion_length: int = 16384
    """Tokens of a rollout after its prompt; the answers of tools are among them: 12,000 to 42,000 characters."""
    learning_rate: float = 1e-6
    """Falling in a line to 0."""
    vllm: bool = False
    """Sample with vLLM, which must be installed, on the same GPUs."""


def rows(task: str, seeds: Iterable[int]) -> Dataset:
    """One row for each episode; ``Investigation.reset`` takes all its columns."""
    from datasets import Dataset

    prompt = [{"role": "user", "content": OPENING}]
    return Dataset.from_list([{"prompt": prompt, "task": task, "seed": seed} for seed in seeds])


def score(environments: Sequence[Investigation], **_: Any) -> list[float | None]:
    """The score of each rollout, 0 without a submission: the reward but for what was spent."""
    grades = [session_of(environment).standing.grade for environment in environments]
    return [0.0 if grade is None else grade.score for grade in grades]


def build(options: Options) -> GRPOTrainer:
    """The trainer of a run.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    folder, task = check(options), task_of(options.task)
    if TASKS.get(task.name) != task:
        register_task(task)  # that of a preset: ``Investigation.reset`` is told the task by its name
    from torch import cuda
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    config = GRPOConfig(
        output_dir=str(folder),
        seed=options.seed,
        max_steps=options.steps,
        num_generations=options.num_generations,
        per_device_train_batch_size=1,  # rollouts are long; it is the gradient that is of all of them
        gradient_accumulation_steps=options.num_generations * options.groups,
        num_generations_eval=1,
        max_completion_length=options.max_completion_length,
        max_tool_calling_iterations=task.config.step_limit,
        learning_rate=options.learning_rate,
        # In a group where all scores are 0, what was spent is the only difference: scaled to unit variance, it would
        # teach to call no tool.
        scale_rewards="none",
        reward_weights=[0.0],  # of ``score``, which is but logged; TRL gives ``get_reward`` the weight 1
        bf16=cuda.is_available() and cuda.is_bf16_supported(),
        logging_steps=1,
        use_vllm=options.vllm,
    )
    episodes = options.steps * options.groups * config.world_size
    if episodes > SEEDS_PER_RUN:
        raise ValueError(f"steps {options.steps} of groups {options.groups} take more than {SEEDS_PER_RUN} episodes")
    first = training_seed(task, options.seed, episodes)
    return GRPOTrainer(
        model=options.model,
        reward_funcs=[score],
        args=config,
        train_dataset=rows(task.name, range(first, first + episodes)),
        eval_dataset=rows(task.name, held_out_seeds(task, options.episodes)) if options.episodes else None,
        environment_factory=Investigation,
    )


def check(options: Options) -> Path:
    """The folder of the run; refuses what ``build`` says, before a model is loaded."""
    task = task_of(options.task)
    for name in ("steps", "groups", "max_completion_length"):
        check_whole(name, getattr(options, name), 1, SEEDS_PER_RUN)
    check_whole("num_generations", options.num_generations, 2, SEEDS_PER_RUN)
    training_seed(task, options.seed, options.groups)
    if options.episodes:
        held_out_seeds(task, options.episodes)
    if not 0 < options.learning_rate <= 1:
        raise ValueError(f"learning_rate {options.learning_rate!r} is not a number above 0 and up to 1")
    folder = options.output or Path("runs") / f"{task.name}-trl-seed{options.seed}"
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ValueError(f"output {str(folder)!r} {'is a file' if folder.is_file() else 'is not empty'}")
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with options from the command line, then play held-out episodes."""
    need(dict.fromkeys(("tyro", "trl", "datasets"), "trl"), "train_trl")
    import tyro

    with told_in_one_line():
        options = tyro.cli(Options, prog=command("train_trl"), description=described(__doc__), args=arguments)
        try:
            trainer = build(options)
        except OSError as error:  # how transformers tells that there is no such model
            raise ValueError(f"model {options.model!r} cannot be had: {str(error).splitlines()[0]}") from error
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    if options.episodes:
        played = trainer.evaluate()
        print(f"score on {options.episodes} held-out episodes: {played['eval_rewards/score/mean']:.3f}")
    print(f"the model and its log are in {trainer.args.output_dir}")


if __name__ == "__main__":
    main()
