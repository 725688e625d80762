"""``python -m genmed_jax.convert``: see ``command.convert``."""

from genmed_jax.command.main import run

if __name__ == '__main__':
  run('convert')
