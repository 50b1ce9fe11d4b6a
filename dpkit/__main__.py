"""`python -m dpkit`, the same as the `dpkit` command."""

from dpkit.cli import main

if __name__ == "__main__":
    main()
