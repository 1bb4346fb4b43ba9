from shmq.multiprocessing import Manager, Pool
import os, time, random


def reader(q):
    print("reader (%s) starts" % (os.getpid() != 0), flush=True)
    for i in range(q.qsize()):
        print("reader got %s" % q.get(True), flush=True)


def writer(q):
    print("writer (%s) starts" % (os.getpid() != 0), flush=True)
    for i in "shmq":
        q.put(i)


if __name__ == "__main__":
    q = Manager().Queue()
    po = Pool(3)
    po.apply(writer, (q,))
    po.apply(reader, (q,))
    po.close()
    po.join()
    print("end")
