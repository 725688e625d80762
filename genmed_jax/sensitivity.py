"""``python -m genmed_jax.sensitivity``: see ``command.sensitivity``."""

from genmed_jax.command.main import run

if __name__ == '__main__':
  run('sensitivity')
