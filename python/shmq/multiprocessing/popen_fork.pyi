from multiprocessing.popen_fork import (
    Popen as Popen,
)
