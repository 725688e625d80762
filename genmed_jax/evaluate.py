"""``python -m genmed_jax.evaluate``: see ``command.evaluate``."""

from genmed_jax.command.main import run

if __name__ == '__main__':
  run('evaluate')
