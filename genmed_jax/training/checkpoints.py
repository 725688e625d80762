"""Checkpoints of a training, and folders of networks that are trained."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from genmed_jax.errors import UsageError
from genmed_jax.networks import weights
from genmed_jax.report.files import write_file
from genmed_jax.training.functional import Weights


class Checkpoints:
  """The last epoch of a training, on disk."""

  def __init__(self, folder: Path, described: str):
    """Opens the folder of a training, or begins one.

    Args:
      folder: Of the training.
      described: Digest of all that it depends on.

    Raises:
      UsageError: if the folder holds another training.
    """
    import orbax.checkpoint as ocp

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
        '`output_dir`, or remove it'
      )
    if jax.process_index() == 0:
      write_file(path, described)

  def __enter__(self) -> 'Checkpoints':
    """The checkpoints."""
    return self

  def __exit__(self, *error) -> None:
    """Waits for what is being written."""
    self._manager.close()

  def last(self, like: Any) -> tuple[Any, Any, list[dict]] | None:
    """State, best state and history of the last epoch, if there is one."""
    import orbax.checkpoint as ocp

    epoch = self._manager.latest_step()
    if epoch is None:
      return None
    tree = ocp.args.StandardRestore({'state': like, 'best': like})
    found = self._manager.restore(
      epoch,
      args=ocp.args.Composite(tree=tree, history=ocp.args.JsonRestore()),
    )
    return found.tree['state'], found.tree['best'], found.history['epochs']

  def save(self, state: Any, best: Any, history: list[dict]) -> None:
    """Writes an epoch in the place of the one before."""
    import orbax.checkpoint as ocp

    # Of arrays on several devices orbax would have each write a slice, and
    # compile a program for every shape.
    tree = jax.device_get({'state': state, 'best': best})
    self._manager.save(
      len(history),
      args=ocp.args.Composite(
        tree=ocp.args.StandardSave(tree),
        history=ocp.args.JsonSave({'epochs': history}),
      ),
    )


def save_network(folder: Path, kind: str, of: Weights, manifest: dict) -> None:
  """Writes a trained network in the place of an earlier one.

  Args:
    folder: Made, with those above it.
    kind: Its task, checked when it is loaded.
    of: Its weights.
    manifest: Its config and its scores, for JSON.
  """
  leaves = {
    f'{part}/{path}': np.asarray(leaf)
    for part, tree in of._asdict().items()
    for path, leaf in tree.items()
  }
  described = {'kind': kind, 'sha256': weights.fingerprint(leaves)} | manifest
  weights.save(folder, leaves, described)


def load_network(folder: Path, *kinds: str) -> tuple[Weights, dict]:
  """Weights and manifest of a network that was trained here.

  Args:
    folder: Of the network.
    kinds: Tasks that are accepted.

  Raises:
    UsageError: if there is none, or one of another kind.
  """
  try:
    leaves, manifest = weights.load(folder)
  except (OSError, ValueError) as error:
    raise UsageError(
      f'{folder}: no {" or ".join(kinds)} that `python -m genmed_jax.train` '
      'has finished'
    ) from error
  if (kind := manifest.get('kind')) not in kinds:
    raise UsageError(f'{folder}: holds a {kind}, not a {" or ".join(kinds)}')
  parts = Weights({}, {})
  for path, leaf in leaves.items():
    part, _, name = path.partition('/')
    getattr(parts, part)[name] = leaf
  return parts, manifest
