"""The shell completes commands, flags and names of models."""

import shutil
import subprocess

import pytest

from chainer_zoo import catalog
from chainer_zoo import commands


@pytest.fixture
def script(capsys):
    def script(shell):
        assert commands.main(['completion', shell]) == 0
        return capsys.readouterr().out

    return script


def complete(script, *words):
    """Return what bash offers for the last of ``words``."""
    line = (
        f'{script}\nCOMP_WORDS=({" ".join(repr(word) for word in words)}); '
        f'COMP_CWORD={len(words) - 1}; COMPREPLY=(); '
        '_shtab_chainer_zoo chainer-zoo "${COMP_WORDS[COMP_CWORD]}"; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(['bash', '-c', line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which('bash') is None, reason='needs bash')
def test_bash_completes_commands_flags_and_models(script, tmp_path):
    offered = script('bash')
    assert complete(offered, 'chainer-zoo', '') >= set(commands.COMMANDS)
    assert complete(offered, 'chainer-zoo', 'eval') == {'evaluate'}
    assert complete(offered, 'chainer-zoo', 'train', '--model', 'pyr') == {
        name for name in catalog.names() if name.startswith('pyr')
    }
    # of models other than the one that is trained by default as well
    flags = complete(offered, 'chainer-zoo', 'train', '--')
    assert {'--out', '--resume', '--depth', '--growth_rate', '--stochastic_inference'} <= flags
    (tmp_path / 'some.model').write_text('')
    start = str(tmp_path / 'so')
    assert complete(offered, 'chainer-zoo', 'evaluate', '-m', start) == {
        str(tmp_path / 'some.model')
    }


@pytest.mark.parametrize('shell', ['tcsh', 'zsh'])
def test_other_shells_get_a_script(shell, script):
    text = script(shell)
    assert all(command in text for command in commands.COMMANDS)


def test_an_unknown_shell_is_refused(capsys):
    with pytest.raises(SystemExit) as error:
        commands.main(['completion', 'cmd'])
    assert error.value.code == 2 and 'bash' in capsys.readouterr().err
