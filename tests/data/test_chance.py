import jax
import numpy as np

from genmed_jax.data.phantom import chance
from genmed_jax.data.phantom.chance import Draw


def test_draws_are_those_of_keys_that_are_split_one_by_one():
  draws = {
    'few': Draw((1,), (3,)),
    'deep': Draw((0, 5, 2, 1), (2, 24), normal=True),
    'one': Draw((0, 5)),
    'key': Draw((2, 1), None),
  }
  seeds = np.array([7, 7, 2**32 - 1], np.uint32)
  numbers = np.array([0, 3, 99_999], np.uint32)
  found = chance.draw(seeds, numbers, draws)
  for i, (seed, number) in enumerate(zip(seeds, numbers, strict=True)):
    subject = jax.random.fold_in(jax.random.key(seed), number)
    first, second, third = jax.random.split(subject, 3)
    sixth = jax.random.split(first, 12)[5]
    leaf = jax.random.fold_in(jax.random.split(sixth, 3)[2], 1)
    np.testing.assert_allclose(
      found['few'][i], jax.random.uniform(second, (3,)), rtol=1e-6
    )
    np.testing.assert_allclose(
      found['deep'][i], jax.random.normal(leaf, (2, 24)), rtol=1e-5
    )
    np.testing.assert_allclose(
      found['one'][i], jax.random.uniform(sixth), rtol=1e-6
    )
    np.testing.assert_array_equal(
      found['key'][i], jax.random.key_data(jax.random.split(third)[1])
    )


def test_choice_falls_to_classes_by_their_shares():
  shares = (0.4, 0.4, 0.2)
  keys = jax.random.split(jax.random.key(0), 50)
  expected = jax.vmap(
    lambda key: jax.random.choice(key, 3, p=np.array(shares, np.float32))
  )(keys)
  uniform = jax.vmap(jax.random.uniform)(keys)
  found = jax.vmap(lambda number: chance.choice(number, shares))(uniform)
  np.testing.assert_array_equal(found, expected)
