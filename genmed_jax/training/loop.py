"""The loop that every training runs: epochs, checkpoints, early stopping."""

import collections
from collections.abc import Callable
import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from absl import logging
import jax
from jax import lax
import numpy as np
import optax
import orbax.checkpoint as ocp
import tqdm

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.report import results
from genmed_jax.training.trained import Functional, Weights

_IN_FLIGHT = 4  # Steps.


@dataclasses.dataclass(frozen=True)
class Plan:
  """How long and how fast is trained.

  Attributes:
    epochs: At most.
    batch_size: Images in a step, over all devices of all processes.
    learning_rate: The largest; a twentieth of the steps lead up to it, and a
      cosine down to zero.
    weight_decay: Of AdamW.
    patience: Epochs without a better validation after which training ends.
    seed: Of weights, order and augmentation.
  """

  epochs: int
  batch_size: int
  learning_rate: float
  weight_decay: float
  patience: int
  seed: int


class Learner(Protocol):
  """What is trained.

  Attributes:
    better: ``min`` or ``max``, of the value that validation calls ``score``.
  """

  better: str

  def init(self, seed: int) -> Any:
    """The state before the first step, a pytree of arrays."""

  def step(self, state: Any, batch: dict) -> tuple[Any, dict]:
    """One step: a pure function that runs per device of the mesh.

    Gradients and losses are to be averaged over ``mesh.DATA_AXIS``.
    """

  def validate(self, state: Any) -> dict[str, float]:
    """How good the state is, on the host; ``score`` among the values."""


class Trained(NamedTuple):
  """The best state, and what the epochs were like."""

  state: Any
  history: list[dict]


class Optimised(NamedTuple):
  """Weights and their optimiser's state."""

  weights: Weights
  optimiser: Any


def adamw(plan: Plan, steps: int) -> optax.GradientTransformation:
  """AdamW whose rate rises, then falls along a cosine; gradients are clipped.

  Args:
    plan: How fast.
    steps: In all epochs.
  """
  warm = max(1, steps // 20)
  rate = optax.warmup_cosine_decay_schedule(
    0.0, plan.learning_rate, warm, max(steps, warm + 1)
  )
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(rate, weight_decay=plan.weight_decay),
  )


def start(
  network: Functional, optimiser: optax.GradientTransformation, seed: int
) -> Optimised:
  """Fresh weights, before the first step."""
  weights = network.init(seed)
  return Optimised(weights, optimiser.init(weights.params))


def descend(
  network: Functional,
  optimiser: optax.GradientTransformation,
  loss: Callable,
  state: Optimised,
) -> tuple[Optimised, dict]:
  """One step down the gradient of a loss that is a mean over images.

  Args:
    network: What is trained.
    optimiser: How.
    loss: ``(apply) -> (loss, losses)``, where ``apply(*args)`` is the network
      on a training batch and ``losses`` are to be reported.
    state: Before.

  Returns:
    The state after, and the reported losses, means over all devices.
  """
  gradient, stats, losses = gradients(network, loss, state.weights)
  change, kept = optimiser.update(
    gradient, state.optimiser, state.weights.params
  )
  params = optax.apply_updates(state.weights.params, change)
  return Optimised(Weights(params, stats), kept), losses


def gradients(network: Functional, loss: Callable, weights: Weights):
  """Gradient, new averages and losses, means over all devices."""

  def of_params(params):
    stats = weights.stats

    def apply(*args, **options):
      nonlocal stats
      output, stats = network.train(Weights(params, stats), *args, **options)
      return output

    value, losses = loss(apply)
    return value, (stats, losses)

  gradient, (stats, losses) = jax.grad(of_params, has_aux=True)(weights.params)
  return (
    lax.pmean(gradient, mesh_lib.DATA_AXIS),
    stats,
    lax.pmean(losses, mesh_lib.DATA_AXIS),
  )


def fit(
  learner: Learner,
  batches,
  plan: Plan,
  folder: Path,
  mesh: jax.sharding.Mesh,
  *,
  described: str,
) -> Trained:
  """Trains until the plan ends or validation gets no better.

  Every epoch ends with a checkpoint under ``folder``; a run that was cut off
  goes on from the last, bit for bit as if it had not been.

  Args:
    learner: What is trained.
    batches: ``epoch(number)`` gives those of an epoch, ``len`` their number.
    plan: How.
    folder: Of the checkpoints.
    mesh: The devices.
    described: What the training depends on: another one is not continued.

  Raises:
    UsageError: if the folder holds another training.
    RuntimeError: if a loss is not finite.
  """
  step = data_parallel(mesh, learner.step)
  with _Checkpoints(folder, described) as checkpoints:
    state = mesh_lib.replicate(mesh, learner.init(plan.seed))
    best, history = state, []
    if (restored := checkpoints.last(state)) is not None:
      state, best, history = restored
    sign = {'min': -1, 'max': 1}[learner.better]
    while not _is_done(history, plan):
      state, means = _epoch(step, state, batches, len(history), plan)
      values = learner.validate(state)
      _check_finite(values['score'], len(history))
      history.append({'epoch': len(history)} | means | values)
      if _best_epoch(history, sign) == len(history) - 1:
        best = state
      history[-1]['best'] = _best_epoch(history, sign)
      logging.info('%s', history[-1])
      checkpoints.save(state, best, history)
  return Trained(best, history)


def data_parallel(mesh: jax.sharding.Mesh, step: Callable) -> Callable:
  """``step(state, batch)`` as one program per device."""
  return jax.jit(
    jax.shard_map(
      step,
      mesh=mesh,
      in_specs=(mesh_lib.REPLICATED, mesh_lib.ROWS),
      out_specs=mesh_lib.REPLICATED,
      check_vma=False,
    )
  )


def _is_done(history: list[dict], plan: Plan) -> bool:
  if not history:
    return False
  waited = history[-1]['epoch'] - history[-1]['best']
  return len(history) >= plan.epochs or waited >= plan.patience


def _best_epoch(history: list[dict], sign: int) -> int:
  return int(np.argmax([sign * line['score'] for line in history]))


def _epoch(step, state, batches, number: int, plan: Plan):
  """All steps of an epoch; the state after it and the mean losses."""
  waiting, done = collections.deque(), []
  with tqdm.tqdm(
    batches.epoch(number),
    desc=f'epoch {number + 1}/{plan.epochs}',
    total=len(batches),
    unit='step',
    leave=None,
    disable=jax.process_index() != 0,
  ) as progress:
    for batch in progress:
      state, losses = step(state, batch)
      waiting.append(losses)
      if len(waiting) > _IN_FLIGHT:
        done.append(jax.device_get(waiting.popleft()))
        progress.set_postfix({k: f'{v:.3g}' for k, v in done[-1].items()})
  done += [jax.device_get(losses) for losses in waiting]
  means = {k: float(np.mean([each[k] for each in done])) for k in done[0]}
  _check_finite(list(means.values()), number)
  return state, means


def _check_finite(values, epoch: int) -> None:
  if not np.isfinite(values).all():
    raise RuntimeError(
      f'the loss of epoch {epoch + 1} is not finite: lower --learning_rate'
    )


class _Checkpoints:
  """The last epoch of a training, on disk."""

  def __init__(self, folder: Path, described: str):
    folder.mkdir(parents=True, exist_ok=True)
    self._manager = ocp.CheckpointManager(
      folder.absolute() / 'epochs',
      options=ocp.CheckpointManagerOptions(max_to_keep=1),
    )
    path = folder / 'training.txt'
    begun = self._manager.latest_step() is not None and path.exists()
    if begun and path.read_text() != described:
      raise UsageError(
        f'{folder} holds a training with other flags or images: give another '
        '--output_dir, or remove it'
      )
    if jax.process_index() == 0:
      results.write_file(path, described)

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self._manager.close()

  def last(self, like):
    """State, best state and history of the last epoch, if there is one."""
    epoch = self._manager.latest_step()
    if epoch is None:
      return None
    tree = ocp.args.StandardRestore({'state': like, 'best': like})
    found = self._manager.restore(
      epoch,
      args=ocp.args.Composite(tree=tree, history=ocp.args.JsonRestore()),
    )
    return found.tree['state'], found.tree['best'], found.history['epochs']

  def save(self, state, best, history: list[dict]) -> None:
    self._manager.save(
      len(history),
      args=ocp.args.Composite(
        tree=ocp.args.StandardSave({'state': state, 'best': best}),
        history=ocp.args.JsonSave({'epochs': history}),
      ),
    )
