from shmq.multiprocessing import *
import os
import time

num = 100


def work1():
    global num
    num += 1
    print("in work1 num is %d" % num, flush=True)


def work2():
    global num
    num += 10
    print("in work2 num is %d" % num, flush=True)


if __name__ == "__main__":
    p1 = Process(target=work1)
    p1.start()
    p1.join()
    p2 = Process(target=work2)
    p2.start()
    p2.join()
    print("in main num is %d" % num)
