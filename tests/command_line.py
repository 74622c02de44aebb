"""Runs the program within the test's process."""

from enginekit import cli


def run(capsys, *argv):
    """Run the program; return exit code, stdout and stderr."""
    capsys.readouterr()
    code = cli.main([str(part) for part in argv])
    return code, *capsys.readouterr()
