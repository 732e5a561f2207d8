"""Runs the simulator: python3 -m github_sim [--port N]. Prints its address once it listens."""
import argparse

from . import server

parser = argparse.ArgumentParser(prog="github_sim", description="A stateful simulator of GitHub's REST API.")
parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 (the default) takes a free one")
server.run(parser.parse_args().port)
