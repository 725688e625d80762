from genmed_jax.command import entry
from tests.command.test_entry import command_of

PHANTOM = 'phantom:brain?n=48&size=16&tumours=1&contrast=t1'


def test_verdicts_are_printed_and_images_written_on_request(tmp_path, capsys):
  entry.run(
    command_of('sensitivity'),
    [
      PHANTOM,
      '--families=gaussian',
      '--levels=gaussian:0.2',
      '--seeds=1',
      '--images=8',
      '--features=inception_v3_random:64',
      '--metrics=mmd_poly',
      '--bootstrap=20',
      '--write_images',
      f'--cache_dir={tmp_path / "cache"}',
      f'--output_dir={tmp_path / "out"}',
    ],
  )
  printed = capsys.readouterr().out
  assert printed.startswith('inception_v3_random:64:')
  assert '| `mmd_poly` |' in printed
  assert (tmp_path / 'out' / 'sensitivity.csv').exists()
  assert len(list((tmp_path / 'out' / 'images').glob('*/*.png'))) == 2 * 8
