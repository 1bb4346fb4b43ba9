from shmq.multiprocessing import Queue

q = Queue(3)
q.put("message 1")
q.put("message 2")
print(q.full())
q.put("message 3")
print(q.full())
try:
    q.put("message 4", True, 0.1)
except Exception:
    print("the queue is full, it has %s messages" % q.qsize())
try:
    q.put_nowait("message 4")
except Exception:
    print("the queue is full, it has %s messages" % q.qsize())
if not q.empty():
    for i in range(q.qsize()):
        print(q.get_nowait())
print(q.empty())
