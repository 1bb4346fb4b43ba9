from multiprocessing.popen_forkserver import (
    Popen as Popen,
)
