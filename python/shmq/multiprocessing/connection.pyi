from multiprocessing.connection import (
    Client as Client,
    Connection as Connection,
    Listener as Listener,
    Pipe as Pipe,
    answer_challenge as answer_challenge,
    wait as wait,
)

__all__ = ["Client", "Listener", "Pipe", "wait"]
