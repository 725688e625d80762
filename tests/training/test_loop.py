import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genmed_jax.downstream import segmentation
from genmed_jax.downstream.segmentation import SegmenterConfig
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.training import loop as training
from genmed_jax.training.batches import Batches, Pictures
from genmed_jax.training.loop import fit, TrainingPlan

PLAN = TrainingPlan(3, 8, 1e-2, 1e-4, 3, 0)


@pytest.fixture(scope='module')
def pictures():
  random = np.random.default_rng(0)
  masks = random.random((24, 4, 4)).repeat(4, axis=1).repeat(4, axis=2) < 0.4
  noise = random.integers(0, 60, masks.shape)
  return Pictures(np.uint8(150 * masks + noise)[..., None], masks)


def learner_of(pictures, mesh, norm='group', plan=PLAN):
  config = SegmenterConfig(16, 1, 4, 1, norm)
  return segmentation.SegmentationLearner(config, plan, 9, pictures, mesh)


def batches_of(pictures, mesh):
  return Batches(mesh, pictures._asdict(), PLAN.batch_size, seed=3)


@pytest.mark.parametrize('norm', ['group', 'batch'])
def test_gradients_do_not_depend_on_the_devices(pictures, norm, monkeypatch):
  # With plain descent at rate 1, a step is the gradient.
  monkeypatch.setattr(segmentation, 'adamw', lambda *_: optax.sgd(1.0))
  steps = []
  for devices in (1, 4):
    mesh = mesh_lib.data_mesh(jax.devices()[:devices])
    learner = learner_of(pictures, mesh, norm)
    before = learner.init(0)
    batch = next(batches_of(pictures, mesh).epoch(0))
    after, _ = training.data_parallel(mesh, learner.step)(before, batch)
    steps.append(
      jax.tree.map(
        lambda a, b: np.asarray(a) - b, after.weights, before.weights
      )
    )
  largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(steps[0]))
  assert largest > 1e-3
  for one, four in zip(*map(jax.tree.leaves, steps), strict=True):
    np.testing.assert_allclose(four, one, atol=1e-5 * largest)


def test_a_resumed_training_equals_an_uninterrupted_one(
  pictures, tmp_path, monkeypatch
):
  mesh = mesh_lib.data_mesh(jax.devices()[:1])

  def run(folder):
    learner = learner_of(pictures, mesh, norm='batch')
    batches = batches_of(pictures, mesh)
    return fit(learner, batches, PLAN, folder, mesh, described='this')

  whole = run(tmp_path / 'whole')
  with monkeypatch.context() as patched:
    epochs = training._epoch

    def cut_off(step, state, batches, number, plan):
      if number == 1:
        raise KeyboardInterrupt
      return epochs(step, state, batches, number, plan)

    patched.setattr(training, '_epoch', cut_off)
    with pytest.raises(KeyboardInterrupt):
      run(tmp_path / 'cut')
  resumed = run(tmp_path / 'cut')
  assert len(whole.history) == 3
  assert json.dumps(resumed.history) == json.dumps(whole.history)
  jax.tree.map(np.testing.assert_array_equal, resumed.state, whole.state)
  # A third run has nothing left to do.
  monkeypatch.setattr(training, '_epoch', None)
  assert run(tmp_path / 'cut').history == whole.history


class Scripted:
  """A learner whose validation says what it is told to."""

  better = 'max'

  def __init__(self, scores, loss=1.0):
    self.scores = scores
    self.loss = loss

  def init(self, seed):
    return jnp.zeros(())

  def step(self, state, batch):
    return state + 1, {'loss': jnp.asarray(self.loss)}

  def validate(self, state):
    return {'score': self.scores[int(state) // 3 - 1]}


def test_training_stops_early_and_keeps_the_best(pictures, tmp_path):
  mesh = mesh_lib.data_mesh()
  plan = dataclasses.replace(PLAN, epochs=9, patience=2)
  learner = Scripted([0.1, 0.5, 0.3, 0.4, 0.9])
  found = fit(
    learner, batches_of(pictures, mesh), plan, tmp_path, mesh, described=''
  )
  assert len(found.history) == 4
  assert found.history[-1]['best'] == 1
  assert int(found.state) == 6


def test_what_cannot_go_on_says_so(pictures, tmp_path):
  mesh = mesh_lib.data_mesh()
  batches = batches_of(pictures, mesh)
  for unable in (Scripted([0], np.nan), Scripted([np.nan])):
    with pytest.raises(RuntimeError, match='epoch 1 is not finite'):
      fit(unable, batches, PLAN, tmp_path, mesh, described='a')
  # Nothing is lost where no epoch was finished.
  fit(Scripted([0, 0, 0]), batches, PLAN, tmp_path, mesh, described='b')
  with pytest.raises(ValueError, match='holds a training with other flags'):
    fit(Scripted([0]), batches, PLAN, tmp_path, mesh, described='c')
  with pytest.raises(ValueError, match='there are 24 images to train on'):
    Batches(mesh, pictures._asdict(), 32, seed=0)


def test_batches_are_a_permutation_and_depend_on_seed_and_epoch(mesh):
  numbers = np.arange(20)
  batches = Batches(mesh, {'n': numbers}, 8, seed=1)
  size = -(-8 // mesh.devices.size) * mesh.devices.size
  assert len(batches) == 20 // size
  first, again, second = (
    np.concatenate([np.asarray(b['n']) for b in batches.epoch(e)])
    for e in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert len(set(first.tolist())) == len(first)
  assert (first != second).any()
  keys = [np.asarray(b['keys']) for e in (0, 1) for b in batches.epoch(e)]
  assert len(np.unique(np.concatenate(keys), axis=0)) == 2 * len(first)
