"""`python -m service.cli`: the command line where the project is not installed."""

from service.cli import main

main()
