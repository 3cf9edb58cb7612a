"""`python -m pgsclip` and `torchrun -m pgsclip`."""

from pgsclip.cli.app import main

if __name__ == "__main__":  # loader processes import this file again
    main()
