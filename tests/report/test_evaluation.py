import json

import numpy as np
import pytest

from genmed_jax.report.evaluation import Evaluation
from genmed_jax.report.results import Result
from genmed_jax.statistics.direction import Direction


def row(generated, metric, value, **given):
  fields = {
    'generated': generated,
    'features': 'net_1',
    'group': 'overall',
    'metric': metric,
    'value': value,
    'std_error': None,
    'ci_low': None,
    'ci_high': None,
    'floor': 0.25,
    'floor_std_error': 0.5,
    'floor_n': 4,
    'value_at_floor_n': None,
    'excess': None,
    'direction': Direction.LOWER,
    'n_reference': 9,
    'n_generated': 8,
    'note': (),
  }
  return Result(**(fields | given))


@pytest.fixture
def evaluation():
  rows = [
    row('a|b', 'fd', 1.5, std_error=0.125, ci_low=1.0, ci_high=2.0, excess=2.5),
    row('c<d', 'fd', None, note=('too few images',)),
    row('a|b', 'ct', -2.0, direction=Direction.ZERO, excess=-123.4),
  ]
  samples = {'a|b': [{'image': 0, 'realism': 0.5}, {'image': 1, 'id': 'x'}]}
  return Evaluation(rows, samples, {'seed': 1}, '--seed=1\n')


def test_text_has_a_line_per_metric_and_a_column_per_set(evaluation):
  lines = str(evaluation).splitlines()
  assert lines[0].split() == (
    'features group metric better a|b c<d floor'.split()
  )
  assert lines[2].split() == (
    'net_1 overall fd lower 1.5 ± 0.12 (+2.5) - 0.25'.split()
  )
  assert lines[3].split() == (
    'net_1 overall ct target:0 -2 (-123) - 0.25'.split()
  )
  assert lines[-2].startswith('in brackets: the excess')
  assert lines[-1] == 'too few images: fd of c<d'


@pytest.mark.parametrize(
  ('form', 'head', 'cells'),
  [
    ('to_markdown', r'| features | group |', r'| 1.5 ± 0.12 (+2.5) | - |'),
    ('to_markdown', r'a\|b', 'c<d'),
    (
      'to_latex',
      r'\begin{tabular}{lllllll}',
      r'1.5 $\pm$ 0.12 (+2.5) & - & 0.25',
    ),
    ('to_latex', r'net\_1', 'target:0'),
    ('_repr_html_', '<th>c&lt;d</th>', '<td>1.5 &plusmn; 0.12 (+2.5)</td>'),
  ],
)
def test_tables_escape_names(evaluation, form, head, cells):
  text = getattr(evaluation, form)()
  assert head in text
  assert cells in text


def test_saved_files_are_whole_and_stale_ones_go(evaluation, tmp_path):
  for name in ('samples_old.csv', 'agreement.csv', 'other.txt'):
    (tmp_path / name).write_text('old')
  evaluation.save(tmp_path)
  assert {path.name for path in tmp_path.iterdir()} == {
    'results.csv',
    'results.json',
    'run.flags',
    'samples_a_b.csv',
    'other.txt',
  }
  flags = (tmp_path / 'run.flags').read_text()
  assert flags == f'--seed=1\n--output_dir={tmp_path}\n'
  assert (tmp_path / 'samples_a_b.csv').read_text() == (
    'image,realism,id\n0,0.5,\n1,,x\n'
  )
  table = (tmp_path / 'results.csv').read_text().splitlines()
  assert table[0] == ','.join(Result._fields)
  assert table[2] == (
    'c<d,net_1,overall,fd,,,,,0.25,0.5,4,,,lower,9,8,too few images'
  )
  report = json.loads((tmp_path / 'results.json').read_text())
  assert report == json.loads(json.dumps(evaluation.to_dict()))
  assert report['results'][2]['direction'] == 'target:0'


def test_arrays_leave_no_flags(evaluation, tmp_path):
  (tmp_path / 'run.flags').write_text('of another run')
  evaluation = Evaluation(evaluation.rows, {}, {}, None)
  evaluation.save(tmp_path)
  assert not (tmp_path / 'run.flags').exists()


def test_agreement_needs_a_predicted_dice(evaluation, random):
  assert evaluation.agreement is None
  rows = [
    row(name, metric, float(value), direction=direction)
    for metric, direction in (
      ('fd', Direction.LOWER),
      ('predicted_dice', Direction.HIGHER),
    )
    for name, value in zip('abcde', random.random(5), strict=True)
  ]
  found = Evaluation(rows, {}, {}, None).agreement
  assert [each.metric for each in found.agreements] == ['fd']
  assert found.agreements[0].sets == 5


def test_pandas_has_the_columns_of_the_csv(evaluation):
  pytest.importorskip('pandas')
  frame = evaluation.to_pandas()
  assert tuple(frame.columns) == Result._fields
  assert np.isnan(frame['value'][1])
  assert frame['note'][1] == 'too few images'
