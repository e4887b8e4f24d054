"""``python -m redshank.cli``."""

from redshank.cli.app import main

if __name__ == "__main__":
    main()
