from shmq.multiprocessing import Process, Queue
import os, time, random


def write(q):
    for value in ["A", "B", "C"]:
        print("Put %s to queue..." % value, flush=True)
        q.put(value)
        time.sleep(random.random() / 100)


def read(q):
    while True:
        if not q.empty():
            value = q.get(True)
            print("Get %s from queue." % value, flush=True)
            time.sleep(random.random() / 100)
        else:
            break


if __name__ == "__main__":
    q = Queue()
    pw = Process(target=write, args=(q,))
    pr = Process(target=read, args=(q,))
    pw.start()
    pw.join()
    pr.start()
    pr.join()
    print("")
    print("all is written and read")
