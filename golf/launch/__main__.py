"""`python -m golf.launch TASK.json PARENT`: a worker, started by the process PARENT (golf.launch.elastic)."""

import sys

from golf.utils.parent import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[2]))  # before anything that takes long, as importing torch does
    from golf.launch import worker
    from golf.runtime import dist

    dist.leave(worker.main(sys.argv[1]))
