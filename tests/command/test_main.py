import sys

import pytest

import genmed_jax
from genmed_jax.command import main
from tests.command.test_entry import command_of


def run(monkeypatch, *arguments):
  monkeypatch.setattr(sys, 'argv', ['genmed', *arguments])
  monkeypatch.setattr(sys, 'path', list(sys.path))
  main.main()


@pytest.mark.parametrize('arguments', [(), ('--help',), ('help',)])
def test_help_names_every_command(monkeypatch, capsys, arguments):
  run(monkeypatch, *arguments)
  text = capsys.readouterr().out
  assert all(f'  {name} ' in text for name in main.COMMANDS)


def test_version(monkeypatch, capsys):
  run(monkeypatch, '--version')
  assert capsys.readouterr().out == f'genmed_jax {genmed_jax.__version__}\n'


@pytest.mark.parametrize('name', main.COMMANDS)
def test_commands_are_called_by_their_names(monkeypatch, capsys, name):
  assert command_of(name).name == name
  run(monkeypatch, name, '--help')
  assert f'genmed {name}' in capsys.readouterr().out


def test_unknown_commands(monkeypatch, capsys):
  with pytest.raises(SystemExit) as ended:
    run(monkeypatch, 'evalute')
  assert ended.value.code == 2
  assert "no command 'evalute'; there are evaluate" in capsys.readouterr().err
