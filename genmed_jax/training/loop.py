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

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.progress import progress
from genmed_jax.errors import RunError
from genmed_jax.training.checkpoints import Checkpoints
from genmed_jax.training.functional import Functional, Weights

_IN_FLIGHT = 4  # Steps.


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
  """Length and speed of a training.

  Attributes:
    epochs: At most.
    batch_size: Images in a step, over all devices of all processes.
    learning_rate: Peak of the rate; a twentieth of the steps lead up to it,
      and a cosine down to zero.
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
  """A model that a training loop trains.

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
    """Validation values on the host, ``score`` among them."""


class Trained(NamedTuple):
  """The best state, and the losses and scores of every epoch."""

  state: Any
  history: list[dict]


class Optimised(NamedTuple):
  """Weights and their optimiser's state."""

  weights: Weights
  optimiser: Any


def adamw(plan: TrainingPlan, steps: int) -> optax.GradientTransformation:
  """AdamW whose rate rises, then falls along a cosine; gradients are clipped.

  Args:
    plan: Length and speed.
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
    network: The model.
    optimiser: Of its parameters.
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
  plan: TrainingPlan,
  folder: Path,
  mesh: jax.sharding.Mesh,
  *,
  described: str,
) -> Trained:
  """Trains until the plan ends or validation gets no better.

  Every epoch ends with a checkpoint under ``folder``; a run that was cut off
  goes on from the last, bit for bit as if it had not been.

  Args:
    learner: The model.
    batches: ``epoch(number)`` gives those of an epoch, ``len`` their number.
    plan: Length and speed.
    folder: Of the checkpoints.
    mesh: The devices.
    described: Digest of all that the training depends on: another training is
      not continued.

  Raises:
    UsageError: if the folder holds another training.
    RunError: if a loss is not finite.
  """
  step = data_parallel(mesh, learner.step)
  with Checkpoints(folder, described) as checkpoints:
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


def _is_done(history: list[dict], plan: TrainingPlan) -> bool:
  if not history:
    return False
  waited = history[-1]['epoch'] - history[-1]['best']
  return len(history) >= plan.epochs or waited >= plan.patience


def _best_epoch(history: list[dict], sign: int) -> int:
  return int(np.argmax([sign * line['score'] for line in history]))


def _epoch(step, state, batches, number: int, plan: TrainingPlan):
  """All steps of an epoch; the state after it and the mean losses."""
  waiting, done = collections.deque(), []
  with progress(
    batches.epoch(number),
    desc=f'epoch {number + 1}/{plan.epochs}',
    total=len(batches),
    unit='step',
  ) as bar:
    for batch in bar:
      state, losses = step(state, batch)
      waiting.append(losses)
      if len(waiting) > _IN_FLIGHT:
        done.append(jax.device_get(waiting.popleft()))
        bar.set_postfix({k: f'{v:.3g}' for k, v in done[-1].items()})
  done += [jax.device_get(losses) for losses in waiting]
  means = {k: float(np.mean([each[k] for each in done])) for k in done[0]}
  _check_finite(list(means.values()), number)
  return state, means


def _check_finite(values, epoch: int) -> None:
  if not np.isfinite(values).all():
    raise RunError(
      f'the loss of epoch {epoch + 1} is not finite: lower `learning_rate`'
    )
