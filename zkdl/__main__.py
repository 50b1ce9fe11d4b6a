"""``python -m zkdl``: the command line."""

from zkdl.cli import main

if __name__ == "__main__":
    main()
