"""``python -m genmed_jax.sample``: see ``command.sample``."""

from genmed_jax.command.main import run

if __name__ == '__main__':
  run('sample')
