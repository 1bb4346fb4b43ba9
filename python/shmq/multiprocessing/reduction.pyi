from multiprocessing.reduction import (
    AbstractReducer as AbstractReducer,
    DupFd as DupFd,
    ForkingPickler as ForkingPickler,
    HAVE_SEND_HANDLE as HAVE_SEND_HANDLE,
    dump as dump,
    recv_handle as recv_handle,
    recvfds as recvfds,
    register as register,
    send_handle as send_handle,
    sendfds as sendfds,
)
