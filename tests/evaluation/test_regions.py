"""Regions of interest in an evaluation."""

import numpy as np
import pytest

from genmed_jax import options
from genmed_jax.data import regions as data_regions
from genmed_jax.data.formats import open_source
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import EvaluationConfig
from genmed_jax.evaluation.regions import RegionSets
from genmed_jax.evaluation.run import prepare
from genmed_jax.evaluation.sets import Sets

REAL = 'phantom:brain?n=40&size=64&tumours=1&contrast=t1'
NAMES = 'roi_fd,roi_precision,roi_sharpness,roi_texture'


def evaluated(**given):
  config = {
    'reference': REAL,
    'generated': (f'same={REAL}&seed=3',),
    'features': 'inception_v3_random:64',
    'metrics': NAMES,
  }
  return prepare(options.build(EvaluationConfig, config | given)).run()


def region_sets(**given):
  source = open_source(REAL.replace('tumours=1', 'tumours=0.5'))
  return source, RegionSets(Sets(source, [], None, None), 'dtype', **given)


def test_crops_are_of_images_with_a_region_at_one_size():
  source, sets = region_sets()
  crops = sets.crops(source)
  extents = [
    data_regions.extent(source.read_mask(i)) for i in range(len(source))
  ]
  there = np.flatnonzero(extents)
  assert 0 < len(there) < len(source)
  np.testing.assert_array_equal(crops.numbers, there)
  size = data_regions.usual_size(np.array(extents)[there])
  assert crops.read(0).shape == (size, size, 1)
  assert crops.read_mask(0).any()
  assert list(crops.labels['class']) == list(source.labels['class'][there])
  _, other = region_sets(size=24)
  assert other.crops(source).read(0).shape == (24, 24, 1)
  assert other.crops(source).stamp(0) != crops.stamp(0)


def test_statistics_are_those_of_the_crops():
  source, sets = region_sets()
  found = sets.statistics(source)
  crops = sets.crops(source)
  both = (
    np.stack([read(i) for i in range(len(crops))])
    for read in (lambda i: crops.read(i)[:, :, 0], crops.read_mask)
  )
  expected = data_regions.describe(data_regions.Regions(*both))
  np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-6)


def test_masks_may_be_found_by_another():
  everywhere = lambda source: lambda i: np.ones((64, 64), bool)  # noqa: E731
  source, sets = region_sets(masks=everywhere)
  assert len(sets.crops(source)) == len(source)
  assert sets.crops(source).read(0).shape == (64, 64, 1)


def test_region_metrics_have_values_and_floors():
  rows = {row.metric: row for row in evaluated().rows}
  assert set(rows) == set(NAMES.split(','))
  for row in rows.values():
    assert np.isfinite([row.value, row.std_error, row.floor, row.excess]).all()
  assert rows['roi_fd'].features == 'inception_v3_random:64'
  assert rows['roi_texture'].features == 'regions'


def test_a_set_without_regions_gives_a_reason():
  made = f'none={REAL.replace("tumours=1", "tumours=0")}'
  rows = evaluated(generated=(made,)).rows
  for row in rows:
    assert row.value is None
    assert row.n_generated == 0
    assert 'got 0' in row.note[0]


@pytest.fixture
def without_masks(tmp_path, random):
  path = tmp_path / 'images.npz'
  source = open_source(REAL)
  images = np.stack([source.read(i) for i in range(len(source))])
  np.savez(path, images=images[..., 0])
  return str(path)


def test_without_masks_there_are_no_regions(without_masks):
  with pytest.raises(UsageError, match='roi_fd needs .* masked regions'):
    evaluated(reference=without_masks)
  rows = evaluated(reference=without_masks, metrics='fd').rows
  assert [row.metric for row in rows] == ['fd']


def test_without_masks_the_segmenter_finds_them(without_masks):
  rows = evaluated(
    reference=without_masks,
    segmenter='phantom',
    dice_predictor='phantom',
    metrics='roi_texture',
  ).rows
  (row,) = rows
  assert row.n_reference > 30
  assert np.isfinite(row.value)
  assert "the regions are the segmenter's" in row.note
