import csv
import json

import numpy as np
from PIL import Image
import pytest

from genmed_jax import options
from genmed_jax.command import entry, flags, sensitivity
from genmed_jax.errors import DecodeError
from genmed_jax.extraction.extractor import Extractor
from genmed_jax.metrics import splits
from genmed_jax.study import scoring
from genmed_jax.study.design import StudyConfig
from genmed_jax.study.run import prepare

PHANTOM = 'phantom:brain?n=130&size=32&tumours=1&contrast=t1'


def config(cache, **given):
  defaults = {
    'reference': PHANTOM,
    'families': ('gaussian', 'external_duplication', 'boundary_blur'),
    'levels': ('gaussian:0.2', 'external_duplication:30,60', 'boundary_blur:3'),
    'seeds': 1,
    'images': 24,
    'features': ('inception_v3_random:64',),
    'metrics': 'fd,kid,authpct,roi_kid,roi_texture',
    'bootstrap': 50,
    'region_size': 24,
    'cache_dir': cache and str(cache),
  }
  return options.build(StudyConfig, defaults | given)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A study, its folder and its cache."""
  folder, cache = (tmp_path_factory.mktemp(name) for name in ('out', 'cache'))
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(splits, 'SPLITS', 5)  # Verdicts stand on errors.
    study = prepare(config(cache)).run()
  study.save(folder)
  return study, folder, cache


def read_csv(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def test_files(finished):
  study, folder, _ = finished
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
  assert len(verdicts) == len(study.effects) == 5 * 3
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
  study, _, _ = finished
  verdict = {(e.family, e.metric): e.verdict for e in study.effects}
  assert verdict['gaussian', 'roi_texture'] == 'responds'
  assert verdict['gaussian', 'authpct'] == 'wrong direction'
  assert verdict['external_duplication', 'authpct'] == 'responds'
  assert verdict['boundary_blur', 'fd'] == 'no response'


def test_finished_conditions_are_not_done_again(
  finished, tmp_path, monkeypatch
):
  _, folder, cache = finished
  monkeypatch.setattr(scoring.Scorer, '_compare', None)
  monkeypatch.setattr(Extractor, 'batches', None)
  prepare(config(cache)).run().save(tmp_path)
  for name in ('sensitivity.csv', 'verdicts.csv'):
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_study_cut_off_goes_on(finished, monkeypatch):
  _, _, cache = finished
  compare, left = scoring.Scorer._compare, [2]

  def cut_off(*args):
    if not left[0]:
      raise KeyboardInterrupt
    left[0] -= 1
    return compare(*args)

  again = prepare(config(cache, bootstrap=40))  # Other scores, same features.
  with monkeypatch.context() as patched:
    patched.setattr(scoring.Scorer, '_compare', cut_off)
    with pytest.raises(KeyboardInterrupt):
      again.run()
  done = []
  monkeypatch.setattr(
    scoring.Scorer, '_compare', lambda *a: done.append(0) or compare(*a)
  )
  again.run()
  assert len(done) == 5 - 2


def test_images_are_written_for_other_tools(finished, tmp_path):
  _, _, cache = finished
  prepare(config(cache)).write_images(tmp_path)
  sets = sorted(path.name for path in tmp_path.iterdir())
  assert sets == [
    'baseline_2020',
    'boundary_blur_3_2020',
    'external_duplication_30_2020',
    'external_duplication_60_2020',
    'gaussian_0.2_2020',
  ]
  for name in sets:
    assert len(list((tmp_path / name).glob('*.png'))) == 24
  clean, noisy = (
    np.float32(Image.open(tmp_path / name / '00000.png'))
    for name in ('baseline_2020', 'gaussian_0.2_2020')
  )
  assert 20 < np.abs(noisy - clean).mean() < 60


def test_run_flags_repeat_the_run(finished, tmp_path):
  study, folder, cache = finished
  others = {'levels': (), 'limit': 99, 'subject_pattern': '(.)=,'}
  (tmp_path / 'study.flags').write_text(study.flag_file)
  (tmp_path / 'other.flags').write_text(
    options.flag_file(config(cache, **others))
  )
  for path, expected in (
    (tmp_path / 'study.flags', config(cache)),
    (folder / 'run.flags', config(cache)),
    (tmp_path / 'other.flags', config(cache, **others)),
  ):
    values = entry._flag_values(sensitivity.COMMAND)
    values(['x', f'--flagfile={path}'])
    parsed = flags.config_of(sensitivity.COMMAND.config, values)
    assert options.narrowed(parsed, StudyConfig) == expected
  assert f'--output_dir={folder}\n' in (folder / 'run.flags').read_text()


def test_without_a_cache_nothing_is_written_and_the_same_is_found(
  finished, tmp_path, monkeypatch
):
  study, _, _ = finished
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('GENMED_JAX_HOME', str(tmp_path / 'home'))
  few = {'families': 'gaussian', 'levels': ('gaussian:0.2',), 'metrics': 'fd'}
  found = prepare(config(None, **few)).run()
  assert not list(tmp_path.iterdir())
  assert found.rows == [
    row
    for row in study.rows
    if row.metric == 'fd' and row.family in ('baseline', 'gaussian')
  ]


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'bootstrap': 1}, '`bootstrap=1`: verdicts need standard errors'),
    (
      {'metrics': 'roi_fd'},
      '`metrics=.roi_fd.`: .* go with one of whole images',
    ),
    ({'metrics': 'fd,roi_fid'}, "unknown metric 'roi_fid'"),
    ({'images': 60}, '130 images of 130 subjects do not make four sets of 60'),
    ({'metrics': 'fd,fod'}, "did you mean 'fd'"),
    (
      {'families': ('mode_collapse',), 'levels': (), 'images': 30},
      'mode_collapse .: .* needed, there are .* to draw from: lower `images`',
    ),
  ],
)
def test_bad_studies(tmp_path, given, message):
  with pytest.raises(ValueError, match=message):
    prepare(config(tmp_path, **given)).run()


def test_images_in_colour_are_refused(tmp_path, random):
  images = random.integers(0, 255, (40, 16, 16, 3)).astype(np.uint8)
  np.savez(tmp_path / 'colour.npz', images=images)
  given = {'reference': str(tmp_path / 'colour.npz'), 'images': 8}
  given |= {'families': ('gaussian',), 'metrics': 'fd'}
  with pytest.raises(DecodeError, match='in colour'):
    prepare(config(tmp_path, **given)).run()
