from multiprocessing.process import (
    BaseProcess as BaseProcess,
    active_children as active_children,
    current_process as current_process,
    parent_process as parent_process,
)

__all__ = ["BaseProcess", "current_process", "active_children", "parent_process"]
