"""``python -m genmed_jax.train``: see ``command.train``."""

from genmed_jax.command.main import run

if __name__ == '__main__':
  run('train')
