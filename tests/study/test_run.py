import csv
import json

import numpy as np
from PIL import Image
import pytest

from genmed_jax import sensitivity
from genmed_jax.errors import DecodeError
from genmed_jax.extraction import extractor as stream
from genmed_jax.study import run, scoring
from genmed_jax.study.design import Config
from tests.evaluation.test_run import parsed_flags

PHANTOM = 'phantom:brain?n=130&size=32&tumours=1&contrast=t1'


def config(folder, cache, **options):
  given = {
    'reference': PHANTOM,
    'families': ('gaussian', 'external_duplication', 'boundary_blur'),
    'levels': ('gaussian:0.2', 'external_duplication:30,60', 'boundary_blur:3'),
    'seeds': 1,
    'images': 24,
    'features': ('inception_v3_random:64',),
    'metrics': 'fd,kid,authpct,roi_kid,roi_texture',
    'bootstrap': 50,
    'region_size': 24,
    'cache_dir': str(cache),
    'output_dir': str(folder),
  }
  return Config(**(given | options))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A study, its folder and its cache."""
  folder, cache = (tmp_path_factory.mktemp(name) for name in ('out', 'cache'))
  effects = run.study(config(folder, cache))
  return effects, folder, cache


def read_csv(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def test_files(finished):
  effects, folder, _ = finished
  lines = read_csv(folder / 'sensitivity.csv')
  assert (
    list(lines[0])
    == (
      'family level seed features metric value baseline percent_change z_score '
      'verdict'
    ).split()
  )
  assert len(lines) == 5 * (1 + 4)
  for line in lines:
    assert np.isfinite(float(line['value']))
    if line['family'] == 'baseline':
      assert line['value'] == line['baseline']
      assert (line['level'], line['z_score']) == ('0', '0.0')
  verdicts = read_csv(folder / 'verdicts.csv')
  assert len(verdicts) == len(effects) == 5 * 3
  report = json.loads((folder / 'sensitivity.json').read_text())
  assert report['provenance']['images']['base'] == 24
  assert report['provenance']['seconds']['extraction'] > 0
  for picture in folder.glob('*.png'):
    assert Image.open(picture).size[0] > 300
  page = (folder / 'sensitivity.md').read_text()
  assert 'phantom numbers' in page
  assert all(f'({p.name})' in page for p in folder.glob('*.png'))
  tables = (folder / 'tables.md').read_text()
  heads = ('baseline | 0.2 |', 'baseline | 30 | 60 |', 'baseline | 3 |')
  assert [tables.count(head) for head in heads] == [1, 1, 1]
  first = next(line for line in lines if line['family'] == 'gaussian')
  assert f'| `fd` | {float(first["baseline"]):.3g} (' in tables


def test_metrics_see_what_they_should(finished):
  effects, _, _ = finished
  verdict = {(e.family, e.metric): e.verdict for e in effects}
  assert verdict['gaussian', 'roi_texture'] == 'responds'
  assert verdict['gaussian', 'authpct'] == 'wrong direction'
  assert verdict['external_duplication', 'authpct'] == 'responds'
  assert verdict['boundary_blur', 'fd'] == 'no response'


def test_finished_conditions_are_not_done_again(
  finished, tmp_path, monkeypatch
):
  _, folder, cache = finished
  monkeypatch.setattr(scoring.Scorer, '_compare', None)
  monkeypatch.setattr(stream.Extractor, '_fill', None)
  run.study(config(tmp_path, cache))
  for name in ('sensitivity.csv', 'verdicts.csv'):
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_study_cut_off_goes_on(finished, tmp_path, monkeypatch):
  _, folder, cache = finished
  compare, left = scoring.Scorer._compare, [2]

  def cut_off(*args):
    if not left[0]:
      raise KeyboardInterrupt
    left[0] -= 1
    return compare(*args)

  again = config(tmp_path, cache, bootstrap=40)  # Other scores, same features.
  with monkeypatch.context() as patched:
    patched.setattr(scoring.Scorer, '_compare', cut_off)
    with pytest.raises(KeyboardInterrupt):
      run.study(again)
  done = []
  monkeypatch.setattr(
    scoring.Scorer, '_compare', lambda *a: done.append(0) or compare(*a)
  )
  run.study(again)
  assert len(done) == 5 - 2


def test_images_are_written_for_other_tools(finished, tmp_path):
  _, _, cache = finished
  run.study(config(tmp_path, cache, write_images=True))
  sets = sorted(path.name for path in (tmp_path / 'images').iterdir())
  assert sets == [
    'baseline_2020',
    'boundary_blur_3_2020',
    'external_duplication_30_2020',
    'external_duplication_60_2020',
    'gaussian_0.2_2020',
  ]
  for name in sets:
    assert len(list((tmp_path / 'images' / name).glob('*.png'))) == 24
  clean, noisy = (
    np.float32(Image.open(tmp_path / 'images' / name / '00000.png'))
    for name in ('baseline_2020', 'gaussian_0.2_2020')
  )
  assert 20 < np.abs(noisy - clean).mean() < 60


def test_run_flags_repeat_the_run(finished, tmp_path):
  _, folder, _ = finished
  flags = parsed_flags(folder / 'run.flags', sensitivity)
  assert flags.levels == list(config('', '').levels)
  assert flags.metrics == 'fd,kid,authpct,roi_kid,roi_texture'
  assert flags.families == list(config('', '').families)


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'bootstrap': 1}, '--bootstrap=1: verdicts need standard errors'),
    ({'metrics': 'roi_fd'}, 'stand beside one of whole images'),
    ({'metrics': 'fd,roi_fid'}, "unknown metric 'roi_fid'"),
    ({'images': 60}, '130 images of 130 subjects do not make four sets of 60'),
    ({'metrics': 'fd,fod'}, "did you mean 'fd'"),
    (
      {'families': ('mode_collapse',), 'levels': (), 'images': 30},
      'mode_collapse .: .* needed, there are .* to draw from: lower --images',
    ),
  ],
)
def test_bad_studies(tmp_path, options, message):
  with pytest.raises(ValueError, match=message):
    run.study(config(tmp_path, tmp_path, **options))


def test_images_in_colour_are_refused(tmp_path, random):
  images = random.integers(0, 255, (40, 16, 16, 3)).astype(np.uint8)
  np.savez(tmp_path / 'colour.npz', images=images)
  options = {'reference': str(tmp_path / 'colour.npz'), 'images': 8}
  options |= {'families': ('gaussian',), 'metrics': 'fd'}
  with pytest.raises(DecodeError, match='in colour'):
    run.study(config(tmp_path, tmp_path, **options))
