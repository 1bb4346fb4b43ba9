from multiprocessing.popen_spawn_posix import (
    Popen as Popen,
)
