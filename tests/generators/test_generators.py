import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from genmed_jax.generators import ddpm, GENERATORS, vqvae, wgan
from genmed_jax.generators.task import draw, train_generator, write_images
from genmed_jax.training.config import TASKS, TrainingConfig


def test_signal_and_noise_have_unit_variance():
  signal, noise = ddpm.signal_and_noise(np.linspace(0, 1, 11))
  np.testing.assert_allclose(signal**2 + noise**2, 1.0, rtol=1e-6)
  assert np.all(np.diff(signal) < 0)
  assert signal[0] > 0.999
  assert signal[-1] < 1e-6


def test_what_is_denoised_perfectly_has_no_noise(monkeypatch):
  def knows(weights, noisy, time):
    signal, share = ddpm.signal_and_noise(time)
    noise = (noisy - signal * weights) / share
    return signal * noise - share * weights

  monkeypatch.setattr(ddpm, 'network', lambda config: knows)
  image = ddpm.sample(ddpm.DDPMConfig(8, 1, 8, 1), 0.25, jax.random.key(0))
  np.testing.assert_allclose(image, np.full((8, 8, 1), 0.25), atol=1e-5)


def test_a_diffusion_model_takes_sides_it_can_halve():
  with pytest.raises(ValueError, match='`depth=3` takes multiples of 16'):
    ddpm.network(ddpm.DDPMConfig(72, 1, 8, 3))


def test_prior_sees_only_what_is_before(random):
  config = vqvae.VQVAEConfig(16, 1, 8)
  functional = vqvae.network(config)
  prior = functional.module(functional.init(0)).prior
  codes = random.integers(0, 245, (1, 4, 4))
  changed = codes.copy()
  changed[0, 2, 1] += 1
  differs = np.any(np.asarray(prior(codes) != prior(changed % 245)), -1)[0]
  flat = differs.reshape(-1)
  assert not flat[: 2 * 4 + 2].any()
  assert flat[2 * 4 + 2]


def test_codes_are_what_is_decoded(random):
  config = vqvae.VQVAEConfig(16, 1, 8)
  functional = vqvae.network(config)
  model = functional.module(functional.init(0))
  images = np.float32(random.uniform(-1, 1, (4, 16, 16, 1)))
  coded = model(images)
  assert len(np.unique(coded.codes)) > 20  # Of 64.
  assert 0 <= coded.codes.min() <= coded.codes.max() < 7 * 7 * 5
  np.testing.assert_allclose(
    model.decoded(coded.codes), np.clip(coded.images, -1, 1), atol=1e-5
  )


def test_a_gan_takes_powers_of_two():
  with pytest.raises(ValueError, match='not 48 and 8'):
    wgan.network(wgan.WGANConfig(48, 1, 8))


def test_gradient_penalty_has_the_gradient_of_its_definition(random):
  images = np.float32(random.standard_normal((3, 4, 4, 2)))
  kernels = {
    'inner': np.float32(random.standard_normal((32, 16))) / 4,
    'outer': np.float32(random.standard_normal(16)) / 2,
  }

  def critic(kernels, images):
    found = images.reshape(len(images), -1) @ kernels['inner']
    return jnp.tanh(found) @ kernels['outer']

  def ours(kernels):
    return wgan.gradient_penalty(lambda x: critic(kernels, x), images)

  def defined(kernels):
    slopes = jax.grad(lambda x: critic(kernels, x).sum())(images)
    norms = jnp.sqrt((slopes**2).sum((1, 2, 3)))
    return jnp.mean((norms - 1) ** 2)

  found, expected = (jax.value_and_grad(f)(kernels) for f in (ours, defined))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
    found,
    expected,
  )


def test_every_family_is_a_task_of_training():
  assert [GENERATORS[name].name for name in GENERATORS] == list(GENERATORS)
  assert set(GENERATORS) <= set(TASKS)


@pytest.mark.parametrize('task', GENERATORS)
def test_generators_learn_and_draw(task, tmp_path):
  """Bright discs on black: what is drawn is bright where they are."""
  rows, columns = np.indices((16, 16))
  radii = np.random.default_rng(0).uniform(3, 6, 800)
  discs = np.hypot(rows - 8, columns - 8) < radii[:, None, None]
  np.savez(tmp_path / 'discs.npz', images=255 * discs.astype(np.uint8))
  out = tmp_path / task
  train_generator(
    TrainingConfig(
      task=task,
      train=str(tmp_path / 'discs.npz'),
      image_size=16,
      width=16,
      depth=2,
      epochs=5,
      batch_size=20,
      learning_rate=1e-2,
      output_dir=str(out),
    )
  )
  drawn = np.stack(list(draw(out, 16, seed=0)))[..., 0]
  error = np.abs(drawn.mean(0) - 255 * discs.mean(0)).mean()
  assert error < 40  # Of black it is 66, of noise or of grey 120.
  write_images(out, 3, 0, tmp_path / 'images')
  written = np.asarray(Image.open(tmp_path / 'images' / '000001.png'))
  np.testing.assert_array_equal(written, drawn[1])
  assert len(list((tmp_path / 'images').glob('*.png'))) == 3
  with pytest.raises(ValueError, match='has images already'):
    write_images(out, 3, 0, tmp_path / 'images')


def test_no_generator(tmp_path):
  with pytest.raises(ValueError, match='no vae or gan or ddpm that'):
    next(draw(tmp_path, 1, seed=0))
  assert jax.device_count() == 4
