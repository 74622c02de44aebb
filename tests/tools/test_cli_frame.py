"""The frame of the command line: verbs, exit codes, what goes to stdout and to stderr."""

import argparse
import subprocess
import sys
import types

import pytest

from engine.errors import FormatError
from enginekit import cli
from enginekit.cli import output


def add_verb(monkeypatch: pytest.MonkeyPatch, work) -> None:
    module = types.ModuleType("enginekit.cli.probe", "Probe the frame.")
    module.add_arguments = lambda parser: parser.add_argument("file")
    module.main = work
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "VERBS", (*cli.VERBS, cli.Verb("probe", "probe the frame")))


def raising(error: BaseException):
    def work(args: argparse.Namespace) -> int:
        raise error

    return work


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_the_verbs(monkeypatch, code):
    add_verb(monkeypatch, lambda args: code)
    assert cli.main(["probe", "x"]) == code


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FormatError("x.tflite: truncated"), "enginekit probe: x.tflite: truncated\n"),
        (FileNotFoundError(2, "No such file or directory", "x"), "enginekit probe: [Errno 2] No such file or directory: 'x'\n"),
        (KeyboardInterrupt(), "enginekit probe: interrupted\n"),
    ],
)
def test_failed_work_is_one_message_and_code_1(monkeypatch, capsys, error, message):
    add_verb(monkeypatch, raising(error))
    assert cli.main(["probe", "x"]) == 1
    assert capsys.readouterr() == ("", message)


def test_a_programming_error_keeps_its_traceback(monkeypatch):
    add_verb(monkeypatch, raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["probe", "x"])


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["probe"], ["probe", "x", "--nonsense"]])
def test_wrong_usage_is_code_2(monkeypatch, capsys, argv):
    add_verb(monkeypatch, lambda args: 0)
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: enginekit")


def test_arguments_that_contradict_each_other_are_wrong_usage(monkeypatch, capsys):
    add_verb(monkeypatch, raising(cli.UsageError("--a excludes --b")))
    assert cli.main(["probe", "x"]) == 2
    assert "enginekit probe: error: --a excludes --b" in capsys.readouterr().err


def test_help_lists_the_verbs_in_pipeline_order(capsys):
    assert cli.main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    places = [out.index(f"    {verb.name} ") for verb in cli.VERBS]
    assert places == sorted(places)
    assert [verb.name for verb in cli.VERBS] == [
        "train",
        "compress",
        "quantize",
        "inspect",
        "emit",
        "simulate",
        "flash",
        "run",
        "bench",
        "report",
    ]


@pytest.mark.parametrize("verb", cli.VERBS, ids=lambda verb: verb.name)
def test_every_verb_explains_itself(verb, capsys):
    assert cli.main([verb.name, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"usage: enginekit {verb.name} ")
    assert "options:" in out


@pytest.mark.parametrize("verb", cli.VERBS, ids=lambda verb: verb.name)
def test_asking_for_help_loads_no_heavy_package(verb):
    heavy = {"tensorflow", "keras", "matplotlib", "sklearn", "elftools", "serial"}
    program = f"import sys, enginekit.cli as cli; cli.main([{verb.name!r}, '--help']); sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    loaded = done.stderr.split()
    assert "argparse" in loaded
    assert not heavy & set(loaded)


def test_help_loads_neither_verbs_nor_numpy():
    program = (
        "import sys, enginekit.cli as cli; cli.main(['--help']);"
        "loaded = {'numpy', 'engine', 'enginekit.cli.train'} & set(sys.modules); sys.exit(str(loaded) if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_stops_early_is_no_traceback():
    program = "import sys; from enginekit.cli.output import result; import enginekit.cli as cli\n"
    program += "import types; verb = types.ModuleType('enginekit.cli.probe', ''); verb.add_arguments = lambda parser: None\n"
    program += "verb.main = lambda args: [result('x' * 9999) for _ in range(99)] and 0\n"
    program += "sys.modules[verb.__name__] = verb; cli.VERBS = (cli.Verb('probe', ''),); sys.exit(cli.main(['probe']))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "enginekit 0.1.0\n"


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="JSON"):
        output.as_json({"loss": float("nan")})
