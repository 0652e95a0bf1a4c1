"""`python -m harness`: the commands of the console script."""

from harness.commands import main

if __name__ == "__main__":
    main(name="python -m harness")
