"""`python -m okla_assets` is the `okla` command."""

from okla_assets.cli import main

if __name__ == "__main__":
    main()
