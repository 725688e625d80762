import dataclasses

import jax
import numpy as np
import pytest

from genmed_jax.data.features import Features


@pytest.fixture
def features(random):
  return Features(
    'set',
    random.random((7, 3)),
    {'logits': random.random((7, 2)), 'spatial': random.random((7, 4, 2))},
    np.arange(10, 17),
    [f'{i}.png' for i in range(7)],
    {'class': np.array(list('aabbccd'))},
    skipped=2,
  )


def test_images_are_taken_with_all_that_is_known_of_them(features):
  few = features.take(np.array([5, 1]))
  assert (few.name, len(few), few.skipped) == ('set', 2, 2)
  np.testing.assert_array_equal(few.values, features.values[[5, 1]])
  for name, output in few.outputs.items():
    np.testing.assert_array_equal(output, features.outputs[name][[5, 1]])
  assert few.outputs.keys() == features.outputs.keys()
  assert few.numbers.tolist() == [15, 11]
  assert few.ids == ['5.png', '1.png']
  assert few.labels['class'].tolist() == ['c', 'a']


def test_one_process_works_on_everything(features):
  assert features.share() is features


@pytest.mark.parametrize('processes', [2, 3, 9])
def test_shares_of_processes_make_the_whole(features, processes, monkeypatch):
  monkeypatch.setattr(jax, 'process_count', lambda: processes)
  shares = []
  for process in range(processes):
    monkeypatch.setattr(jax, 'process_index', lambda at=process: at)
    shares.append(features.share())
  assert max(map(len, shares)) - min(map(len, shares)) <= 1
  together = np.concatenate([share.values for share in shares])
  np.testing.assert_array_equal(together, features.values)
  assert [i for share in shares for i in share.ids] == features.ids


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_the_resolution_is_at_least_that_of_the_dtype(features, dtype):
  values = features.values - np.median(features.values, axis=0)
  norm = np.median(np.linalg.norm(values, axis=1))
  values = features.values.astype(dtype)
  found = dataclasses.replace(features, values=values, moved=1e-20)
  least = 4 * np.finfo(dtype).eps * norm
  np.testing.assert_allclose(found.resolution, least, rtol=1e-4)
  found = dataclasses.replace(found, moved=1.0)
  assert found.resolution == 8
