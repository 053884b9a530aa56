"""`python -m ganworks`: the command, for launchers that start modules."""

from ganworks.cli.app import command

if __name__ == "__main__":
    command()
